// A limit without its store: shares that make up the whole, and what of them the store is told.
#include "filters/rate_limit/share.h"

#include <catch2/catch.hpp>

namespace weir::filters::rate_limit {
namespace {

constexpr uint64_t kNowNs = 1'000'000'000'000;

uint64_t admitted_at_once(const Rule& rule, uint64_t& word, uint64_t now_ns) {
  uint64_t count = 0;
  for (;;) {
    const Taken taken = take(rule, word, now_ns);
    word = taken.word;
    if (taken.decision.result != Result::kAllowed) return count;
    ++count;
  }
}

uint64_t admitted_at_once(const Rule& rule) {
  uint64_t word = 0;
  return admitted_at_once(rule, word, kNowNs);
}

TEST_CASE("share: one instance has it all") {
  for (const Rule& rule : {Rule::token_bucket(10, 1000, 20, 0), Rule::fixed_window(7, 1000, 0)}) {
    CHECK(admitted_at_once(share_of(rule, 1)) == admitted_at_once(rule));
  }
}

TEST_CASE("share: of a bucket the rate and what is admitted at once, in parts") {
  const Rule rule = Rule::token_bucket(100, 1000, 19, 0);
  const Rule share = share_of(rule, 4);
  uint64_t word = 0;
  CHECK(admitted_at_once(share, word, kNowNs) == 5);
  CHECK(admitted_at_once(share, word, kNowNs + 1'000'000'000) == 5);  // no more than that
  uint64_t count = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    count += admitted_at_once(share, word, kNowNs + 2'000'000'000 + i * 10'000'000);
  }
  CHECK(count >= 250);  // 10 s of a quarter of 100/s
  CHECK(count <= 256);
  CHECK(share.quota == 5);
}

TEST_CASE("share: of a fleet for which the word has no room") {
  const Rule rule = Rule::token_bucket(1, Rule::kSpanMaxMs / 2, 1, 0);
  for (const uint32_t instances : {74u, 10'000u}) {
    const Rule share = share_of(rule, instances);
    CHECK(share.quota == 1);
    CHECK(share.interval_ns <= Rule::kSpanMaxMs * 1'000'000);
    uint64_t word = 0;
    admitted_at_once(share, word, kNowNs);
    CHECK(take(share, word, kNowNs).decision.result == Result::kRefused);
    CHECK(take(share, word, kNowNs + share.window_ns).decision.result == Result::kAllowed);
  }
}

TEST_CASE("share: of a window, one at least") {
  CHECK(admitted_at_once(share_of(Rule::fixed_window(100, 1000, 0), 4)) == 25);
  CHECK(admitted_at_once(share_of(Rule::fixed_window(3, 1000, 0), 10)) == 1);
}

TEST_CASE("share: what the store is told when it is back") {
  const Rule bucket = Rule::token_bucket(10, 1000, 19, 0);
  const Rule bucket_share = share_of(bucket, 2);
  uint64_t word = 0;
  CHECK(known_use(bucket, bucket_share, 2, take(bucket_share, word, kNowNs).decision) == 0);
  for (int i = 0; i < 3; ++i) word = take(bucket_share, word, kNowNs).word;
  // Three of an instance that has half of all: 600 ms of 100 ms each.
  CHECK(known_use(bucket, bucket_share, 2, take(bucket_share, word, kNowNs).decision) == 600'000);
  admitted_at_once(bucket_share, word, kNowNs);
  CHECK(known_use(bucket, bucket_share, 2, take(bucket_share, word, kNowNs).decision) == 2'000'000);

  const Rule window = Rule::fixed_window(10, 1000, 0);
  const Rule window_share = share_of(window, 3);
  word = 0;
  for (int i = 0; i < 2; ++i) word = take(window_share, word, kNowNs).word;
  CHECK(known_use(window, window_share, 3, take(window_share, word, kNowNs).decision) == 6);
  admitted_at_once(window_share, word, kNowNs);
  CHECK(known_use(window, window_share, 3, take(window_share, word, kNowNs).decision) == 9);
}

}  // namespace
}  // namespace weir::filters::rate_limit
