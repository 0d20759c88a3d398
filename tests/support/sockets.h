// Blocking sockets for tests, each call bounded: a peer that never answers fails a test, it does
// not hang it. No assertions in here: used from threads of the tests' own, too.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace weir::test {

inline constexpr int kPatienceMs = 10'000;

// A connected (or listening) socket. Closes when destroyed.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Socket() { close(); }

  int fd() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // The peer sees an RST.
  void reset() {
    const linger abort = {1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    close();
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }

  // False when the peer is gone or takes nothing for too long.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!wait(POLLOUT, kPatienceMs)) return false;
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // What there is, at most `max` bytes. Empty at the end of the stream, on an error (ended_badly())
  // and when nothing comes in time (timed_out()).
  std::string receive(size_t max = 65'536, int patience_ms = kPatienceMs) {
    if (!wait(POLLIN, patience_ms)) {
      timed_out_ = true;
      return {};
    }
    std::string bytes(max, '\0');
    const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (got < 0) error_ = errno;
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    received_bytes_ += bytes.size();
    return bytes;
  }
  std::string receive_all() {
    std::string all;
    for (std::string piece = receive(); !piece.empty(); piece = receive()) all += piece;
    return all;
  }
  // Exactly that many bytes, or fewer when the stream ends.
  std::string receive_exactly(size_t bytes) {
    std::string all;
    while (all.size() < bytes) {
      const std::string piece = receive(std::min<size_t>(bytes - all.size(), 65'536));
      if (piece.empty()) break;
      all += piece;
    }
    return all;
  }
  // Up to the end of `mark`, byte by byte: nothing behind it is taken.
  std::string receive_until(std::string_view mark) {
    std::string all;
    while (!all.ends_with(mark)) {
      const std::string byte = receive(1);
      if (byte.empty()) break;
      all += byte;
    }
    return all;
  }

  bool ended_badly() const { return error_ != 0; }
  int error() const { return error_; }
  bool timed_out() const { return timed_out_; }
  size_t received_bytes() const { return received_bytes_; }  // so far

 private:
  bool wait(short events, int patience_ms) const {
    pollfd entry = {fd_, events, 0};
    return ::poll(&entry, 1, patience_ms) > 0;
  }

  int fd_ = -1;
  int error_ = 0;
  size_t received_bytes_ = 0;
  bool timed_out_ = false;
};

inline sockaddr_in loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// `receive_buffer_bytes` > 0: a small window, for peers that read slowly.
inline Socket connect_to(uint16_t port, int receive_buffer_bytes = 0) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer_bytes > 0) {
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
               sizeof(receive_buffer_bytes));
  }
  const int on = 1;
  setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const sockaddr_in to = loopback(port);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) return {};
  return socket;
}

// Listens on a free port of the loopback; several threads may take from it (accept_from()).
inline Socket listen_anywhere() {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in any = loopback(0);
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) != 0) return {};
  if (::listen(socket.fd(), 1024) != 0) return {};
  return socket;
}

// Not valid when nobody connects in time, or another thread was faster.
inline Socket accept_from(const Socket& listener, int patience_ms = kPatienceMs) {
  pollfd entry = {listener.fd(), POLLIN, 0};
  if (::poll(&entry, 1, patience_ms) <= 0) return {};
  Socket socket(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket.valid()) return {};
  const int on = 1;
  setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return socket;
}

inline uint16_t port_of(const Socket& socket) {
  sockaddr_in address = {};
  socklen_t length = sizeof(address);
  getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

}  // namespace weir::test
