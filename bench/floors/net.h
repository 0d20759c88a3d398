// Sockets for the bench tools: just enough to listen, connect and watch. Single-threaded programs
// without a config: whatever goes wrong at set-up ends the process with a message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/epoll.h>
#include <sys/socket.h>

namespace weir::bench {

struct Endpoint {
  sockaddr_storage address{};
  socklen_t length = 0;
  bool is_unix = false;
  std::string text;
};

// Prints `what` (and errno's text when it is set) and ends the process with status 1.
[[noreturn]] void die(const std::string& what);

// "127.0.0.1:8080" or "unix:/path". Dies on anything else.
Endpoint parse_endpoint(std::string_view text);

// A non-blocking listening socket; an old unix socket file at the path is replaced.
int listen_on(const Endpoint& at);

// A connected socket, still blocking (loopback answers at once); TCP gets TCP_NODELAY.
int connect_to(const Endpoint& to);

// A non-blocking accepted socket with TCP_NODELAY, or -1 when there is none to take.
int accept_from(int listener);

void set_non_blocking(int fd);

// epoll_ctl with `owner` as the event's data.ptr.
void watch(int epoll_fd, int operation, int fd, std::uint32_t events, void* owner);

std::uint64_t now_ns();

// Command line of the form `--name value`, names in any order and repeatable.
class Arguments {
 public:
  Arguments(int argc, char** argv);

  std::vector<std::string> all(std::string_view name) const;
  std::string one(std::string_view name) const;  // dies when absent
  std::uint64_t number(std::string_view name, std::uint64_t fallback) const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

}  // namespace weir::bench
