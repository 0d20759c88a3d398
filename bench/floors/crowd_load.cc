// A crowd that comes at a fixed rate whatever becomes of it, and whose members leave when they have
// waited for too long. Prints one line of JSON.
//
//   crowd_load --target ADDR --path / --headers FILE --rate R --seconds S --patience-ms P
//              --warm-up W --connections-max N --each FILE
//
// Request i is due at start + i/R; latency counts from then. Connections are kept and made as
// needed; who leaves closes his. The first W seconds are not counted. Answers must carry
// Content-Length; any status counts by its first digit. FILE gets a line for each counted request:
// ms from the start to when it was due, us that it took, and its status, `left` or `failed`.

#include <strings.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net.h"

namespace weir::bench {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr int kEventsPerWait = 256;

struct Member {
  int fd = -1;
  std::uint64_t due_ns = 0;
  std::uint64_t turn = 0;  // of its present request
  bool busy = false;
  std::string in;
};

class Crowd {
 public:
  explicit Crowd(const Arguments& arguments)
      : target_(parse_endpoint(arguments.one("target"))),
        rate_(arguments.number("rate", 1000)),
        total_(rate_ * arguments.number("seconds", 10)),
        first_counted_(rate_ * arguments.number("warm-up", 0)),
        patience_ns_(arguments.number("patience-ms", 1000) * 1'000'000),
        most_(arguments.number("connections-max", 8000)) {
    std::ifstream headers(arguments.one("headers"));
    if (!headers) die("cannot read --headers");
    request_ = "GET " + arguments.one("path") + " HTTP/1.1\r\nHost: " + target_.text + "\r\n";
    for (std::string line; std::getline(headers, line);) request_ += line + "\r\n";
    request_ += "\r\n";
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    if (!arguments.all("each").empty()) each_.open(arguments.one("each"));
  }

  void run() {
    start_ns_ = now_ns();
    const std::uint64_t end_ns = due_ns(total_) + patience_ns_;
    std::array<epoll_event, kEventsPerWait> events;
    for (std::uint64_t now = start_ns_; now < end_ns; now = now_ns()) {
      issue(now);
      leave(now);
      if (issued_ == total_ && waiting_.empty()) break;
      const timespec pause = {0, 1'000'000};
      const int ready = ::epoll_pwait2(epoll_fd_, events.data(), kEventsPerWait, &pause, nullptr);
      if (ready < 0 && errno != EINTR) die("epoll_pwait2");
      for (int i = 0; i < ready; ++i) {
        receive(*static_cast<Member*>(events[static_cast<std::size_t>(i)].data.ptr));
      }
    }
    report();
  }

 private:
  struct Wait {
    Member* member;
    std::uint64_t turn;
  };

  std::uint64_t due_ns(std::uint64_t index) const {
    return start_ns_ + index * kNsPerSecond / rate_;
  }
  bool counts(std::uint64_t due) const { return due >= due_ns(first_counted_); }

  void issue(std::uint64_t now) {
    for (; issued_ < total_ && due_ns(issued_) <= now; ++issued_) {
      const std::uint64_t due = due_ns(issued_);
      Member* member = free_member();
      if (member == nullptr) {
        if (counts(due)) {
          ++failed_;
          note(due, now, "failed");
        }
        continue;
      }
      member->due_ns = due;
      member->busy = true;
      ++member->turn;
      waiting_.push_back({member, member->turn});
      const ssize_t sent = ::send(member->fd, request_.data(), request_.size(), MSG_NOSIGNAL);
      if (sent != static_cast<ssize_t>(request_.size())) fail(*member);
    }
  }

  Member* free_member() {
    if (!idle_.empty()) {
      Member* member = idle_.back();
      idle_.pop_back();
      return member;
    }
    if (open_ == most_) return nullptr;
    Member* member = nullptr;
    if (gone_.empty()) {
      members_.push_back(std::make_unique<Member>());
      member = members_.back().get();
    } else {
      member = gone_.back();
      gone_.pop_back();
    }
    member->fd = connect_to(target_);
    set_non_blocking(member->fd);
    watch(epoll_fd_, EPOLL_CTL_ADD, member->fd, EPOLLIN, member);
    ++open_;
    return member;
  }

  void close(Member& member) {
    ::close(member.fd);
    member.fd = -1;
    member.busy = false;
    member.in.clear();
    --open_;
    gone_.push_back(&member);
  }

  // Who waits in order of his due time: the first is the first to lose patience.
  void leave(std::uint64_t now) {
    while (!waiting_.empty()) {
      Member& member = *waiting_.front().member;
      const bool over = !member.busy || member.turn != waiting_.front().turn;
      if (!over && now < member.due_ns + patience_ns_) return;
      waiting_.pop_front();
      if (over) continue;
      if (counts(member.due_ns)) {
        ++left_;
        note(member.due_ns, now, "left");
      }
      close(member);
    }
  }

  void fail(Member& member) {
    if (member.busy && counts(member.due_ns)) {
      ++failed_;
      note(member.due_ns, now_ns(), "failed");
    }
    std::erase(idle_, &member);
    close(member);
  }

  void receive(Member& member) {
    if (member.fd < 0) return;
    std::array<char, 16 * 1024> bytes;
    const ssize_t got = ::read(member.fd, bytes.data(), bytes.size());
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return fail(member);
    member.in.append(bytes.data(), static_cast<std::size_t>(got));
    const std::size_t head = member.in.find("\r\n\r\n");
    if (head == std::string::npos) return;
    if (member.in.size() < head + 4 + length_of(member.in, head)) return;
    count(member);
    member.busy = false;
    if (::strncasecmp(member.in.c_str(), "HTTP/1.1", 8) != 0 ||
        member.in.find("onnection: close") < head) {
      return close(member);
    }
    member.in.clear();
    idle_.push_back(&member);
  }

  static std::size_t length_of(const std::string& in, std::size_t head) {
    constexpr std::string_view kName = "\r\nContent-Length:";
    for (std::size_t at = in.find("\r\n"); at < head; at = in.find("\r\n", at + 2)) {
      if (::strncasecmp(in.data() + at, kName.data(), kName.size()) != 0) continue;
      std::size_t length = 0;
      const std::size_t digits = in.find_first_of("0123456789", at + kName.size());
      std::from_chars(in.data() + digits, in.data() + in.size(), length);
      return length;
    }
    return 0;
  }

  void count(Member& member) {
    if (!counts(member.due_ns)) return;
    const auto took_us = static_cast<std::uint32_t>((now_ns() - member.due_ns) / 1000);
    const bool served = member.in.size() > 9 && member.in[9] == '2';
    (served ? served_us_ : refused_us_).push_back(took_us);
    note(member.due_ns, now_ns(), std::string_view(member.in).substr(9, 3));
  }

  void note(std::uint64_t due, std::uint64_t now, std::string_view what) {
    if (!each_.is_open()) return;
    each_ << (due - start_ns_) / 1'000'000 << ' ' << (now - due) / 1000 << ' ' << what << '\n';
  }

  static std::uint32_t percentile(std::vector<std::uint32_t>& of, std::size_t percent) {
    if (of.empty()) return 0;
    const auto nth = of.begin() + static_cast<std::ptrdiff_t>((of.size() - 1) * percent / 100);
    std::nth_element(of.begin(), nth, of.end());
    return *nth;
  }

  void report() {
    std::printf(
        "{\"seconds\": %llu, \"served\": %zu, \"refused\": %zu, \"left\": %llu, \"failed\": %llu, "
        "\"p50_us\": %u, \"p99_us\": %u, \"refused_p99_us\": %u}\n",
        static_cast<unsigned long long>((total_ - first_counted_) / rate_), served_us_.size(),
        refused_us_.size(), static_cast<unsigned long long>(left_),
        static_cast<unsigned long long>(failed_), percentile(served_us_, 50),
        percentile(served_us_, 99), percentile(refused_us_, 99));
  }

  const Endpoint target_;
  std::string request_;
  const std::uint64_t rate_;
  const std::uint64_t total_;
  const std::uint64_t first_counted_;
  const std::uint64_t patience_ns_;
  const std::uint64_t most_;
  const int epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<Member*> idle_;
  std::vector<Member*> gone_;
  std::deque<Wait> waiting_;
  std::vector<std::uint32_t> served_us_;
  std::vector<std::uint32_t> refused_us_;
  std::ofstream each_;
  std::uint64_t start_ns_ = 0;
  std::uint64_t issued_ = 0;
  std::uint64_t open_ = 0;
  std::uint64_t left_ = 0;
  std::uint64_t failed_ = 0;
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  const weir::bench::Arguments arguments(argc, argv);
  weir::bench::Crowd(arguments).run();
}
