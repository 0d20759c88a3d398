// The part of a stream that speaks TLS.
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/tls_desk.h"
#include "net/worker.h"

namespace weir::net {

namespace {

std::string local_ip_of(int fd) {
  const SocketAddress address = bound_address(fd);
  char text[INET6_ADDRSTRLEN];
  const void* bytes = &address.v4.sin_addr;
  int family = AF_INET;
  if (address.any.sa_family == AF_INET6) {
    bytes = &address.v6.sin6_addr;
    family = AF_INET6;
    if (IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr)) {
      bytes = address.v6.sin6_addr.s6_addr + 12;
      family = AF_INET;
    }
  } else if (address.any.sa_family != AF_INET) {
    return {};
  }
  return inet_ntop(family, bytes, text, sizeof(text)) == nullptr ? "" : text;
}

char* at_first_use(std::unique_ptr<char[]>& memory, size_t bytes) {
  if (memory == nullptr) memory.reset(new char[bytes]);
  return memory.get();
}

}  // namespace

// ---- TlsDesk ----

char* TlsDesk::plain() { return at_first_use(plain_, kPlainBytes); }
char* TlsDesk::gather() { return at_first_use(gather_, Tls::kRecordBytes); }
char* TlsDesk::cipher() { return at_first_use(cipher_, kCipherBytes); }

bool TlsDesk::time_is_over() const { return spent_us_ >= limits::kHandshakesUs; }

bool TlsDesk::next_iteration() {
  spent_us_ = 0;
  while (!time_is_over()) {
    TlsSide* side = waiting_.pop_front();
    if (side == nullptr) return false;
    side->stream.on_handshake_time();
  }
  return !waiting_.empty();
}

// ---- Stream: the handshake ----

const Tls* Stream::tls() const { return tls_ == nullptr || !tls_->tls ? nullptr : &*tls_->tls; }

Buffer& Stream::before_tls() { return tls_->tls->pending(); }

void Stream::start_tls(std::shared_ptr<const TlsServer> server, std::string_view early) {
  WEIR_ASSERT(tls_ == nullptr);
  if (over_) return;
  tls_ = std::make_unique<TlsSide>(*this, std::move(server));
  start_reading();
  wait_for_handshake_time(early);
}

void Stream::start_tls(const TlsClient& client, const std::string& server_name,
                       std::shared_ptr<TlsTicket> ticket) {
  WEIR_ASSERT(tls_ == nullptr);
  if (over_) return;
  tls_ = std::make_unique<TlsSide>(*this);
  tls_->is_client = true;
  tls_->tls.emplace(client, worker_.index(), worker_.blocks(), server_name, std::move(ticket));
}

void Stream::wait_for_handshake_time(std::string_view bytes) {
  tls_->held.append(bytes);
  if (tls_->held.size() > limits::kHandshakeHeldBytes) uv_read_stop(handle());
  worker_.tls_desk().wait(*tls_);
}

void Stream::on_handshake_time() {
  if (over_ || broken_ != 0) return;
  const BudgetedText bytes = std::exchange(tls_->held, {});
  if (bytes.size() > limits::kHandshakeHeldBytes && reading_) {
    uv_read_start(handle(), alloc_trampoline, read_trampoline);
  }
  std::string_view rest = bytes;
  if (shake_hands(rest) && !rest.empty()) on_records(rest);
}

// True when it is done, and `bytes` are what came behind.
bool Stream::shake_hands(std::string_view& bytes) {
  const uint64_t started_ns = uv_hrtime();
  if (!tls_->tls) {
    const TlsServer& server = *tls_->server;
    std::string local_ip;
    if (server.looks_at_address() && !is_unix_) local_ip = local_ip_of(fd());
    tls_->tls.emplace(server, worker_.index(), worker_.blocks(), std::move(local_ip));
    tls_->server.reset();
  }
  const Tls::Progress progress = tls_->tls->handshake(bytes);
  worker_.tls_desk().spend_us((uv_hrtime() - started_ns) / 1000);
  if (!tls_->tls->pending().empty()) flush_soon();
  switch (progress) {
    case Tls::Progress::kMore: return false;
    case Tls::Progress::kFailed: break_tls(); return false;
    case Tls::Progress::kDone: break;
  }
  owner_->on_connected();
  return !over_;
}

// The peer is told by an alert, if it still listens.
void Stream::break_tls() {
  stop_reading();
  flush();
  if (broken_ == 0) owner_->on_broken(UV_EPROTO);
}

// ---- Stream: bytes ----

void Stream::on_ciphertext(std::string_view bytes) {
  if (!tls_->open()) {
    if (!worker_.tls_desk().may_shake_hands()) {
      wait_for_handshake_time(bytes);
      return;
    }
    if (!shake_hands(bytes) || bytes.empty()) return;
  }
  on_records(bytes);
}

void Stream::on_records(std::string_view bytes) {
  Tls& tls = *tls_->tls;
  char* plain = worker_.tls_desk().plain();
  const size_t count = tls.decrypt(bytes, plain, TlsDesk::kPlainBytes);
  if (!tls.pending().empty()) flush_soon();
  if (count > 0) owner_->on_bytes({plain, count});
  if (over_ || broken_ != 0) return;
  if (tls.failed()) {
    break_tls();
  } else if (tls.pending().size() > limits::kTlsPendingBytes) {
    stop_reading();
    owner_->on_broken(UV_ENOBUFS);
  } else if (tls.peer_closed()) {
    stop_reading();
    owner_->on_eof();
  }
}

// A TCP end without a close_notify. What a client says ends by its own framing, and many a client
// goes like that; an answer of a server may end where its connection does, and would look whole.
int Stream::truncation() {
  tls_->peer_gone = true;
  return tls_->open() && !tls_->is_client ? 0 : UV_ECONNRESET;
}

// What is to go into the next record. Empty: nothing, or not yet. `more` comes behind out().
std::string_view Stream::next_plaintext(std::string_view more) {
  constexpr size_t kWorthARecord = Tls::kRecordBytes / 2;
  if (out_.empty()) return more.substr(0, Tls::kRecordBytes);
  const std::string_view front = out_.front();
  const bool is_all = front.size() == out_.size() && more.empty();
  if (is_all || front.size() >= kWorthARecord) return front.substr(0, Tls::kRecordBytes);
  char* const gathered = worker_.tls_desk().gather();
  size_t size = 0;
  std::string_view spans[16];
  const size_t count = out_.spans(spans, 16);
  size_t spanned = 0;
  for (size_t i = 0; i < count; ++i) {
    spanned += spans[i].size();
    size += spans[i].copy(gathered + size, Tls::kRecordBytes - size);
  }
  if (spanned == out_.size()) size += more.copy(gathered + size, Tls::kRecordBytes - size);
  return {gathered, size};
}

// Fills the scratch with records of what is queued, then of `more`, which is shortened by that.
// SIZE_MAX: encryption failed.
size_t Stream::fill_records(char* cipher, std::string_view& more) {
  Tls& tls = *tls_->tls;
  size_t size = 0;
  const auto take_pending = [&] {
    while (!tls.pending().empty()) {
      const std::string_view front = tls.pending().front();
      const size_t taken = front.copy(cipher + size, TlsDesk::kCipherBytes - size);
      if (taken == 0) return;
      tls.pending().consume(taken);
      size += taken;
    }
  };
  take_pending();
  constexpr size_t kRoom = Tls::kRecordBytes + Tls::kOverheadBytes;
  while (tls.open() && TlsDesk::kCipherBytes - size >= kRoom) {
    const std::string_view plain = next_plaintext(more);
    if (plain.empty()) break;
    const size_t bytes = tls.encrypt(plain, cipher + size);
    if (bytes == 0) return SIZE_MAX;
    size += bytes;
    const size_t queued = std::min(plain.size(), out_.size());
    out_.consume(queued);
    more.remove_prefix(plain.size() - queued);
  }
  if (tls_->close_wanted && out_.empty() && more.empty()) {
    tls.close();
    take_pending();
  }
  return size;
}

// Sends what is queued and then `more`. What the socket does not take of a record waits encrypted,
// the rest in out().
void Stream::flush_tls(std::string_view more) {
  if (!tls_->tls) {
    out_.append(more);
    return;
  }
  char* const cipher = worker_.tls_desk().cipher();
  for (;;) {
    const size_t size = fill_records(cipher, more);
    if (size == SIZE_MAX) {
      break_later(UV_EPROTO);
      return;
    }
    if (size == 0) break;
    const std::string_view records(cipher, size);
    const size_t taken = try_write(&records, 1);
    if (taken == size) continue;
    if (broken_ != 0) return;
    out_.append(more);
    Buffer rest(worker_.blocks());
    rest.append(records.substr(taken));
    queue_write(std::move(rest));
    return;
  }
  out_.append(more);  // the handshake comes first
  if (shutdown_wanted_ && out_.empty()) shutdown_now();
}

}  // namespace weir::net
