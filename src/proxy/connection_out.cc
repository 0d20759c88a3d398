// The way out of a client's connection: the answer, how fast the client takes it, and what becomes
// of the connection behind it.
#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "net/worker.h"
#include "proxy/connection.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

bool Connection::must_close() const {
  const bool last = eof_ && !more_input_ && held_ == nullptr;
  return close_ || last || leaving() || requests_ >= config().connection_requests ||
         age_ms() >= config().connection_age_ms;
}

uint64_t Connection::age_ms() const { return worker_.net().now_ms() - born_ms_; }

void Connection::send_informational(const http::ResponseHead& head) {
  http::write_response_head(head, {}, {}, nullptr, 0, {}, client_.stream->out());
  client_.stream->flush_soon();
  const bool goes_on = head.status == 100 && state_ == State::kBody && !body_paused_;
  if (goes_on) timer_.arm_ms(config().timeouts.body_ms);
}

void Connection::send_head(const http::ResponseHead& head, const http::ResponseFraming& framing,
                           std::string_view upgrade) {
  const size_t before = client_.stream->out().size();
  http::write_response_head(head, framing, worker_.date(), nullptr, 0, upgrade,
                            client_.stream->out());
  bytes_out_ += client_.stream->out().size() - before;
  framing_ = framing.framing;
  congested_ms_ = 0;
  if (framing.close) close_ = true;
  client_.stream->flush_soon();
}

void Connection::send_body(std::span<const std::string_view> pieces) {
  const size_t size = total_size(pieces);
  if (size == 0) return;
  bytes_out_ += size;
  if (framing_ == http::Framing::kChunked) {
    char text[20];
    const size_t length = http::format_chunk_size(size, text);
    client_.stream->out().append({text, length});
    client_.stream->write(pieces);
    client_.stream->write("\r\n");
    bytes_out_ += length + 2;
  } else {
    client_.stream->write(pieces);
  }
  watch_if_congested();
}

size_t Connection::offer_body(std::span<const std::string_view> pieces) {
  if (framing_ == http::Framing::kChunked) return ClientSide::offer_body(pieces);
  const size_t done = client_.stream->offer(pieces);
  bytes_out_ += done;
  watch_if_congested();
  return done;
}

bool Connection::takes_files() const {
  return framing_ == http::Framing::kLength && client_.stream->tls() == nullptr;
}

size_t Connection::send_file(int file, uint64_t offset_bytes, size_t bytes) {
  const size_t sent = client_.stream->send_file(file, offset_bytes, bytes);
  bytes_out_ += sent;
  watch_if_congested();
  return sent;
}

void Connection::send_end(const http::HeaderList* trailers) {
  if (framing_ == http::Framing::kChunked) {
    const size_t before = client_.stream->out().size();
    http::write_last_chunk(trailers, client_.stream->out());
    bytes_out_ += client_.stream->out().size() - before;
    client_.stream->flush_soon();
  }
}

void Connection::on_drained() {
  if (!judge_drained()) return;
  if (state_ == State::kClosing) {
    close_after_answer();
    return;
  }
  if (exchange_ != nullptr) {
    exchange_->on_client_drained();
  } else if (state_ == State::kIdle || state_ == State::kHead) {
    go_idle();  // takes up what was held while the last answer was on its way
  }
}

void Connection::pause_body() {
  if (body_paused_) return;
  body_paused_ = true;
  client_.stream->stop_reading();
  timer_.cancel();  // the server is slow, not the client
}

void Connection::resume_body() {
  if (!body_paused_ || over()) return;
  body_paused_ = false;
  client_.stream->start_reading();
  if (state_ == State::kBody) timer_.arm_ms(config().timeouts.body_ms);
}

uint64_t Connection::body_left() const {
  if (state_ != State::kBody) return 0;
  return parser_.framing() == http::Framing::kLength ? parser_.body_left() : UINT64_MAX;
}

void Connection::start_tunnel() {
  state_ = State::kTunnel;
  timer_.cancel();
  send_timer_.cancel();
  congested_at_ms_ = 0;
  close_ = true;
  client_.stream->flush_soon();
  if (held_ != nullptr) {
    // What the client sent right behind its upgrade request belongs to the tunnel.
    const std::unique_ptr<BudgetedText> early = std::move(held_);
    client_.stream->start_reading();
    exchange_->on_client_tunnel_bytes(*early);
  }
  if (eof_) exchange_->on_client_tunnel_eof();
}

void Connection::send_tunnel(std::string_view bytes) {
  bytes_out_ += bytes.size();
  client_.stream->write(bytes);
}

void Connection::watch_if_congested() {
  if (client_.stream->congested() && congested_at_ms_ == 0) watch_sending();
}

// By the iteration's flush, perhaps behind the end of an answer. A tunnel keeps its own time.
void Connection::on_congested() {
  if (state_ != State::kTunnel) watch_if_congested();
}

// The client does not take what was written.
void Connection::watch_sending() {
  if (congested_ms_ == 0) congested_from_bytes_ = client_.stream->sent_bytes();
  congested_at_ms_ = worker_.net().now_ms();
  send_timer_.arm_ms(pace_.begin_ms(config().timeouts));
}

void Connection::on_send_timeout() {
  if (!client_.stream->congested()) return;
  uint64_t again_ms = 0;
  const char* slow = pace_.judge(client_.stream->delivered_bytes(), config().timeouts, again_ms);
  if (slow == nullptr) {
    send_timer_.arm_ms(again_ms);
  } else {
    give_up_sending(slow);
  }
}

// The client took what was waiting, before the timer had a look. Many such waits are one: their
// time adds up, without the time in which it was the server who was slow. False: the client is
// ended.
bool Connection::judge_drained() {
  send_timer_.cancel();
  if (congested_at_ms_ == 0) return true;  // a tunnel keeps its own time
  const ListenerTimeouts& timeouts = config().timeouts;
  congested_ms_ += worker_.net().now_ms() - std::exchange(congested_at_ms_, 0);
  if (congested_ms_ < timeouts.send_ms) return true;
  const uint64_t moved = client_.stream->sent_bytes() - congested_from_bytes_;
  if (moved * 1000 < timeouts.min_rate_bytes_per_s * congested_ms_) {
    give_up_sending("client reads too slowly");
    return false;
  }
  congested_ms_ = 0;
  return true;
}

void Connection::give_up_sending(const char* why) {
  reset_ = true;  // or the kernel would go on offering what is queued, for minutes
  if (exchange_ != nullptr) exchange_->on_client_failed(ErrorKind::kTimeout, why);
  end(true);
}

void Connection::exchange_over(bool cut) {
  const bool request_complete = state_ == State::kWait;
  worker_.net().bury(std::move(exchange_));
  trailers_ = nullptr;
  if (over()) return;
  if (cut || state_ == State::kTunnel) {
    // Where the end of the connection is the end of the body, only a reset shows that it is cut.
    end(reset_ || (cut && framing_ == http::Framing::kUntilClose));
    return;
  }
  if (close_ || (eof_ && !more_input_ && held_ == nullptr)) {
    // A client that said it is done sends nothing more: no need to wait for it.
    close_when_sent(!eof_ && !(client_closes_ && request_complete && held_ == nullptr));
    return;
  }
  resume_body();
  if (request_complete) {
    go_idle();
  } else {
    state_ = State::kDebt;
    timer_.arm_ms(config().timeouts.body_ms);
  }
}

// Ready for the next request; what was held of it is taken up at once.
void Connection::go_idle() {
  state_ = State::kIdle;
  scanned_ = 0;
  if (client_.stream->congested()) {
    timer_.cancel();
    watch_if_congested();
  } else {
    const ListenerConfig& listener = config();
    const uint64_t age = std::min(age_ms(), listener.connection_age_ms);
    const uint64_t left_ms =
        std::max(listener.connection_age_ms - age, limits::kAgedConnectionIdleMs);
    timer_.arm_ms(std::min(listener.timeouts.keepalive_ms, left_ms));
  }
  if (processing_) return;
  if (no_more_requests()) {
    close_when_sent(false);
    return;
  }
  if (client_.stream->congested()) return;
  client_.stream->start_reading();
  if (held_ != nullptr) process_held();
}

// The last answer is complete, or there is none: what is queued still leaves.
void Connection::close_when_sent(bool then_linger) {
  linger_ = then_linger;
  state_ = State::kClosing;
  timer_.cancel();
  close_after_answer();
}

// RFC 9112 9.6: a close while the client still sends would reset the connection under the answer.
void Connection::close_after_answer() {
  client_.stream->flush();
  if (over()) return;
  if (client_.stream->unsent() > 0) {  // on_drained() comes back here
    watch_if_congested();
    return;
  }
  if (linger_) {
    linger();
  } else {
    end();
  }
}

void Connection::linger() {
  state_ = State::kLinger;
  held_.reset();
  client_.stream->shutdown_when_flushed();
  client_.stream->start_reading();
  timer_.arm_ms(limits::kLingerMs);
}

}  // namespace weir::proxy
