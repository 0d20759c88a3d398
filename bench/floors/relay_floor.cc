// The relay floor: moves bytes between a client and an origin without looking at them. Each client
// connection has an origin connection of its own, kept as long as the client stays, so a keep-alive
// request costs two reads, two writes and a share of epoll_wait: the least that any proxy over
// sockets can spend.
//
//   relay_floor --listen 127.0.0.1:8080 --origin ADDR [--origin ADDR …]   (origins taken in turn)
//
// One thread, level-triggered epoll. Either side's end of file ends the pair. Runs until killed.

#include <unistd.h>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "net.h"

namespace weir::bench {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr int kEventsPerWait = 256;

struct Pair;

// One socket of a pair. `held` is what this side's socket has not yet taken; while there is any,
// the other side is not read.
struct Side {
  int fd = -1;
  Side* other = nullptr;
  Pair* pair = nullptr;
  std::vector<char> held;
  std::uint32_t watched = EPOLLIN;
};

struct Pair {
  Side client;
  Side origin;
  bool over = false;
};

class Relay {
 public:
  Relay(const std::string& listen, const std::vector<std::string>& origins)
      : listener_(listen_on(parse_endpoint(listen))) {
    for (const std::string& origin : origins) origins_.push_back(parse_endpoint(origin));
    if (origins_.empty()) die("want an --origin");
    watch(epoll_fd_, EPOLL_CTL_ADD, listener_, EPOLLIN, nullptr);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, kEventsPerWait> events;
    for (;;) {
      const int ready = ::epoll_wait(epoll_fd_, events.data(), kEventsPerWait, -1);
      if (ready < 0 && errno != EINTR) die("epoll_wait");
      for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.ptr == nullptr) {
          accept();
        } else {
          on_event(*static_cast<Side*>(event.data.ptr), event.events);
        }
      }
      graves_.clear();  // not before: the batch may hold an event for the pair's other side
    }
  }

 private:
  void accept() {
    const int fd = accept_from(listener_);
    if (fd < 0) return;
    auto* pair = new Pair;  // to graves_ in end(): the epoll set holds the only references
    pair->client = {fd, &pair->origin, pair, {}, EPOLLIN};
    const int origin_fd = connect_to(origins_[next_origin_++ % origins_.size()]);
    set_non_blocking(origin_fd);
    pair->origin = {origin_fd, &pair->client, pair, {}, EPOLLIN};
    watch(epoll_fd_, EPOLL_CTL_ADD, fd, EPOLLIN, &pair->client);
    watch(epoll_fd_, EPOLL_CTL_ADD, origin_fd, EPOLLIN, &pair->origin);
  }

  void on_event(Side& side, std::uint32_t events) {
    if (side.pair->over) return;
    if ((events & EPOLLOUT) != 0 && !send_held(side)) return end(*side.pair);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !move(side)) return end(*side.pair);
  }

  // Reads once from `side` and writes to the other. False when the pair is to end.
  bool move(Side& side) {
    const ssize_t got = ::read(side.fd, buffer_.data(), buffer_.size());
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    ssize_t sent =
        ::send(side.other->fd, buffer_.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) return false;
      sent = 0;
    }
    if (sent == got) return true;
    side.other->held.assign(buffer_.data() + sent, buffer_.data() + got);
    settle(*side.pair);
    return true;
  }

  bool send_held(Side& side) {
    const ssize_t sent = ::send(side.fd, side.held.data(), side.held.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    side.held.erase(side.held.begin(), side.held.begin() + sent);
    settle(*side.pair);
    return true;
  }

  void settle(Pair& pair) {
    for (Side* side : {&pair.client, &pair.origin}) {
      const std::uint32_t wanted = (side->other->held.empty() ? std::uint32_t{EPOLLIN} : 0U) |
                                   (side->held.empty() ? 0U : std::uint32_t{EPOLLOUT});
      if (wanted == side->watched) continue;
      side->watched = wanted;
      watch(epoll_fd_, EPOLL_CTL_MOD, side->fd, wanted, side);
    }
  }

  void end(Pair& pair) {
    pair.over = true;
    ::close(pair.client.fd);
    ::close(pair.origin.fd);
    graves_.emplace_back(&pair);
  }

  const int epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  const int listener_;
  std::vector<Endpoint> origins_;
  std::size_t next_origin_ = 0;
  std::vector<char> buffer_ = std::vector<char>(kReadBytes);
  std::vector<std::unique_ptr<Pair>> graves_;
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  const weir::bench::Arguments arguments(argc, argv);
  weir::bench::Relay(arguments.one("listen"), arguments.all("origin")).run();
}
