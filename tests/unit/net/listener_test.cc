#include "net/listener.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/clock.h"
#include "net/open_files.h"
#include "net/worker.h"
#include "support/sockets.h"
#include "support/temporary_folder.h"

namespace weir::net {
namespace {

using test::Socket;

constexpr uint64_t kPatienceMs = 5'000;

struct Acceptor final : Listener::Acceptor {
  void on_accepted(Listener&, int fd, const SocketAddress& from) override {
    accepted.emplace_back(fd);
    peers.push_back(from);
  }
  std::vector<Socket> accepted;
  std::vector<SocketAddress> peers;
};

// A worker on this thread with one listener; the loop goes around by hand.
class World {
 public:
  explicit World(const SocketAddress& address, bool uses_reserve = false)
      : listener_(std::make_unique<Listener>(
            worker_, acceptor_, open_listening_socket(address).value(), 7, uses_reserve)) {
    wake_again();
  }
  ~World() {
    if (listener_ != nullptr) end();
  }
  void end() {
    Turn turn(worker_);
    listener_->end();
    listener_->end();  // twice is once
    worker_.bury(std::move(listener_));
  }
  // Goes around until `holds`, counting how often.
  bool run_until(const std::function<bool()>& holds, uint64_t patience_ms = kPatienceMs) {
    const uint64_t until_ms = monotonic_ms() + patience_ms;
    while (!holds() && monotonic_ms() < until_ms) {
      uv_run(worker_.loop(), UV_RUN_ONCE);
      ++iterations;
    }
    return holds();
  }
  Listener& listener() { return *listener_; }
  Acceptor& acceptor() { return acceptor_; }
  uint16_t port() const { return listener_->address().port(); }

  int iterations = 0;

 private:
  // The loop never sleeps for longer than this, so that run_until() can give up.
  static constexpr uint64_t kNapMs = 40;
  void wake_again() { nap_.arm_ms(kNapMs); }

  Worker worker_{0};
  Acceptor acceptor_;
  std::unique_ptr<Listener> listener_;
  Timer nap_{worker_.timers(), this, &Timer::call<World, &World::wake_again>};
};

// Leaves this process no descriptor for another socket.
class DescriptorsUsedUp {
 public:
  DescriptorsUsedUp() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next_free = dup(0);
    close(next_free);
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(next_free);
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = dup(0); fd >= 0; fd = dup(0)) fillers_.emplace_back(fd);  // holes below the limit
  }
  ~DescriptorsUsedUp() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
  std::vector<Socket> fillers_;
};

TEST_CASE("a listener hands on every client, with its address, and how it is to behave") {
  World world(parse_address("127.0.0.1:0").value());
  CHECK(world.listener().slot() == 7);
  std::vector<Socket> clients;
  constexpr int kOverItsBudget = 100;
  for (int i = 0; i < kOverItsBudget; ++i) clients.push_back(test::connect_to(world.port()));
  REQUIRE(world.run_until([&] { return world.acceptor().accepted.size() == clients.size(); }));
  for (size_t i = 0; i < clients.size(); ++i) {
    CHECK(world.acceptor().peers[i].port() == test::port_of(clients[i]));
    const int fd = world.acceptor().accepted[i].fd();
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    int no_delay = 0;
    socklen_t length = sizeof(no_delay);
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length);
    CHECK(no_delay != 0);
  }
}

TEST_CASE("out of descriptors a listener pauses, does not spin, and takes up again") {
  World world(parse_address("127.0.0.1:0").value());
  Socket first = test::connect_to(world.port());
  REQUIRE(world.run_until([&] { return world.acceptor().accepted.size() == 1; }));
  Socket waits = test::connect_to(world.port());
  {
    const DescriptorsUsedUp none_left;
    world.iterations = 0;
    constexpr uint64_t kLongMs = 350;
    CHECK_FALSE(world.run_until([&] { return world.acceptor().accepted.size() == 2; }, kLongMs));
    CHECK(world.iterations < 40);  // a few per pause of 100 ms, not thousands
  }
  CHECK(world.run_until([&] { return world.acceptor().accepted.size() == 2; }));
}

TEST_CASE("a listener keeps descriptors back, unless it is told to use them") {
  for (const bool uses_reserve : {false, true}) {
    CAPTURE(uses_reserve);
    constexpr rlim_t kLimit = 64;
    constexpr int kForClients = 48;
    rlimit before = {};
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit lowered = {kLimit, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &lowered) == 0);
    CHECK(descriptors_for_clients() == kForClients);
    {
      World world(parse_address("127.0.0.1:0").value(), uses_reserve);
      std::vector<Socket> fillers;
      while (fillers.empty() || fillers.back().fd() < kForClients) fillers.emplace_back(dup(0));
      std::vector<Socket> clients;
      for (int i = 0; i < 3; ++i) clients.push_back(test::connect_to(world.port()));
      const auto all_in = [&] { return world.acceptor().accepted.size() == clients.size(); };
      CHECK(world.run_until(all_in, 350) == uses_reserve);
      CHECK(world.acceptor().accepted.size() == (uses_reserve ? 3 : 1));
      CHECK(world.iterations < 40);
      fillers.clear();
      CHECK(world.run_until(all_in));
    }
    setrlimit(RLIMIT_NOFILE, &before);
  }
}

TEST_CASE("a listener that ended takes nobody, even when it was paused") {
  World world(parse_address("127.0.0.1:0").value());
  const uint16_t port = world.port();
  Socket client = test::connect_to(port);
  {
    const DescriptorsUsedUp none_left;
    constexpr uint64_t kShortMs = 30;
    world.run_until([] { return false; }, kShortMs);
  }
  world.end();
  CHECK_FALSE(world.run_until([&] { return !world.acceptor().accepted.empty(); }, 250));
  CHECK_FALSE(test::connect_to(port).valid());
}

TEST_CASE("two sockets share a port; one that is taken without that is refused") {
  const int first = open_listening_socket(parse_address("127.0.0.1:0").value()).value();
  const SocketAddress address = bound_address(first);
  const int second = open_listening_socket(address).value();
  CHECK(bound_address(second) == address);
  close(first);
  close(second);

  const Socket other = test::listen_anywhere();  // without SO_REUSEPORT
  const std::string taken = "127.0.0.1:" + std::to_string(test::port_of(other));
  Result<int> refused = open_listening_socket(parse_address(taken).value());
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error() == "cannot listen on " + taken + ": Address already in use");
}

int option_of(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof(value);
  REQUIRE(getsockopt(fd, level, name, &value, &length) == 0);
  return value;
}

TEST_CASE("accepted sockets are probed as the listener was told, and may be told again") {
  const int fd =
      open_listening_socket(parse_address("127.0.0.1:0").value(), {.keepalive_s = 60}).value();
  const auto accepted_option = [fd](int level, int name) {
    const Socket client = test::connect_to(bound_address(fd).port());
    Socket accepted;
    for (int i = 0; i < 500 && !accepted.valid(); ++i) {
      accepted = Socket(accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (!accepted.valid()) usleep(10'000);
    }
    REQUIRE(accepted.valid());
    return option_of(accepted.fd(), level, name);
  };
  CHECK(accepted_option(SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(accepted_option(IPPROTO_TCP, TCP_KEEPIDLE) == 60);
  CHECK(accepted_option(IPPROTO_TCP, TCP_KEEPINTVL) == 15);
  CHECK(accepted_option(IPPROTO_TCP, TCP_KEEPCNT) == 4);
  CHECK(tune_listening_socket(fd, {.keepalive_s = 0}));
  CHECK(accepted_option(SOL_SOCKET, SO_KEEPALIVE) == 0);
  close(fd);
}

TEST_CASE("an IPv6 socket takes IPv4 clients when it is told to") {
  for (const bool v6_only : {true, false}) {
    Result<int> fd = open_listening_socket(parse_address("[::]:0").value(), {.v6_only = v6_only});
    if (!fd.ok()) return;  // a host without IPv6
    CHECK(test::connect_to(bound_address(fd.value()).port()).valid() == !v6_only);
    close(fd.value());
  }
}

TEST_CASE("a unix socket has the mode that was asked for, whatever the umask") {
  const TemporaryFolder folder;
  const SocketAddress address = parse_address("unix:" + folder.file("s")).value();
  for (const mode_t mask : {mode_t{0}, mode_t{0077}}) {
    const mode_t before = umask(mask);
    const Socket socket(open_listening_socket(address, {.unix_mode = 0660}).value());
    umask(before);
    struct stat about = {};
    REQUIRE(stat(address.unix_path.sun_path, &about) == 0);
    CHECK((about.st_mode & 07777) == 0660);
    unlink(address.unix_path.sun_path);
  }
}

TEST_CASE("a unix path that nobody listens on is taken over, another is not") {
  const TemporaryFolder folder;
  const SocketAddress address = parse_address("unix:" + folder.file("s")).value();
  Result<int> died = open_listening_socket(address);
  REQUIRE(died.ok());
  CHECK_FALSE(open_listening_socket(address).ok());  // somebody listens
  close(died.value());
  Result<int> again = open_listening_socket(address);
  REQUIRE(again.ok());
  close(again.value());

  const SocketAddress file = parse_address("unix:" + folder.file("file")).value();
  close(open(file.unix_path.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  CHECK_FALSE(open_listening_socket(file).ok());  // no socket at all: left alone
  CHECK(access(file.unix_path.sun_path, F_OK) == 0);
}

}  // namespace
}  // namespace weir::net
