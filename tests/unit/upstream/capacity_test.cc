// max_connections: how many requests at once a server gets, from one worker and from many.
#include <catch2/catch.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "balance_world.h"
#include "upstream/health.h"

namespace weir::upstream {
namespace {

using test::kNow;
using test::World;

TEST_CASE("max_connections: a full server is skipped, and all full is told apart from all down") {
  for (const Balance balance :
       {Balance::kLeastConn, Balance::kRoundRobin, Balance::kRandomTwo, Balance::kHash}) {
    CAPTURE(static_cast<int>(balance));
    World world(balance);
    world.add("a").max_connections = 2;
    world.add("b").max_connections = 3;
    build_hash_tables(world.cluster());
    const auto pick = [&] { return world.pick(kNow, nullptr, 1); };
    for (int i = 0; i < 5; ++i) CHECK(pick().size() == 1);
    CHECK(world.in_flight(0) == 2);
    CHECK(world.in_flight(1) == 3);
    CHECK(pick() == "full");
    Balancer::release(world.server(1));
    CHECK(pick() == "b");
    note_failure(world.server(0), kNow);
    note_failure(world.server(1), kNow);
    Balancer::release(world.server(0));
    CHECK(pick() == "a");  // all down: the last resort keeps to the cap, too
    CHECK(pick() == "full");
  }
}

TEST_CASE("max_connections: backups help out, servers that are down do not") {
  World world(Balance::kLeastConn);
  world.add("a").max_connections = 1;
  world.add("down");
  Server& backup = world.add("backup");
  backup.backup = true;
  backup.max_connections = 1;
  note_failure(world.server(1), kNow);
  CHECK(world.pick() == "a");
  CHECK(world.pick() == "backup");
  CHECK(world.pick() == "full");
  CHECK(world.in_flight(1) == 0);
}

TEST_CASE("max_connections: the lightest for its weight may be full while others have room") {
  World world(Balance::kLeastConn);
  world.add("heavy", 100).max_connections = 1;
  world.add("light", 1);
  CHECK(world.pick() == "heavy");
  for (int i = 0; i < 5; ++i) CHECK(world.pick() == "light");
}

TEST_CASE("max_connections: a full server does not lose its trial") {
  World world(Balance::kLeastConn);
  Server& server = world.add("a");
  server.max_connections = 1;
  note_failure(server, kNow);
  server.state->in_flight = 1;  // a tunnel from before
  const uint64_t later_ms = kNow + server.fail_timeout_ms;
  CHECK(world.pick(later_ms) == "full");
  server.state->in_flight = 0;
  CHECK(standing(server, later_ms) == Standing::kTrialDue);
  CHECK(world.pick(later_ms) == "a");
}

TEST_CASE("max_connections holds whatever many workers do at once", "[threads]") {
  constexpr uint32_t kCap = 3;
  constexpr int kThreads = 4;
  constexpr int kRounds = 5'000;
  World world(Balance::kLeastConn);
  world.add("a").max_connections = kCap;
  world.add("b").max_connections = kCap;
  std::atomic<uint32_t> above{0};
  std::atomic<int> served{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      Balancer own;
      for (int i = 0; i < kRounds; ++i) {
        const Pick first = own.pick(world.cluster(), kNow, {});
        const Pick second = own.pick(world.cluster(), kNow, {});
        for (size_t s = 0; s < 2; ++s) above += world.in_flight(s) > kCap ? 1 : 0;
        for (const Pick& pick : {first, second}) {
          if (pick.server == nullptr) continue;
          ++served;
          Balancer::release(*pick.server);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(above == 0);
  CHECK(served > kThreads * kRounds / 2);
  CHECK(world.in_flight(0) == 0);
  CHECK(world.in_flight(1) == 0);
}

}  // namespace
}  // namespace weir::upstream
