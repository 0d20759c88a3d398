#include "filters/rate_limit/table.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "base/siphash.h"

namespace weir::filters::rate_limit {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kStart = 1'000'000'000'000;
const Rule kTenASecond = Rule::token_bucket(10, 1000, 20, 0);

uint64_t tag_of(uint64_t number) {
  static const SipKey key(1, 2);
  return key.hash({reinterpret_cast<const char*>(&number), sizeof(number)}).low;
}

struct World {
  explicit World(size_t slots) : table(slots, stats) {}
  bool admits(uint64_t tag, uint64_t now_ns, const Rule& rule = kTenASecond) {
    return table.take(tag, rule, now_ns).decision.result == Result::kAllowed;
  }
  int admitted_of(int requests, uint64_t tag, uint64_t now_ns, const Rule& rule = kTenASecond) {
    int count = 0;
    for (int i = 0; i < requests; ++i) count += admits(tag, now_ns, rule);
    return count;
  }
  proxy::LimitStats stats;
  Table table;
};

TEST_CASE("rate limit table: each key has a bucket of its own") {
  World world(1024);
  for (uint64_t key = 0; key < 100; ++key) {
    CHECK(world.admitted_of(60, tag_of(key), kStart) == 21);
  }
  CHECK(world.stats.keys == 100);
  CHECK(world.stats.evictions == 0);
  CHECK(world.admitted_of(30, 0, kStart) == 21);  // a hash may be anything
}

TEST_CASE("rate limit table: a look changes nothing, what is given back is there again") {
  World world(1024);
  for (int i = 0; i < 50; ++i) {
    CHECK(world.table.look(7, kTenASecond, kStart).result == Result::kAllowed);
  }
  CHECK(world.stats.keys == 0);
  CHECK(world.admitted_of(60, 7, kStart) == 21);
  CHECK(world.table.look(7, kTenASecond, kStart).result == Result::kRefused);
  const Table::Answer answer = world.table.take(8, kTenASecond, kStart);
  world.table.give_back(8, kTenASecond, answer.receipt, kStart);
  CHECK(world.admitted_of(60, 8, kStart) == 21);
  world.table.give_back(9, kTenASecond, answer.receipt, kStart);  // never seen
  CHECK(world.admitted_of(60, 9, kStart) == 21);
}

TEST_CASE("rate limit table: a key that is forgotten begins anew, blocked or not") {
  World world(1024);
  const Rule window = Rule::fixed_window(5, 900'000, 0);
  const Rule blocking = Rule::token_bucket(10, 1000, 20, 900'000);
  world.table.forget(7);  // never seen
  for (const Rule& rule : {kTenASecond, window, blocking}) {
    const int all = rule.algorithm == Algorithm::kFixedWindow ? 5 : 21;
    CHECK(world.admitted_of(60, 7, kStart, rule) == all);
    CHECK(world.admitted_of(60, 8, kStart, rule) == all);
    world.table.forget(7);
    CHECK(world.admitted_of(60, 7, kStart, rule) == all);
    CHECK(world.admitted_of(60, 8, kStart, rule) == 0);
    world.table.forget(7);
    world.table.forget(8);
  }
  const Table::Answer answer = world.table.take(7, kTenASecond, kStart);
  world.table.forget(7);
  world.table.give_back(7, kTenASecond, answer.receipt, kStart);
  CHECK(world.admitted_of(60, 7, kStart) == 21);
}

// Where all eight slots of a key are taken, one is forgotten: of a million keys that fill half the
// table, three.
TEST_CASE("rate limit table: a million keys have room, all but a handful") {
  World world(1 << 21);
  constexpr uint64_t kKeys = 1'000'000;
  const Rule rule = Rule::token_bucket(1, 3'600'000, 0, 0);
  uint64_t admitted = 0;
  for (uint64_t key = 0; key < kKeys; ++key) admitted += world.admits(tag_of(key), kStart, rule);
  CHECK(admitted == kKeys);
  const uint64_t forgotten = world.stats.evictions;
  CHECK(forgotten <= 10);
  CHECK(world.stats.keys == kKeys - forgotten);
  admitted = 0;
  for (uint64_t key = 0; key < kKeys; ++key) admitted += world.admits(tag_of(key), kStart, rule);
  CHECK(admitted <= 2 * forgotten);  // who comes again may push another one out
}

TEST_CASE("rate limit table: a flood of new keys takes no more room, and forgets its own") {
  World world(1024);
  // Of every kind that must outlast it: who comes again and again, and who is blocked.
  const Rule blocking = Rule::token_bucket(1, 1000, 0, 60'000);
  for (uint64_t key = 0; key < 100; ++key) {
    world.admitted_of(3, tag_of(key), kStart);
    world.admitted_of(3, tag_of(1000 + key), kStart, blocking);
  }
  const Rule slow = Rule::token_bucket(1, 3'600'000, 0, 0);  // remembers longer than they do
  for (uint64_t key = 0; key < 200'000; ++key) {
    CHECK(world.admits(tag_of(1'000'000 + key), kStart, slow));
    if (key % 100 != 0) continue;
    for (uint64_t kept = 0; kept < 100; ++kept) {
      world.admits(tag_of(kept), kStart);
      world.admits(tag_of(1000 + kept), kStart, blocking);
    }
  }
  CHECK_FALSE(world.admits(tag_of(1'000'000 + 199'999), kStart, slow));  // the newest is limited
  CHECK(world.stats.keys <= 1024);
  CHECK(world.stats.evictions > 190'000);
  uint64_t kept_limits = 0;
  uint64_t kept_blocks = 0;
  for (uint64_t key = 0; key < 100; ++key) {
    kept_limits += !world.admits(tag_of(key), kStart);
    kept_blocks += !world.admits(tag_of(1000 + key), kStart, blocking);
  }
  CHECK(kept_limits >= 95);
  CHECK(kept_blocks >= 95);
}

TEST_CASE("rate limit table: who came only once is forgotten before who came again") {
  World world(1024);
  const Rule rule = Rule::token_bucket(1, 3'600'000, 1, 0);
  for (uint64_t key = 0; key < 200; ++key) world.admitted_of(2, tag_of(key), kStart, rule);
  const Rule longer = Rule::token_bucket(1, 36'000'000, 1, 0);
  for (uint64_t key = 0; key < 100'000; ++key) {
    world.admits(tag_of(1'000'000 + key), kStart, longer);
  }
  uint64_t kept = 0;
  for (uint64_t key = 0; key < 200; ++key) kept += !world.admits(tag_of(key), kStart, rule);
  CHECK(kept == 200);
}

TEST_CASE("rate limit table: who has rested makes room first") {
  World world(1024);
  for (uint64_t key = 0; key < 5'000; ++key) {
    world.admitted_of(2, tag_of(key), kStart + key * 100 * kMs);
  }
  CHECK(world.stats.keys <= 1024);
  CHECK(world.stats.evictions == 0);
}

// Exactly as many are admitted as by one thread: an exchange that fails is tried again.
TEST_CASE("rate limit table: threads share a bucket to the last token", "[threads]") {
  World world(1024);
  constexpr int kThreads = 4;
  const Rule rule = Rule::token_bucket(1, 3'600'000, 4999, 0);
  const Rule window = Rule::fixed_window(5000, 3'600'000, 0);
  std::atomic<int> admitted{0};
  std::atomic<int> admitted_by_window{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 2000; ++n) {
        admitted += world.admits(1, kStart, rule);
        admitted_by_window += world.admits(2, kStart, window);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(admitted == 5000);
  CHECK(admitted_by_window == 5000);
}

TEST_CASE("rate limit table: what threads give back is there again, to the last token",
          "[threads]") {
  World world(1024);
  const Rule rule = Rule::fixed_window(3, 3'600'000, 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5000; ++n) {
        const Table::Answer answer = world.table.take(1, rule, kStart);
        if (answer.decision.result != Result::kAllowed) continue;
        world.table.give_back(1, rule, answer.receipt, kStart);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(world.admitted_of(9, 1, kStart, rule) == 3);
}

// Slots change hands under those who use them: nobody gets more than the quota of one that is kept,
// and nothing breaks.
TEST_CASE("rate limit table: threads that need the same slots", "[threads]") {
  World world(1024);
  const Rule rule = Rule::token_bucket(1, 3'600'000, 9, 0);
  std::atomic<uint64_t> admitted{0};
  constexpr uint64_t kKeys = 3000;
  constexpr uint64_t kEach = 20'000;
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (uint64_t n = 0; n < kEach; ++n) {
        admitted += world.admits(tag_of((n * 7 + i * 1000) % kKeys), kStart, rule);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(world.stats.keys <= 1024);
  CHECK(admitted <= 4 * kEach);
  CHECK(admitted >= 10'000);
}

}  // namespace
}  // namespace weir::filters::rate_limit
