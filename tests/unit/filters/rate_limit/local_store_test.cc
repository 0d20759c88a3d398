#include "filters/rate_limit/local_store.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "filters/rate_limit/places.h"

namespace weir::filters::rate_limit {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kStart = 1'000'000'000'000;

Limit limit_of(const Rule& rule) {
  Limit limit;
  limit.rule = rule;
  return limit;
}

struct World {
  proxy::LimitStats stats;
  LocalStore store{1024, stats};
};

TEST_CASE("rate limit: where one limit refuses none is charged, whatever the order") {
  const Limit wide = limit_of(Rule::token_bucket(10, 1000, 9, 0));
  const Limit narrow = limit_of(Rule::token_bucket(1, 1000, 1, 0));
  for (const bool narrow_first : {false, true}) {
    World world;
    std::vector<Charge> charges = {Charge{&wide, 1, {}}, Charge{&narrow, 2, {}}};
    if (narrow_first) std::swap(charges[0], charges[1]);
    int admitted = 0;
    for (int i = 0; i < 50; ++i) admitted += world.store.take(charges, kStart);
    CHECK(admitted == 2);
    for (const Charge& charge : charges) {
      CHECK_FALSE(charge.charged);
      CHECK((charge.decision.result == Result::kRefused) == (charge.limit == &narrow));
    }
    std::vector<Charge> alone = {Charge{&wide, 1, {}}};
    admitted = 0;
    for (int i = 0; i < 50; ++i) admitted += world.store.take(alone, kStart);
    CHECK(admitted == 8);
  }
}

TEST_CASE("rate limit: who is refused by several is blocked by each that blocks") {
  World world;
  const Limit blocking = limit_of(Rule::token_bucket(1, 1000, 0, 5000));
  const Limit plain = limit_of(Rule::token_bucket(1, 1000, 0, 0));
  std::vector<Charge> charges = {Charge{&blocking, 1, {}}, Charge{&plain, 2, {}}};
  CHECK(world.store.take(charges, kStart));
  CHECK_FALSE(world.store.take(charges, kStart));
  CHECK(charges[0].decision.wait_ns == 5000 * kMs);
  CHECK(charges[1].decision.wait_ns == 1000 * kMs);
  CHECK_FALSE(world.store.take(charges, kStart + 4999 * kMs));
  CHECK(world.store.take(charges, kStart + 5000 * kMs));
}

TEST_CASE("rate limit: threads with two limits get what the narrow one has, and charge no more",
          "[threads]") {
  World world;
  const Limit wide = limit_of(Rule::token_bucket(1, 3'600'000, 99'999, 0));
  const Limit narrow = limit_of(Rule::token_bucket(1, 3'600'000, 999, 0));
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      std::vector<Charge> charges = {Charge{&wide, 1, {}}, Charge{&narrow, 2, {}}};
      for (int n = 0; n < 1000; ++n) admitted += world.store.take(charges, kStart);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(admitted == 1000);
  std::vector<Charge> alone = {Charge{&wide, 1, {}}};
  CHECK(world.store.take(alone, kStart));
  CHECK(alone[0].decision.used == 1001);
}

TEST_CASE("rate limit: places to wait in, per key and in all") {
  proxy::LimitStats stats;
  Places places(5, stats);
  CHECK(places.enter(1, 2));
  CHECK(places.enter(1, 2));
  CHECK_FALSE(places.enter(1, 2));
  CHECK(places.enter(17, 2));  // of the same shard
  CHECK(places.enter(2, 2));
  CHECK(places.enter(3, 2));
  CHECK_FALSE(places.enter(4, 2));
  CHECK(stats.delayed == 5);
  places.leave(1);
  CHECK(places.enter(1, 2));
  places.leave(3);
  CHECK(places.enter(4, 2));
  for (const uint64_t bucket : {1, 1, 17, 2, 4}) places.leave(bucket);
  CHECK(stats.delayed == 0);
  for (int i = 0; i < 5; ++i) CHECK(places.enter(9, 5));
}

TEST_CASE("rate limit: how long a request waits") {
  Delay delay = {.after = 50, .by_ms = 500, .max_ms = 5000};
  CHECK(delay.of(1) == 0);
  CHECK(delay.of(50) == 0);
  CHECK(delay.of(51) == 500);
  CHECK(delay.of(52) == 1000);
  CHECK(delay.of(60) == 5000);
  CHECK(delay.of(1'000'000'000) == 5000);
  delay.growing = false;
  CHECK(delay.of(50) == 0);
  CHECK(delay.of(51) == 500);
  CHECK(delay.of(100) == 500);
  CHECK(Delay().of(1000) == 0);
}

}  // namespace
}  // namespace weir::filters::rate_limit
