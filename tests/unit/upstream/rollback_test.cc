// When a canary is taken back, and when it is not.
#include "upstream/rollback.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <thread>

namespace weir::upstream {
namespace {

constexpr size_t kBase = 0;
constexpr size_t kCanary = 1;
constexpr uint64_t kFastUs = 10'000;

TEST_CASE("rollback: steps of latency are in order and leave nothing out") {
  size_t before = latency_step(0);
  CHECK(before == 0);
  for (uint64_t us = 1; us < 100'000'000; us += 1 + us / 1000) {
    const size_t step = latency_step(us);
    CHECK((step == before || step == before + 1));
    before = step;
  }
  CHECK(latency_step(UINT64_MAX) == LatencyCounts<uint32_t>::kSteps - 1);
}

TEST_CASE("rollback: quantiles are right to some per cent") {
  LatencyCounts<uint32_t> counts;
  CHECK(latency_quantile_us(counts, 0.95) == 0);
  for (uint64_t us = 1; us <= 100'000; ++us) ++counts.steps[latency_step(us)];
  for (const double quantile : {0.01, 0.5, 0.9, 0.95, 0.99}) {
    CHECK(std::abs(latency_quantile_us(counts, quantile) / (quantile * 100'000) - 1) < 0.05);
  }
}

struct World {
  explicit World(RollbackConfig config) : rollback("s", {"app", "canary", "next"}, config) {}

  // So many answers of an upstream within a second, of which the first ones are errors.
  void answer(size_t upstream, int count, int errors = 0, uint64_t latency_us = kFastUs) {
    for (int i = 0; i < count; ++i) rollback.note(upstream, i < errors, latency_us, now_ms);
  }
  // Time passes, and one more request makes somebody look.
  bool back(size_t upstream = kCanary, uint64_t passed_ms = 1000) {
    now_ms += passed_ms;
    rollback.note(kBase, false, kFastUs, now_ms);
    return rollback.is_rolled_back(upstream);
  }

  uint64_t now_ms = 1'000'000;
  Rollback rollback;
};

constexpr RollbackConfig kErrors = {.error_rate_over = 0.02, .min_requests = 100};
constexpr RollbackConfig kLatency = {.p95_over = 0.5, .min_requests = 100};

TEST_CASE("rollback: a canary with more errors than its base, by more than allowed") {
  World world(kErrors);
  world.answer(kBase, 1000, 10);  // 1 %
  world.answer(kCanary, 200, 5);  // 2.5 %
  CHECK_FALSE(world.back());
  world.answer(kCanary, 100, 5);  // 3.3 %
  CHECK(world.back());
  CHECK_FALSE(world.rollback.is_rolled_back(kBase));
  CHECK_FALSE(world.rollback.is_rolled_back(2));
  // It stays so, however good the next hours are.
  world.answer(kCanary, 10'000);
  CHECK(world.back(kCanary, 3'600'000));
}

TEST_CASE("rollback: a base that is as bad tells that the canary is not the reason") {
  World world(kErrors);
  world.answer(kBase, 1000, 500);
  world.answer(kCanary, 200, 100);
  CHECK_FALSE(world.back());
}

TEST_CASE("rollback: too few requests, or too few errors, tell nothing") {
  World few(kErrors);
  few.answer(kBase, 1000);
  few.answer(kCanary, 99, 99);
  CHECK_FALSE(few.back());
  few.answer(kCanary, 1, 1);
  CHECK(few.back());
  World no_base(kErrors);
  no_base.answer(kBase, 98);
  no_base.answer(kCanary, 1000, 500);
  CHECK_FALSE(no_base.back());
  CHECK(no_base.back());  // by then there are 100
  World chance(kErrors);
  chance.answer(kBase, 1000);
  chance.answer(kCanary, 100, 4);
  CHECK_FALSE(chance.back());
  chance.answer(kCanary, 1, 1);
  CHECK(chance.back());
}

TEST_CASE("rollback: what is older than the window is forgotten") {
  World world(kErrors);
  world.answer(kBase, 1000);
  world.answer(kCanary, 99, 50);
  CHECK_FALSE(world.back());
  CHECK_FALSE(world.back(kCanary, 66'000));
  world.answer(kBase, 1000);
  world.answer(kCanary, 99, 9);
  CHECK_FALSE(world.back());
  world.answer(kCanary, 1);  // would be 149 with those of before
  CHECK(world.back());
}

TEST_CASE("rollback: a p95 above the base's, by more than allowed") {
  World world(kLatency);
  world.answer(kBase, 1000, 0, kFastUs);
  world.answer(kCanary, 950, 0, kFastUs);
  world.answer(kCanary, 40, 0, 10 * kFastUs);  // 4 %
  CHECK_FALSE(world.back());
  world.answer(kCanary, 30, 0, 10 * kFastUs);
  CHECK(world.back());
  World by_little(kLatency);
  by_little.answer(kBase, 1000, 0, 20'000);
  by_little.answer(kCanary, 1000, 0, 27'000);
  CHECK_FALSE(by_little.back());
  World tiny(kLatency);  // three times as slow, but by less than a millisecond
  tiny.answer(kBase, 1000, 0, 200);
  tiny.answer(kCanary, 1000, 0, 600);
  CHECK_FALSE(tiny.back());
}

TEST_CASE("rollback: clients that leave unanswered have waited, and are no errors") {
  for (const bool by_errors : {true, false}) {
    World world(by_errors ? kErrors : kLatency);
    world.answer(kBase, 1000);
    for (int i = 0; i < 100; ++i) world.rollback.note_left(kCanary, 50 * kFastUs, world.now_ms);
    CHECK(world.back() != by_errors);
  }
  World both(kLatency);
  for (int i = 0; i < 1000; ++i) {
    both.rollback.note_left(i % 2 == 0 ? kBase : kCanary, 50 * kFastUs, both.now_ms);
  }
  CHECK_FALSE(both.back());
}

TEST_CASE("rollback: a split that is new begins anew") {
  World world(kErrors);
  world.answer(kBase, 1000);
  world.answer(kCanary, 1000, 500);
  CHECK(world.back());
  world.rollback.begin_anew();
  CHECK_FALSE(world.rollback.is_rolled_back(kCanary));
  world.answer(kBase, 1000);
  CHECK_FALSE(world.back());
  world.answer(kCanary, 1000, 500);
  CHECK(world.back());
}

TEST_CASE("rollback: workers count together", "[threads]") {
  World world(kErrors);
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&world] {
      for (uint64_t n = 0; n < 10'000; ++n) {
        world.rollback.note(n % 2, n % 2 == kCanary && n % 10 == 1, kFastUs, world.now_ms + n);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(world.rollback.is_rolled_back(kCanary));
  CHECK_FALSE(world.rollback.is_rolled_back(kBase));
}

}  // namespace
}  // namespace weir::upstream
