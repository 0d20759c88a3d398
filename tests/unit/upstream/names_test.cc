// Names without a name server that answers; what DNS itself says is tested end to end.
#include "upstream/names.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "support/sockets.h"

namespace weir::upstream {
namespace {

using Clock = std::chrono::steady_clock;

NameWatch watch_of(const std::string& host, uint16_t port) {
  const std::string address = host + ":" + std::to_string(port);
  return {std::make_shared<EndpointState>("app", address, 0), host, port, 0};
}

uint64_t ms_since(Clock::time_point start) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count());
}

// Takes questions and never answers.
weir::test::Socket silent_server() {
  weir::test::Socket socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in any = {};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(socket.fd(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) == 0);
  return socket;
}

TEST_CASE("names: localhost needs no name server; servers have their ports", "[threads][names]") {
  NameWatcher watcher("127.0.0.1:9");
  const std::vector<NameWatch> watches = {watch_of("localhost", 80), watch_of("localhost", 81)};
  CHECK(watcher.watch(watches) == std::vector<std::string>{"", ""});
  for (const NameWatch& watch : watches) {
    REQUIRE(watch.state->has_address());
    for (const net::SocketAddress& address : *watch.state->addresses()) {
      CHECK(address.port() == watch.port);
    }
  }
  const NameWatch later = watch_of("localhost", 82);
  CHECK(watcher.watch({later}) == std::vector<std::string>{""});
  CHECK(later.state->addresses()->front().port() == 82);
}

TEST_CASE("names: a list of servers that is none is why nothing resolves", "[threads][names]") {
  NameWatcher watcher("nonsense");
  CHECK(watcher.watch({watch_of("app.test", 80)}) ==
        std::vector<std::string>{"\"nonsense\" is no list of name servers"});
}

TEST_CASE("names: a silent server costs the first look-up's time, and the end none",
          "[threads][names]") {
  const weir::test::Socket silent = silent_server();
  const std::string address = "127.0.0.1:" + std::to_string(weir::test::port_of(silent));
  auto watcher = std::make_unique<NameWatcher>(address);
  const std::vector<NameWatch> watches = {watch_of("a.test", 80), watch_of("b.test", 80)};
  Clock::time_point start = Clock::now();
  CHECK(watcher->watch(watches) == std::vector<std::string>{"no answer yet", "no answer yet"});
  CHECK(ms_since(start) >= limits::kFirstLookUpMs);
  CHECK(ms_since(start) < 3 * limits::kFirstLookUpMs);
  CHECK_FALSE(watches[0].state->has_address());
  start = Clock::now();
  watcher.reset();
  CHECK(ms_since(start) < 1'000);
}

TEST_CASE("names: no names, no thread and no wait", "[names]") {
  NameWatcher watcher("");
  CHECK(watcher.watch({}).empty());
}

}  // namespace
}  // namespace weir::upstream
