// A server that answers 1 KB at once, until it is told to break.
//
//   fault_origin --listen 127.0.0.1:8001 --fault reset|slow|vanish|garbage|half503|none
//
// SIGUSR1 begins the fault:
//   reset    who connects, and who asks on an old connection, is reset
//   slow     answers come a byte each 100 ms, the head too
//   vanish   as if the host were gone: a socket filter drops what comes, for the listener too, so
//            nothing is acknowledged, reset or closed (no privilege is needed)
//   garbage  answers are bytes that are no HTTP
//   half503  each second answer is a 503
// One thread, level-triggered epoll. Runs until killed.

#include <linux/filter.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "net.h"

namespace weir::bench {
namespace {

constexpr int kEventsPerWait = 256;
constexpr int kStepMs = 100;

volatile std::sig_atomic_t g_broken = 0;

void on_signal(int) { g_broken = 1; }

void drop_what_comes(int fd) {
  sock_filter nothing = {BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program = {1, &nothing};
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
    die("SO_ATTACH_FILTER");
  }
}

struct Client {
  std::string in;
  std::string dripping;  // what is left of a slow answer
};

class Origin {
 public:
  explicit Origin(const Arguments& arguments)
      : fault_(arguments.one("fault")),
        listener_(listen_on(parse_endpoint(arguments.one("listen")))) {
    watch(epoll_fd_, EPOLL_CTL_ADD, listener_, EPOLLIN, nullptr);
    struct sigaction action = {};
    action.sa_handler = on_signal;
    ::sigaction(SIGUSR1, &action, nullptr);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, kEventsPerWait> events;
    for (;;) {
      if (is("vanish")) vanish();
      const int pause_ms = is("slow") ? kStepMs : -1;
      const int ready = ::epoll_wait(epoll_fd_, events.data(), kEventsPerWait, pause_ms);
      if (ready < 0 && errno != EINTR) die("epoll_wait");
      if (is("vanish")) continue;
      for (int i = 0; i < ready; ++i) {
        auto* entry = static_cast<Entry*>(events[static_cast<std::size_t>(i)].data.ptr);
        entry == nullptr ? accept() : read(entry->first, entry->second);
      }
      if (is("slow")) drip(now_ns());
    }
  }

 private:
  using Clients = std::unordered_map<int, Client>;
  using Entry = Clients::value_type;

  bool is(std::string_view fault) const { return g_broken != 0 && fault_ == fault; }

  [[noreturn]] void vanish() {
    drop_what_comes(listener_);
    for (const Entry& entry : clients_) drop_what_comes(entry.first);
    for (;;) ::pause();
  }

  void accept() {
    const int fd = accept_from(listener_);
    if (fd < 0) return;
    if (is("reset")) return reset(fd);
    watch(epoll_fd_, EPOLL_CTL_ADD, fd, EPOLLIN, &*clients_.try_emplace(fd).first);
  }

  static void reset(int fd) {
    const linger at_once = {1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    ::close(fd);
  }

  void read(int fd, Client& client) {
    std::array<char, 16 * 1024> bytes;
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || is("reset")) {
      clients_.erase(fd);
      return got <= 0 ? static_cast<void>(::close(fd)) : reset(fd);
    }
    client.in.append(bytes.data(), static_cast<std::size_t>(got));
    for (std::size_t end; (end = client.in.find("\r\n\r\n")) != std::string::npos;) {
      client.in.erase(0, end + 4);
      answer(fd, client);
    }
  }

  void answer(int fd, Client& client) {
    if (is("slow")) {
      client.dripping += good_;
      return;
    }
    const bool odd = is("half503") && (++answers_ % 2) == 0;
    send(fd, is("garbage") ? garbage_ : odd ? refusal_ : good_);
  }

  void drip(std::uint64_t now) {
    if (now < drip_at_ns_) return;
    drip_at_ns_ = now + std::uint64_t{kStepMs} * 1'000'000;
    for (auto& [fd, client] : clients_) {
      if (client.dripping.empty()) continue;
      send(fd, std::string_view(client.dripping).substr(0, 1));
      client.dripping.erase(0, 1);
    }
  }

  static void send(int fd, std::string_view text) {
    (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
  }

  const std::string fault_;
  const int listener_;
  const int epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  const std::string good_ =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" +
      std::string(1024, 'x');
  const std::string refusal_ = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
  const std::string garbage_ = "\x16\x03\x01 this is no HTTP\r\n\r\n";
  Clients clients_;
  std::uint64_t answers_ = 0;
  std::uint64_t drip_at_ns_ = 0;
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) { weir::bench::Origin(weir::bench::Arguments(argc, argv)).run(); }
