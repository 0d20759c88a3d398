// An application with a fixed capacity: so many requests at once, each for so long; the others wait
// inside it, first come, first served, and are worked on even if their client has left, as in a
// thread pool. Answers 1 KB.
//
//   slot_origin --listen 127.0.0.1:8001 --slots 20 --service-ms 20
//
// One thread, level-triggered epoll. Runs until killed.

#include <sys/prctl.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net.h"

namespace weir::bench {
namespace {

constexpr int kEventsPerWait = 256;
constexpr std::uint64_t kNsPerMs = 1'000'000;

// A connection by its number: sockets are used again, numbers are not.
struct Client {
  int fd = -1;
  std::uint64_t number = 0;
  std::string in;
};

class Application {
 public:
  Application(const Arguments& arguments)
      : slots_(arguments.number("slots", 20)),
        service_ns_(arguments.number("service-ms", 20) * kNsPerMs),
        listener_(listen_on(parse_endpoint(arguments.one("listen")))) {
    watch(epoll_fd_, EPOLL_CTL_ADD, listener_, EPOLLIN, nullptr);
    ::prctl(PR_SET_TIMERSLACK, 1UL);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, kEventsPerWait> events;
    for (;;) {
      const timespec wait = until_next(now_ns());
      const int ready = ::epoll_pwait2(epoll_fd_, events.data(), kEventsPerWait,
                                       working_.empty() ? nullptr : &wait, nullptr);
      if (ready < 0 && errno != EINTR) die("epoll_pwait2");
      for (int i = 0; i < ready; ++i) {
        auto* client = static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr);
        client == nullptr ? accept() : read(*client);
      }
      finish(now_ns());
    }
  }

 private:
  struct Work {
    std::uint64_t client;
    std::uint64_t done_ns;
  };

  timespec until_next(std::uint64_t now) const {
    if (working_.empty()) return {};
    const std::uint64_t due = working_.front().done_ns;
    const std::uint64_t left = due > now ? due - now : 0;
    return {static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
  }

  void accept() {
    const int fd = accept_from(listener_);
    if (fd < 0) return;
    Client& client = clients_[++last_number_];
    client.fd = fd;
    client.number = last_number_;
    watch(epoll_fd_, EPOLL_CTL_ADD, fd, EPOLLIN, &client);
  }

  void read(Client& client) {
    std::array<char, 16 * 1024> bytes;
    const ssize_t got = ::read(client.fd, bytes.data(), bytes.size());
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      ::close(client.fd);
      clients_.erase(client.number);  // its work goes on
      return;
    }
    client.in.append(bytes.data(), static_cast<std::size_t>(got));
    for (;;) {
      const std::size_t end = client.in.find("\r\n\r\n");
      if (end == std::string::npos) break;
      client.in.erase(0, end + 4);
      waiting_.push_back(client.number);
    }
    start(now_ns());
  }

  void start(std::uint64_t now) {
    while (!waiting_.empty() && working_.size() < slots_) {
      working_.push_back({waiting_.front(), now + service_ns_});  // all take as long: sorted
      waiting_.pop_front();
    }
  }

  void finish(std::uint64_t now) {
    while (!working_.empty() && working_.front().done_ns <= now) {
      const Work work = working_.front();
      working_.pop_front();
      const auto client = clients_.find(work.client);
      if (client != clients_.end()) {
        (void)!::send(client->second.fd, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      }
      // The slot is free since the work was done, whenever that was noticed: no capacity is lost.
      start(work.done_ns);
    }
  }

  const std::uint64_t slots_;
  const std::uint64_t service_ns_;
  const int listener_;
  const int epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  const std::string answer_ =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" +
      std::string(1024, 'x');
  std::unordered_map<std::uint64_t, Client> clients_;
  std::uint64_t last_number_ = 0;
  std::deque<std::uint64_t> waiting_;
  std::deque<Work> working_;
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  weir::bench::Application(weir::bench::Arguments(argc, argv)).run();
}
