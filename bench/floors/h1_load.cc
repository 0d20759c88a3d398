// A small HTTP/1.1 client for what wrk cannot do. Prints one line of JSON.
//
//   h1_load --target ADDR --path /1k --headers FILE --connections N …
//     --rate R --seconds S   open loop: request i is due at start + i/R whether or not earlier ones
//                            were answered; latency counts from then, so a stall is not hidden
//     --requests N           closed loop: exactly N requests over the connections
//     --hold 1               one request on each connection, then keeps all open until stdin ends
//     --keys N               each request has one of N values in X-Key, by chance
//
// Answers must carry Content-Length. Every wait is bounded: by kDrainNs after the last request, by
// kStallSeconds in a blocking read.

#include <strings.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "net.h"

namespace weir::bench {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kDrainNs = 3 * kNsPerSecond;
constexpr std::uint64_t kClosedLoopLimitNs = 120 * kNsPerSecond;
constexpr int kStallSeconds = 5;
constexpr int kEventsPerWait = 256;
constexpr std::string_view kKey = "X-Key: ";
constexpr std::size_t kKeyDigits = 8;

std::string make_request(const Arguments& arguments) {
  std::string request = "GET " + arguments.one("path") + " HTTP/1.1\r\nHost: ";
  request += arguments.one("target") + "\r\n";
  std::ifstream headers(arguments.one("headers"));
  if (!headers) die("cannot read --headers");
  for (std::string line; std::getline(headers, line);) request += line + "\r\n";
  if (arguments.number("keys", 0) != 0) {
    request += kKey;
    request += std::string(kKeyDigits, '0') + "\r\n";
  }
  return request + "\r\n";
}

// Finds the end of each answer in a byte stream.
class AnswerReader {
 public:
  enum class State { kMore, kDone, kBad };

  State feed(std::string_view bytes) {
    if (in_body_) return count(bytes.size());
    head_.append(bytes);
    const std::size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos) return State::kMore;
    const std::size_t beyond = head_.size() - end - 4;
    if (!read_head(std::string_view(head_).substr(0, end + 2))) return State::kBad;
    head_.clear();
    in_body_ = true;
    return count(beyond);
  }

 private:
  bool read_head(std::string_view head) {
    if (!head.starts_with("HTTP/1.1 2")) return false;
    constexpr std::string_view kName = "Content-Length:";
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const std::size_t end = head.find("\r\n", at);
      const std::string_view line = head.substr(at, end - at);
      if (line.size() > kName.size() &&
          ::strncasecmp(line.data(), kName.data(), kName.size()) == 0) {
        const std::size_t digits = std::min(line.find_first_of("0123456789"), line.size());
        return std::from_chars(line.data() + digits, line.data() + line.size(), body_left_).ec ==
               std::errc();
      }
      at = end + 2;
    }
    return false;
  }

  State count(std::size_t got) {
    if (got > body_left_) return State::kBad;
    body_left_ -= got;
    if (body_left_ > 0) return State::kMore;
    in_body_ = false;
    return State::kDone;
  }

  std::string head_;
  std::uint64_t body_left_ = 0;
  bool in_body_ = false;
};

struct Connection {
  int fd = -1;
  std::uint64_t due_ns = 0;
  AnswerReader reader;
};

class Generator {
 public:
  explicit Generator(const Arguments& arguments)
      : request_(make_request(arguments)),
        rate_(arguments.number("rate", 0)),
        keys_(arguments.number("keys", 0)),
        total_(rate_ != 0 ? rate_ * arguments.number("seconds", 1)
                          : arguments.number("requests", 0)) {
    const Endpoint target = parse_endpoint(arguments.one("target"));
    const std::uint64_t count = arguments.number("connections", 1);
    for (std::uint64_t i = 0; i < count; ++i) {
      auto connection = std::make_unique<Connection>();
      connection->fd = connect_to(target);
      set_non_blocking(connection->fd);
      watch(epoll_fd_, EPOLL_CTL_ADD, connection->fd, EPOLLIN, connection.get());
      idle_.push_back(connection.get());
      connections_.push_back(std::move(connection));
    }
    latencies_us_.reserve(total_);
    // The default slack of 50 us would be visible in the percentiles.
    ::prctl(PR_SET_TIMERSLACK, 1UL);
  }

  void run() {
    start_ns_ = now_ns();
    const std::uint64_t planned_ns =
        rate_ != 0 ? total_ * kNsPerSecond / rate_ + kDrainNs : kClosedLoopLimitNs;
    const std::uint64_t give_up_ns = start_ns_ + planned_ns;
    std::array<epoll_event, kEventsPerWait> events;
    while (answered() < total_) {
      const std::uint64_t now = now_ns();
      if (now > give_up_ns || open_connections() == 0) break;
      issue(now);
      const timespec timeout = until(next_wake_ns(give_up_ns), now_ns());
      const int ready = ::epoll_pwait2(epoll_fd_, events.data(), kEventsPerWait, &timeout, nullptr);
      if (ready < 0 && errno != EINTR) die("epoll_pwait2");
      for (int i = 0; i < ready; ++i) {
        receive(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
      }
    }
    report(now_ns() - start_ns_);
  }

 private:
  std::uint64_t answered() const { return latencies_us_.size() + errors_; }
  std::uint64_t open_connections() const { return connections_.size() - lost_; }

  std::uint64_t due_ns(std::uint64_t index) const {
    return start_ns_ + index * kNsPerSecond / rate_;
  }

  void issue(std::uint64_t now) {
    while (issued_ < total_ && !idle_.empty() && (rate_ == 0 || due_ns(issued_) <= now)) {
      Connection& connection = *idle_.back();
      idle_.pop_back();
      connection.due_ns = rate_ == 0 ? now : due_ns(issued_);
      ++issued_;
      choose_key();
      const ssize_t sent = ::send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL);
      if (sent != static_cast<ssize_t>(request_.size())) lose(connection);
    }
  }

  void choose_key() {
    if (keys_ == 0) return;
    random_ = random_ * 6364136223846793005 + 1442695040888963407;  // Knuth's
    std::uint64_t key = (random_ >> 33) % keys_;
    std::size_t at = request_.rfind(kKey) + kKey.size() + kKeyDigits;
    for (std::size_t i = 0; i < kKeyDigits; ++i, key /= 10) {
      request_[--at] = static_cast<char>('0' + key % 10);
    }
  }

  // Without an idle connection only an answer can make progress.
  std::uint64_t next_wake_ns(std::uint64_t give_up_ns) const {
    if (rate_ == 0 || idle_.empty() || issued_ == total_) return give_up_ns;
    return std::min(due_ns(issued_), give_up_ns);
  }

  static timespec until(std::uint64_t at_ns, std::uint64_t now) {
    const std::uint64_t left = at_ns > now ? at_ns - now : 0;
    return {static_cast<time_t>(left / kNsPerSecond), static_cast<long>(left % kNsPerSecond)};
  }

  void receive(Connection& connection) {
    const ssize_t got = ::read(connection.fd, buffer_.data(), buffer_.size());
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return lose(connection);
    switch (connection.reader.feed({buffer_.data(), static_cast<std::size_t>(got)})) {
      case AnswerReader::State::kMore: return;
      case AnswerReader::State::kBad: return lose(connection);
      case AnswerReader::State::kDone:
        latencies_us_.push_back(static_cast<std::uint32_t>((now_ns() - connection.due_ns) / 1000));
        idle_.push_back(&connection);
    }
  }

  void lose(Connection& connection) {
    ++lost_;
    ++errors_;
    std::erase(idle_, &connection);
    ::close(connection.fd);
  }

  std::uint32_t percentile_us(unsigned percent) {
    if (latencies_us_.empty()) return 0;
    const std::size_t rank = (latencies_us_.size() - 1) * percent / 100;
    const auto nth = latencies_us_.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(latencies_us_.begin(), nth, latencies_us_.end());
    return *nth;
  }

  void report(std::uint64_t took_ns) {
    std::printf(
        "{\"requests\": %zu, \"seconds\": %.6f, \"errors\": %llu, \"missed\": %llu, "
        "\"p50_us\": %u, \"p99_us\": %u}\n",
        latencies_us_.size(), static_cast<double>(took_ns) / 1e9,
        static_cast<unsigned long long>(errors_),
        static_cast<unsigned long long>(total_ - answered()), percentile_us(50), percentile_us(99));
  }

  std::string request_;
  const std::uint64_t rate_;   // requests per second; 0: closed loop
  const std::uint64_t keys_;   // of X-Key; 0: no such field
  const std::uint64_t total_;  // requests to issue
  const int epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  std::vector<std::uint32_t> latencies_us_;
  std::vector<char> buffer_ = std::vector<char>(256 * 1024);
  std::uint64_t start_ns_ = 0;
  std::uint64_t issued_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t random_ = 1;
};

bool one_exchange(int fd, const std::string& request, std::vector<char>& buffer) {
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) return false;
  AnswerReader reader;
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got <= 0) return false;
    const AnswerReader::State state = reader.feed({buffer.data(), static_cast<std::size_t>(got)});
    if (state != AnswerReader::State::kMore) return state == AnswerReader::State::kDone;
  }
}

// "ready" line after one exchange per connection; after stdin's end a line with how many of them
// the server has closed meanwhile (then they were not what was measured).
void hold(const Arguments& arguments) {
  const Endpoint target = parse_endpoint(arguments.one("target"));
  const std::string request = make_request(arguments);
  std::vector<char> buffer(64 * 1024);
  std::vector<int> open;
  for (std::uint64_t i = 0; i < arguments.number("connections", 1); ++i) {
    const int fd = connect_to(target);
    const timeval limit{kStallSeconds, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (!one_exchange(fd, request, buffer)) die("no answer on connection " + std::to_string(i));
    open.push_back(fd);
  }
  std::printf("{\"ready\": %zu}\n", open.size());
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  const auto closed = std::count_if(open.begin(), open.end(), [&byte](int fd) {
    return ::recv(fd, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN;
  });
  std::printf("{\"closed\": %ld}\n", static_cast<long>(closed));
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  const weir::bench::Arguments arguments(argc, argv);
  if (arguments.number("hold", 0) != 0) {
    weir::bench::hold(arguments);
  } else {
    weir::bench::Generator(arguments).run();
  }
}
