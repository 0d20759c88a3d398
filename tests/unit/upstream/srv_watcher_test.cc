// SRV records without a name server that answers; what DNS itself says is tested end to end.
#include "upstream/srv_watcher.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "support/sockets.h"

namespace weir::upstream {
namespace {

using Clock = std::chrono::steady_clock;

const SrvName kName = {"_http._tcp.app.test", 0};

TEST_CASE("srv watcher: a list of servers that is none is why there are no records",
          "[threads][srv]") {
  SrvWatcher watcher("nonsense");
  const SrvList list = watcher.list(kName, 5'000);
  CHECK(list.records.empty());
  CHECK(list.error == "\"nonsense\" is no list of name servers");
  CHECK(list.version == watcher.version(kName));
  watcher.keep({});
  CHECK(watcher.version(kName) == 0);
}

TEST_CASE("srv watcher: it ends at once, with questions under way, or none ever",
          "[threads][srv]") {
  const SrvWatcher unused("127.0.0.1:9");
  weir::test::Socket silent(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in any = {};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(silent.fd(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) == 0);
  auto watcher =
      std::make_unique<SrvWatcher>("127.0.0.1:" + std::to_string(weir::test::port_of(silent)));
  std::string errors[2];
  std::thread other([&] { errors[0] = watcher->list({"other.test", 0}, 50).error; });
  errors[1] = watcher->list(kName, 50).error;
  other.join();
  for (const std::string& error : errors) CHECK(error == "no answer yet");
  const Clock::time_point start = Clock::now();
  watcher.reset();
  CHECK(Clock::now() - start < std::chrono::seconds(2));
}

}  // namespace
}  // namespace weir::upstream
