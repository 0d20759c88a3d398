#include "admin/client.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/strings.h"
#include "http/rules.h"
#include "net/address.h"
#include "net/clock.h"

namespace weir::admin {

namespace {

constexpr size_t kAnswerMaxBytes = 64u << 20;  // /config of some 500,000 routes
constexpr size_t kHeadMaxBytes = 64u << 10;

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// A command may wait for the system's resolver; the daemon never does.
Result<std::vector<net::SocketAddress>> look_up(const std::string& text) {
  using Out = Result<std::vector<net::SocketAddress>>;
  Result<net::SocketAddress> numeric = net::parse_address(text);
  if (numeric.ok()) return std::vector<net::SocketAddress>{numeric.value()};
  if (text.starts_with("unix:")) return Out::failure(numeric.error());
  Result<net::HostPort> parts = net::split_host_port(text);
  if (!parts.ok()) return Out::failure(parts.error());
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const std::string port = std::to_string(parts.value().port);
  const int status = getaddrinfo(parts.value().host.c_str(), port.c_str(), &hints, &list);
  if (status != 0) return Out::failure(gai_strerror(status));
  std::vector<net::SocketAddress> addresses;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    if (at->ai_addrlen > sizeof(sockaddr_in6)) continue;
    net::SocketAddress& address = addresses.emplace_back();
    std::memcpy(&address.any, at->ai_addr, at->ai_addrlen);
    address.length = at->ai_addrlen;
  }
  freeaddrinfo(list);
  return addresses;
}

std::string header_value(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && iequals(line.substr(0, colon), name)) {
      return std::string(trim_ows(line.substr(colon + 1)));
    }
  }
  return {};
}

struct Head {
  int status = 0;
  size_t size = 0;  // with the empty line; 0: not complete
  uint64_t length = 0;
};

// Of a final answer with a Content-Length: weir's own pages have no other form.
Result<Head> parse_head(std::string_view bytes) {
  constexpr std::string_view kStart = "HTTP/1.1 ";
  constexpr std::string_view kEnd = "\r\n\r\n";
  const auto fail = [] {
    return Result<Head>::failure("what answers there does not speak HTTP as weir does");
  };
  if (bytes.substr(0, kStart.size()) != kStart.substr(0, bytes.size())) return fail();
  const size_t end = bytes.find(kEnd);
  if (end == std::string_view::npos) return bytes.size() > kHeadMaxBytes ? fail() : Head();
  const std::string_view fields = bytes.substr(0, end);
  uint64_t status = 0;
  uint64_t length = 0;
  if (!parse_u64(fields.substr(kStart.size(), 3), status) || status < 200 || status > 599 ||
      !parse_u64(header_value(fields, "Content-Length"), length)) {
    return fail();
  }
  return Head{static_cast<int>(status), end + kEnd.size(), length};
}

// One exchange, each step of which returns what went wrong (empty: nothing).
class Conversation {
 public:
  Conversation(const net::SocketAddress& address, uint64_t deadline_ms)
      : socket_(socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
        address_(address),
        deadline_ms_(deadline_ms) {}

  std::string open() {
    if (socket_.descriptor() < 0) return std::strerror(errno);
    if (connect(socket_.descriptor(), &address_.any, address_.length) == 0) return {};
    if (errno != EINPROGRESS) return std::strerror(errno);
    if (std::string late = wait(POLLOUT); !late.empty()) return late;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(socket_.descriptor(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? std::string() : std::strerror(error);
  }

  std::string send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_.descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (errno == EAGAIN) {
        if (std::string late = wait(POLLOUT); !late.empty()) return late;
      } else if (errno != EINTR) {
        return std::strerror(errno);
      }
    }
    return {};
  }

  std::string read_answer(Answer& out) {
    std::string bytes;
    Head head;
    char chunk[16384];
    while (head.size == 0 || bytes.size() - head.size < head.length) {
      const ssize_t got = recv(socket_.descriptor(), chunk, sizeof(chunk), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) {
        if (std::string late = wait(POLLIN); !late.empty()) return late;
        continue;
      }
      if (got < 0) return std::strerror(errno);
      if (got == 0) break;
      bytes.append(chunk, static_cast<size_t>(got));
      if (bytes.size() > kAnswerMaxBytes) return "the answer is larger than 64 MiB";
      if (head.size > 0) continue;
      Result<Head> parsed = parse_head(bytes);
      if (!parsed.ok()) return parsed.error();
      head = parsed.value();
    }
    Result<Answer> answer = parse_answer(bytes);
    if (!answer.ok()) return answer.error();
    out = std::move(answer.value());
    return {};
  }

 private:
  std::string wait(short events) {
    for (;;) {
      const uint64_t now_ms = net::monotonic_ms();
      pollfd entry = {socket_.descriptor(), events, 0};
      const int left_ms = now_ms >= deadline_ms_ ? 0 : static_cast<int>(deadline_ms_ - now_ms);
      const int ready = poll(&entry, 1, left_ms);
      if (ready > 0) return {};
      if (ready == 0) return "no answer in time";
      if (errno != EINTR) return std::strerror(errno);
    }
  }

  Socket socket_;
  const net::SocketAddress address_;
  const uint64_t deadline_ms_;
};

std::string request_text(const Target& target, std::string_view method, std::string_view path,
                         std::string_view json) {
  const bool is_unix = target.address.starts_with("unix:");
  std::string text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: ";
  text += is_unix ? "localhost" : target.address;
  text += "\r\nAccept: application/json\r\nConnection: close\r\n";
  if (!target.token.empty()) text += "Authorization: Bearer " + target.token + "\r\n";
  if (!json.empty()) {
    text += "Content-Type: application/json\r\n";
    text += "Content-Length: " + std::to_string(json.size()) + "\r\n";
  }
  return (text += "\r\n").append(json);
}

}  // namespace

Result<Answer> parse_answer(std::string_view bytes) {
  using Out = Result<Answer>;
  if (bytes.empty()) return Out::failure("the connection ended before an answer");
  Result<Head> head = parse_head(bytes);
  if (!head.ok()) return Out::failure(head.error());
  const auto [status, size, length] = head.value();
  if (size == 0 || bytes.size() - size < length) return Out::failure("the answer was cut");
  return Answer{status, std::string(bytes.substr(size, length))};
}

Result<Answer> ask(const Target& target, std::string_view method, std::string_view path,
                   uint64_t timeout_ms, std::string_view json) {
  using Out = Result<Answer>;
  if (!http::is_field_value(target.token)) {
    return Out::failure("the token holds a character that no header can carry");
  }
  Result<std::vector<net::SocketAddress>> addresses = look_up(target.address);
  if (!addresses.ok()) return Out::failure(target.address + ": " + addresses.error());
  std::string why;
  const uint64_t deadline_ms = net::monotonic_ms() + timeout_ms;
  for (const net::SocketAddress& address : addresses.value()) {
    Conversation conversation(address, deadline_ms);
    why = conversation.open();
    if (!why.empty()) continue;  // the next address of the name
    Answer answer;
    why = conversation.send_all(request_text(target, method, path, json));
    if (why.empty()) why = conversation.read_answer(answer);
    if (why.empty()) return answer;
    break;
  }
  return Out::failure("no weir answers at " + target.address + ": " + why);
}

}  // namespace weir::admin
