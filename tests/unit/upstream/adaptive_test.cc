// concurrency: adaptive against servers that exist as a formula: `slots` requests take `service`,
// more of them wait inside.
#include "upstream/adaptive.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <thread>
#include <vector>

namespace weir::upstream {
namespace {

struct Servers {
  double slots = 20;
  double service_us = 10'000;
  double latency_us(double in_flight) const {
    return in_flight <= slots ? service_us : service_us * in_flight / slots;
  }
};

// Runs the law for a while with more demand than the limit lets through, or with less.
class World {
 public:
  uint32_t run(const Servers& servers, double seconds, double demand = 1e9, uint64_t failures = 0) {
    for (double at = 0; at < seconds; at += 0.1) {
      now_us_ += AdaptiveLaw::kWindowUs;
      const double in_flight = std::min<double>(limit_, demand);
      const double latency_us = servers.latency_us(in_flight);
      AdaptiveLaw::Window window;
      window.answers = 100;
      window.total_us = static_cast<uint64_t>(100 * latency_us);
      window.failures = failures;
      window.in_flight = static_cast<uint32_t>(in_flight);
      limit_ = law_.update(now_us_, window, highest);
      lowest_seen = std::min(lowest_seen, limit_);
      highest_seen = std::max(highest_seen, limit_);
    }
    return limit_;
  }

  uint32_t highest = 1000;
  uint32_t lowest_seen = UINT32_MAX;
  uint32_t highest_seen = 0;

 private:
  AdaptiveLaw law_;
  uint64_t now_us_ = 1'000'000;
  uint32_t limit_ = static_cast<uint32_t>(AdaptiveLaw::kFirst);
};

TEST_CASE("adaptive: settles above what the servers take, and not far above") {
  for (const double slots : {8.0, 20.0, 100.0, 400.0}) {
    CAPTURE(slots);
    World world;
    const uint32_t limit = world.run({slots}, 145);
    CHECK(limit >= slots);            // they are all busy
    CHECK(limit <= 2.5 * slots + 8);  // and little waits inside them
  }
}

TEST_CASE("adaptive: an overload that lasts does not teach it to like being slow") {
  World world;
  world.run({20}, 25);
  world.highest_seen = 0;
  world.run({20}, 600);
  CHECK(world.highest_seen <= 60);
  CHECK(world.lowest_seen >= 10);
}

TEST_CASE("adaptive: follows servers that get slower, and faster again") {
  World world;
  world.run({100}, 25);
  const uint32_t less = world.run({25}, 25);
  CHECK(less <= 80);
  CHECK(less >= 25);
  CHECK(world.run({100}, 90) >= 100);
}

TEST_CASE("adaptive: a limit that is not used does not grow") {
  World world;
  CHECK(world.run({100}, 60, 5) <= AdaptiveLaw::kFirst);
}

TEST_CASE("adaptive: stays between its bounds") {
  World world;
  world.highest = 50;
  CHECK(world.run({1000}, 20) == 50);
  CHECK(world.run({1000}, 20, 1e9, 50) == AdaptiveLaw::kLowest);  // half of the answers are late
  world.highest = 2;
  CHECK(world.run({1000}, 1) == 2);
}

TEST_CASE("adaptive: many workers note, one of them computes", "[threads]") {
  AdaptiveLimit limit;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      uint64_t now_us = 1'000'000;
      for (int i = 0; i < 20'000; ++i) limit.note(now_us += 100, 10'000, false, 1000);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(limit.limit() > AdaptiveLaw::kFirst);
}

}  // namespace
}  // namespace weir::upstream
