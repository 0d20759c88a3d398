#include "net.h"

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

namespace weir::bench {
namespace {

constexpr int kBacklog = 4096;

void set_no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int new_socket(const Endpoint& endpoint) {
  const int fd = ::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket for " + endpoint.text);
  return fd;
}

const sockaddr* address_of(const Endpoint& endpoint) {
  return reinterpret_cast<const sockaddr*>(&endpoint.address);
}

Endpoint parse_unix(std::string_view text, std::string_view path) {
  Endpoint endpoint;
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    errno = 0;
    die("bad unix path: " + std::string(text));
  }
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  std::memcpy(&endpoint.address, &address, sizeof address);
  endpoint.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  endpoint.is_unix = true;
  endpoint.text = text;
  return endpoint;
}

bool parse_number(std::string_view text, std::uint64_t& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

}  // namespace

void die(const std::string& what) {
  const char* reason = errno != 0 ? std::strerror(errno) : "";
  std::fprintf(stderr, "%s%s%s\n", what.c_str(), *reason != '\0' ? ": " : "", reason);
  std::exit(1);
}

Endpoint parse_endpoint(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return parse_unix(text, text.substr(kUnix.size()));

  const std::size_t colon = text.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  std::uint64_t port = 0;
  const std::string host(text.substr(0, colon));
  if (colon == std::string_view::npos || !parse_number(text.substr(colon + 1), port) ||
      port > 65535 || ::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    errno = 0;
    die("bad address (want IPV4:PORT or unix:/path): " + std::string(text));
  }
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  Endpoint endpoint;
  std::memcpy(&endpoint.address, &address, sizeof address);
  endpoint.length = sizeof address;
  endpoint.text = text;
  return endpoint;
}

int listen_on(const Endpoint& at) {
  const int fd = new_socket(at);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at.is_unix) {
    sockaddr_un address{};
    std::memcpy(&address, &at.address, sizeof address);
    ::unlink(address.sun_path);
  }
  if (::bind(fd, address_of(at), at.length) != 0) die("bind " + at.text);
  if (::listen(fd, kBacklog) != 0) die("listen " + at.text);
  set_non_blocking(fd);
  return fd;
}

int connect_to(const Endpoint& to) {
  const int fd = new_socket(to);
  if (::connect(fd, address_of(to), to.length) != 0) die("connect " + to.text);
  if (!to.is_unix) set_no_delay(fd);
  return fd;
}

int accept_from(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE) die("accept");
    return -1;
  }
  set_no_delay(fd);  // fails harmlessly on a unix socket
  return fd;
}

void set_non_blocking(int fd) {
  if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) die("fcntl");
}

void watch(int epoll_fd, int operation, int fd, std::uint32_t events, void* owner) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = owner;
  if (::epoll_ctl(epoll_fd, operation, fd, &event) != 0) die("epoll_ctl");
}

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

Arguments::Arguments(int argc, char** argv) {
  errno = 0;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (!name.starts_with("--") || i + 1 == argc) die("want --name value: " + std::string(name));
    pairs_.emplace_back(name.substr(2), argv[i + 1]);
  }
}

std::vector<std::string> Arguments::all(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : pairs_) {
    if (key == name) values.push_back(value);
  }
  return values;
}

std::string Arguments::one(std::string_view name) const {
  const std::vector<std::string> values = all(name);
  errno = 0;
  if (values.size() != 1) die("want exactly one --" + std::string(name));
  return values.front();
}

std::uint64_t Arguments::number(std::string_view name, std::uint64_t fallback) const {
  const std::vector<std::string> values = all(name);
  if (values.empty()) return fallback;
  std::uint64_t value = 0;
  errno = 0;
  if (!parse_number(values.back(), value)) die("not a number: " + values.back());
  return value;
}

}  // namespace weir::bench
