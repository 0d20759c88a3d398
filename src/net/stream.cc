#include "net/stream.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/blocks.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/strings.h"
#include "net/tls_desk.h"
#include "net/worker.h"

namespace weir::net {

// Bytes that the socket would not take, in blocks that libuv holds until its callback (rule L4).
struct Stream::WriteOp {
  WriteOp(Stream& owner, Buffer&& bytes) : stream(owner), data(std::move(bytes)) {
    request.data = this;
  }
  static constexpr size_t kSpansMax = 64;  // 1 MiB in blocks; more stays in out()
  Stream& stream;
  Buffer data;
  uv_write_t request;
};

struct Stream::ConnectOp {
  explicit ConnectOp(Stream& owner) : stream(owner) { request.data = this; }
  Stream& stream;
  uv_connect_t request;
};

Stream::Stream(Worker& worker, bool is_unix)
    : worker_(worker), out_(worker.blocks()), is_unix_(is_unix) {
  if (is_unix) {
    WEIR_CHECK(uv_pipe_init(worker.loop(), &handle_.pipe, 0) == 0);
  } else {
    WEIR_CHECK(uv_tcp_init(worker.loop(), &handle_.tcp) == 0);
  }
  handle()->data = this;
  op_started();  // the handle, until its close callback
}

Stream::~Stream() = default;

std::unique_ptr<Stream> Stream::accepted(Worker& worker, int fd, bool is_unix) {
  std::unique_ptr<Stream> stream(new Stream(worker, is_unix));
  const int status =
      is_unix ? uv_pipe_open(&stream->handle_.pipe, fd) : uv_tcp_open(&stream->handle_.tcp, fd);
  if (status == 0) return stream;
  close(fd);
  stream->end();
  worker.bury(std::move(stream));
  return nullptr;
}

std::unique_ptr<Stream> Stream::dial(Worker& worker, Owner& owner, const SocketAddress& to) {
  std::unique_ptr<Stream> stream(new Stream(worker, to.is_unix()));
  stream->hand_to(owner);
  auto* op = new ConnectOp(*stream);
  stream->connecting_ = true;
  if (to.is_unix()) {
    uv_pipe_connect(&op->request, &stream->handle_.pipe, to.unix_path.sun_path, connect_trampoline);
    stream->op_started();
    return stream;
  }
  uv_tcp_nodelay(&stream->handle_.tcp, 1);
  const int status =
      uv_tcp_connect(&op->request, &stream->handle_.tcp, &to.any, connect_trampoline);
  if (status == 0) {
    stream->op_started();
  } else {
    delete op;
    stream->connecting_ = false;
    stream->break_later(status);
  }
  return stream;
}

void Stream::connect_trampoline(uv_connect_t* request, int status) noexcept {
  std::unique_ptr<ConnectOp> op(static_cast<ConnectOp*>(request->data));
  Stream& stream = op->stream;
  Turn turn(stream.worker_);
  stream.op_done(stream.worker_);
  stream.connecting_ = false;
  if (stream.over_) return;
  if (status != 0) {
    stream.owner_->on_broken(status);
  } else if (stream.tls_ == nullptr) {
    stream.owner_->on_connected();
  } else {
    std::string_view nothing;
    stream.start_reading();
    stream.shake_hands(nothing);
  }
}

void Stream::detect_dead_peer(uint64_t unacknowledged_ms) {
  if (is_unix_ || over_) return;
  const auto set = [this](int level, int option, unsigned int value) {
    setsockopt(fd(), level, option, &value, sizeof(value));
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, limits::kTcpKeepaliveIdleS);
  set(IPPROTO_TCP, TCP_KEEPINTVL, limits::kTcpKeepaliveIntervalS);
  set(IPPROTO_TCP, TCP_KEEPCNT, limits::kTcpKeepaliveProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT,
      static_cast<unsigned int>(std::min<uint64_t>(unacknowledged_ms, INT32_MAX)));
}

SocketAddress Stream::peer_address() const {
  SocketAddress address;
  socklen_t length = sizeof(address.unix_path);
  if (getpeername(fd(), &address.any, &length) == 0) address.length = length;
  return address;
}

SocketAddress Stream::local_address() const {
  SocketAddress address;
  socklen_t length = sizeof(address.unix_path);
  if (getsockname(fd(), &address.any, &length) == 0) address.length = length;
  return address;
}

void Stream::start_reading() {
  if (reading_ || over_ || broken_ != 0) return;
  const int status = uv_read_start(handle(), alloc_trampoline, read_trampoline);
  if (status == 0) {
    reading_ = true;
  } else {
    break_later(status);
  }
}

void Stream::stop_reading() {
  rest_due_ = false;
  if (!reading_) return;
  uv_read_stop(handle());
  reading_ = false;
}

// libuv is about to read, and asks where to. It would read by read(2), whose way is longer (see
// try_write()): it gets no memory and says so, as UV_ENOBUFS, each time that there is something.
void Stream::alloc_trampoline(uv_handle_t*, size_t, uv_buf_t* out) noexcept {
  *out = uv_buf_init(nullptr, 0);
}

void Stream::read_trampoline(uv_stream_t* handle, ssize_t, const uv_buf_t*) noexcept {
  auto* stream = static_cast<Stream*>(handle->data);
  Turn turn(stream->worker_);
  if (!stream->over_) stream->on_readable();
}

void Stream::on_readable() {
  uint32_t offered = read_size_;
  // All of a read may have to wait for a peer that has just stopped to take anything.
  const size_t share = BlockBudget::left_bytes() / kReadsInBudget;
  if (share < offered) offered = std::max(kReadMinBytes, static_cast<uint32_t>(share));
  const ssize_t count = receive(offered);
  if (count > 0) {
    if (static_cast<uint32_t>(count) == offered) {  // twice as much next time; see read_less()
      read_size_ = std::min(read_size_ * 2, worker_.read_max_bytes());
    }
    take({worker_.read_buffer(), static_cast<size_t>(count)});
    return;
  }
  int error = count == 0 ? 0 : uv_translate_sys_error(errno);
  if (error == UV_EAGAIN) return;
  stop_reading();
  if (error == 0 && tls_ != nullptr) error = truncation();
  if (error == 0) {
    owner_->on_eof();
  } else {
    owner_->on_broken(error);
  }
}

// Into the worker's buffer.
ssize_t Stream::receive(uint32_t bytes) {
  ssize_t count;
  do {
    count = ::recv(fd(), worker_.read_buffer(), bytes, 0);
  } while (count < 0 && errno == EINTR);
  return count;
}

void Stream::take(std::string_view bytes) {
  if (tls_ == nullptr) {
    owner_->on_bytes(bytes);
  } else {
    on_ciphertext(bytes);
  }
}

int Stream::fd() const {
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<const uv_handle_t*>(&handle_), &fd);
  return fd;
}

void Stream::flush_soon() {
  if (!dirty_.linked() && !over_) worker_.dirty_.push_back(*this);
}

void Stream::write(std::span<const std::string_view> pieces) {
  const size_t size = total_size(pieces);
  if (over_ || broken_ != 0 || size == 0) return;
  const bool waits = write_op_ != nullptr || connecting_;  // behind what libuv holds
  if (waits || out_.size() + size <= kCoalesceBytes) {
    for (const std::string_view piece : pieces) out_.append(piece);
    if (!waits) flush_soon();
  } else if (tls_ == nullptr) {
    write_now(pieces, SIZE_MAX);
  } else if (pieces.size() == 1) {
    flush_tls(pieces.front());
  } else {
    for (const std::string_view piece : pieces) write(piece);
  }
}

size_t Stream::offer(std::span<const std::string_view> pieces) {
  const size_t size = total_size(pieces);
  const bool waits = write_op_ != nullptr || connecting_;
  const bool goes_at_once = tls_ == nullptr && !over_ && broken_ == 0 && !waits;
  if (goes_at_once && size > kCoalesceBytes) return write_now(pieces, kCoalesceBytes);
  write(pieces);
  return size;
}

// Of what the socket does not take, at most `kept_bytes` are copied, to wait for it. Returns how
// much of `pieces` is taken or kept.
size_t Stream::write_now(std::span<const std::string_view> pieces, size_t kept_bytes) {
  WEIR_ASSERT(pieces.size() <= kWriteSpans);
  constexpr size_t kQueuedMax = 7;
  std::string_view spans[kQueuedMax + kWriteSpans];
  size_t count = out_.spans(spans, kQueuedMax);
  const size_t queued = out_.size();
  const size_t in_spans = total_size({spans, count});
  if (in_spans == queued) count = std::ranges::copy(pieces, spans + count).out - spans;
  size_t taken = try_write(spans, count);
  out_.consume(std::min(taken, queued));
  taken -= std::min(taken, queued);
  size_t done = taken;
  for (std::string_view piece : pieces) {
    const size_t gone = std::min(taken, piece.size());
    taken -= gone;
    piece = piece.substr(gone, kept_bytes);
    out_.append(piece);
    kept_bytes -= piece.size();
    done += piece.size();
  }
  if (!out_.empty()) queue_write(std::move(out_));
  return done;
}

// What the socket takes now; 0 when it is full or broken. Not uv_try_write(): that writes by
// write(2), whose way through the file system's layer costs a socket 2 % of a request.
size_t Stream::try_write(const std::string_view* spans, size_t count, int flags) {
  iovec pieces[16];
  WEIR_ASSERT(count <= 16);
  for (size_t i = 0; i < count; ++i) {
    pieces[i] = {const_cast<char*>(spans[i].data()), spans[i].size()};
  }
  msghdr message = {};
  message.msg_iov = pieces;
  message.msg_iovlen = count;
  ssize_t taken;
  do {
    taken = count == 1 ? ::send(fd(), spans[0].data(), spans[0].size(), MSG_NOSIGNAL | flags)
                       : ::sendmsg(fd(), &message, MSG_NOSIGNAL | flags);
  } while (taken < 0 && errno == EINTR);
  if (taken >= 0) {
    taken_bytes_ += static_cast<size_t>(taken);
    return static_cast<size_t>(taken);
  }
  not_taken(errno);
  return 0;
}

void Stream::not_taken(int error) {
  if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS) return;
  break_later(uv_translate_sys_error(error));
}

void Stream::flush() {
  if (over_ || broken_ != 0 || connecting_ || write_op_ != nullptr) return;
  if (tls_ != nullptr) {
    flush_tls({});
    return;
  }
  while (!out_.empty()) {
    std::string_view spans[16];
    const size_t count = out_.spans(spans, 16);
    const size_t offered = total_size({spans, count});
    const size_t taken = try_write(spans, count);
    out_.consume(taken);
    if (taken < offered) {
      queue_write(std::move(out_));
      return;
    }
  }
  if (shutdown_wanted_) shutdown_now();
}

size_t Stream::send_file(int file, uint64_t offset_bytes, size_t bytes) {
  if (over_ || broken_ != 0 || connecting_ || congested() || tls_ != nullptr) return 0;
  while (!out_.empty()) {  // in one segment with what follows
    std::string_view spans[16];
    const size_t count = out_.spans(spans, 16);
    const size_t before = out_.size();
    out_.consume(try_write(spans, count, MSG_MORE));
    if (broken_ == 0 && out_.size() == before) queue_write(std::move(out_));
    if (broken_ != 0 || congested()) return 0;
  }
  auto at = static_cast<off_t>(offset_bytes);
  ssize_t taken;
  do {
    taken = ::sendfile(fd(), file, &at, bytes);
  } while (taken < 0 && errno == EINTR);
  // What a file system fails with is for whoever reads it next to find out.
  if (taken < 0 && (errno == EPIPE || errno == ECONNRESET)) not_taken(errno);
  if (taken <= 0) return 0;
  taken_bytes_ += static_cast<size_t>(taken);
  return static_cast<size_t>(taken);
}

// Hands what is left to libuv, which waits for the socket. What is too much for one call goes back
// to out().
void Stream::queue_write(Buffer&& bytes) {
  if (broken_ != 0) {
    bytes.clear();
    return;
  }
  write_op_ = std::make_unique<WriteOp>(*this, std::move(bytes));
  std::string_view spans[WriteOp::kSpansMax];
  const size_t count = write_op_->data.spans(spans, WriteOp::kSpansMax);
  uv_buf_t buffers[WriteOp::kSpansMax];
  size_t given = 0;
  for (size_t i = 0; i < count; ++i) {
    buffers[i] =
        uv_buf_init(const_cast<char*>(spans[i].data()), static_cast<unsigned int>(spans[i].size()));
    given += spans[i].size();
  }
  if (given < write_op_->data.size()) write_op_->data.split_tail(given, out_);
  const int status = uv_write(&write_op_->request, handle(), buffers,
                              static_cast<unsigned int>(count), write_trampoline);
  if (status == 0) {
    op_started();
  } else {
    write_op_.reset();
    break_later(status);
  }
}

void Stream::write_trampoline(uv_write_t* request, int status) noexcept {
  auto* op = static_cast<WriteOp*>(request->data);
  Stream& stream = op->stream;
  Turn turn(stream.worker_);
  stream.taken_bytes_ += op->data.size();  // how much of a failed one has left nobody knows
  stream.write_op_.reset();
  stream.op_done(stream.worker_);
  if (stream.over_) return;
  if (status != 0) {
    stream.break_later(status);
    stream.tell_broken();
    return;
  }
  stream.flush();
  if (!stream.congested() && !stream.over_ && stream.broken_ == 0) stream.owner_->on_drained();
}

size_t Stream::unsent() const {
  return out_.size() +
         (write_op_ == nullptr
              ? 0
              : uv_stream_get_write_queue_size(reinterpret_cast<const uv_stream_t*>(&handle_)));
}

uint64_t Stream::sent_bytes() const {
  if (write_op_ == nullptr) return taken_bytes_;
  const size_t left =
      uv_stream_get_write_queue_size(reinterpret_cast<const uv_stream_t*>(&handle_));
  return taken_bytes_ + (write_op_->data.size() - std::min(left, write_op_->data.size()));
}

// A unix socket counts its overhead as well: close enough to see whether anything moves.
uint64_t Stream::delivered_bytes() const {
  int queued = 0;
  if (ioctl(fd(), SIOCOUTQ, &queued) != 0) queued = 0;
  const uint64_t sent = sent_bytes();
  return sent - std::min(sent, static_cast<uint64_t>(queued));
}

void Stream::break_later(int uv_error) {
  if (broken_ != 0 || over_) return;
  broken_ = uv_error;
  const bool reads = reading_;
  stop_reading();
  rest_due_ = reads && hears_out_;
  out_.clear();
  flush_soon();
}

// Whatever failed the write came behind what is to be read: all of that is there.
void Stream::tell_broken() {
  while (rest_due_) {
    const ssize_t count = receive(kReadMinBytes);
    if (count <= 0) break;
    take({worker_.read_buffer(), static_cast<size_t>(count)});
    if (over_) return;
  }
  dirty_.unlink();
  owner_->on_broken(broken_);
}

void Stream::on_flush() {
  if (over_) return;
  if (owner_fills_ && broken_ == 0) {
    owner_->on_flush_due();
    if (over_) return;
  }
  const bool waited = congested();
  if (broken_ == 0) flush();
  if (broken_ != 0) {
    tell_broken();
  } else if (congested() && !waited) {
    owner_->on_congested();
  }
}

void Stream::shutdown_when_flushed() {
  shutdown_wanted_ = true;
  if (tls_ != nullptr) tls_->close_wanted = true;
  flush();
}

void Stream::shutdown_now() {
  shutdown_wanted_ = false;
  ::shutdown(fd(), SHUT_WR);
}

void Stream::end(bool reset) {
  if (over_) return;
  if (tls_ != nullptr) {
    tls_->close_wanted = !tls_->peer_gone;
    tls_->waiting.unlink();
  }
  if (broken_ == 0 && !reset) flush();
  over_ = true;
  dirty_.unlink();
  stop_reading();
  out_.clear();
  auto* raw = reinterpret_cast<uv_handle_t*>(handle());
  if (reset) {
    const linger abort = {1, 0};
    setsockopt(fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
  }
  uv_close(raw, close_trampoline);
}

void Stream::close_trampoline(uv_handle_t* handle) noexcept {
  auto* stream = static_cast<Stream*>(handle->data);
  Turn turn(stream->worker_);
  stream->op_done(stream->worker_);
}

}  // namespace weir::net
