#include "filters/rate_limit/rule.h"

#include <catch2/catch.hpp>

#include <vector>

namespace weir::filters::rate_limit {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMs;
constexpr uint64_t kStart = 1'000'000 * kSecond;

// One key and a clock to turn.
class Bucket {
 public:
  explicit Bucket(const Rule& rule) : rule_(rule) {}
  Decision ask() {
    const Taken taken = take(rule_, word_, now);
    word_ = taken.word;
    receipt = taken.word;
    return taken.decision;
  }
  bool admits() { return ask().result == Result::kAllowed; }
  int admitted_of(int requests) {
    int count = 0;
    for (int i = 0; i < requests; ++i) count += admits();
    return count;
  }
  void give_back(uint64_t of_receipt) {
    word_ = rate_limit::give_back(rule_, word_, of_receipt, now);
  }
  uint64_t forgotten_at() const { return forgotten_at_ns(word_); }

  uint64_t now = kStart;
  uint64_t receipt = 0;

 private:
  const Rule rule_;
  uint64_t word_ = 0;
};

TEST_CASE("rate limit: 10/s with a burst of 20 admits exactly 21 at once, then one per 100 ms") {
  Bucket bucket(Rule::token_bucket(10, 1000, 20, 0));
  CHECK(bucket.admitted_of(60) == 21);
  bucket.now += 100 * kMs - 1;
  CHECK(bucket.admitted_of(5) == 0);
  bucket.now += 1;
  CHECK(bucket.admitted_of(5) == 1);
  bucket.now += kSecond;
  CHECK(bucket.admitted_of(60) == 10);
  bucket.now += 2100 * kMs;
  CHECK(bucket.admitted_of(60) == 21);
  bucket.now += 3600 * kSecond;  // no more than full
  CHECK(bucket.admitted_of(60) == 21);
}

TEST_CASE("rate limit: without a burst a bucket admits one at a time") {
  Bucket bucket(Rule::token_bucket(4, 1000, 0, 0));
  CHECK(bucket.admitted_of(9) == 1);
  bucket.now += 249 * kMs;
  CHECK_FALSE(bucket.admits());
  bucket.now += kMs;
  CHECK(bucket.admitted_of(9) == 1);
}

TEST_CASE(
    "rate limit: at its very rate a bucket refuses nobody, above it exactly what is too much") {
  Bucket steady(Rule::token_bucket(3, 1000, 0, 0));
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    steady.now = kStart + static_cast<uint64_t>(i) * 333'333'334;
    refused += !steady.admits();
  }
  CHECK(refused == 0);
  Bucket eager(Rule::token_bucket(100, 1000, 9, 0));
  int admitted = 0;
  for (int ms = 0; ms < 60'000; ++ms) {
    admitted += eager.admits();
    eager.now += kMs;
  }
  CHECK(admitted == 6000 + 9);
}

TEST_CASE("rate limit: a token bucket's numbers") {
  Bucket bucket(Rule::token_bucket(10, 1000, 2, 0));
  Decision decision = bucket.ask();
  CHECK(decision.used == 1);
  CHECK(decision.remaining == 2);
  CHECK(decision.wait_ns == 100 * kMs);
  bucket.now += 30 * kMs;
  decision = bucket.ask();  // 1.7 are used up
  CHECK(decision.used == 2);
  CHECK(decision.remaining == 1);
  CHECK(decision.wait_ns == 70 * kMs);
  CHECK(bucket.ask().remaining == 0);
  decision = bucket.ask();
  CHECK(decision.result == Result::kRefused);
  CHECK(decision.remaining == 0);
  CHECK(decision.used == 3);
  CHECK(decision.wait_ns == 70 * kMs);
}

TEST_CASE("rate limit: a fixed window admits its quota, from its first request to its end") {
  Bucket bucket(Rule::fixed_window(100, 900'000, 0));
  for (uint64_t i = 1; i <= 100; ++i) {
    const Decision decision = bucket.ask();
    REQUIRE(decision.result == Result::kAllowed);
    CHECK(decision.used == i);
    CHECK(decision.remaining == 100 - i);
    bucket.now += kSecond;
  }
  Decision decision = bucket.ask();
  CHECK(decision.result == Result::kRefused);
  CHECK(decision.wait_ns == 800 * kSecond);
  bucket.now = kStart + 900 * kSecond - kMs;
  CHECK_FALSE(bucket.admits());
  bucket.now += kMs;
  CHECK(bucket.admitted_of(300) == 100);
}

TEST_CASE("rate limit: the largest window has room in its word") {
  Bucket bucket(Rule::fixed_window(Rule::kWindowQuotaMax, Rule::kSpanMaxMs, 0));
  uint64_t last = 0;
  for (uint64_t i = 0; i < Rule::kWindowQuotaMax; ++i) last = bucket.ask().used;
  CHECK(last == Rule::kWindowQuotaMax);
  const Decision decision = bucket.ask();
  CHECK(decision.result == Result::kRefused);
  CHECK(decision.wait_ns == Rule::kSpanMaxMs * kMs);
}

TEST_CASE("rate limit: a block lasts as long as it was meant to, whatever is asked meanwhile") {
  for (const Rule& rule :
       {Rule::token_bucket(3, 1000, 2, 5000), Rule::fixed_window(3, 1000, 5000)}) {
    Bucket bucket(rule);
    CHECK(bucket.admitted_of(3) == 3);
    Decision decision = bucket.ask();
    CHECK(decision.result == Result::kRefused);
    CHECK(decision.wait_ns == 5 * kSecond);
    for (int i = 0; i < 49; ++i) {
      bucket.now += 100 * kMs;
      decision = bucket.ask();
      CHECK(decision.result == Result::kRefused);
      CHECK(decision.wait_ns == 5 * kSecond - static_cast<uint64_t>(i + 1) * 100 * kMs);
    }
    bucket.now = kStart + 5 * kSecond;
    CHECK(bucket.admitted_of(9) == 3);  // and what came back during the block is there
    CHECK_FALSE(bucket.admits());       // blocked again
    bucket.now += 4999 * kMs;
    CHECK_FALSE(bucket.admits());
    bucket.now += kMs;
    CHECK(bucket.admits());
  }
}

TEST_CASE("rate limit: a block does not fill the bucket before its time") {
  Bucket bucket(Rule::token_bucket(5, 900'000, 4, 10'000));  // three minutes for each
  CHECK(bucket.admitted_of(6) == 5);
  int admitted = 0;
  for (int i = 0; i < 3600; ++i) {
    bucket.now += kSecond;
    admitted += bucket.admits();
  }
  // What the rate gives in an hour is 20. A block of ten seconds would be over long before there is
  // one, so it takes the 180.
  CHECK(admitted >= 18);
  CHECK(admitted <= 20);
}

TEST_CASE("rate limit: a block outlasts the window in which it began, and the other way round") {
  Bucket bucket(Rule::fixed_window(1, 10'000, 2'000));
  CHECK(bucket.admits());
  bucket.now += 1000 * kMs;
  CHECK(bucket.ask().wait_ns == 9 * kSecond);
  bucket.now += 9 * kSecond;
  CHECK(bucket.admits());
}

TEST_CASE("rate limit: what is given back can be had again") {
  for (const Rule& rule :
       {Rule::token_bucket(5, 900'000, 4, 0), Rule::fixed_window(5, 900'000, 0)}) {
    Bucket bucket(rule);
    for (int i = 0; i < 100; ++i) {  // never limited
      REQUIRE(bucket.admits());
      bucket.now += kMs;
      bucket.give_back(bucket.receipt);
    }
    CHECK(bucket.admitted_of(9) == 5);
    bucket.give_back(bucket.receipt);
    CHECK(bucket.admitted_of(9) == 1);
  }
}

TEST_CASE("rate limit: what has come back by itself is not given back as well") {
  Bucket bucket(Rule::token_bucket(10, 1000, 4, 0));
  std::vector<uint64_t> receipts;
  for (int i = 0; i < 5; ++i) {
    CHECK(bucket.admits());
    receipts.push_back(bucket.receipt);
  }
  bucket.now += 500 * kMs;
  CHECK(bucket.admitted_of(9) == 5);
  for (const uint64_t receipt : receipts) bucket.give_back(receipt);
  CHECK(bucket.admitted_of(9) == 0);

  Bucket window(Rule::fixed_window(5, 1000, 0));
  CHECK(window.admits());
  const uint64_t old = window.receipt;
  window.now += kSecond;
  CHECK(window.admitted_of(9) == 5);
  window.give_back(old);
  CHECK_FALSE(window.admits());
}

TEST_CASE("rate limit: a block does not end by what is given back") {
  for (const Rule& rule :
       {Rule::token_bucket(5, 900'000, 4, 900'000), Rule::fixed_window(5, 900'000, 900'000)}) {
    Bucket bucket(rule);
    CHECK(bucket.admits());
    const uint64_t receipt = bucket.receipt;
    CHECK(bucket.admitted_of(9) == 4);
    bucket.give_back(receipt);
    CHECK_FALSE(bucket.admits());
    bucket.now += 899 * kSecond;
    CHECK_FALSE(bucket.admits());
    bucket.now += kSecond;
    CHECK(bucket.admits());
  }
}

TEST_CASE("rate limit: a clock that jumped back costs one window or block, no more") {
  for (const uint64_t block_ms : {0, 5000}) {
    for (const Rule& rule :
         {Rule::token_bucket(10, 1000, 9, block_ms), Rule::fixed_window(10, 1000, block_ms)}) {
      Bucket bucket(rule);
      CHECK(bucket.admitted_of(20) == 10);
      bucket.now = 1000 * kSecond;  // days before
      CHECK(bucket.ask().wait_ns <= (block_ms + 1000) * kMs);
      bucket.now += (block_ms + 1000) * kMs;
      CHECK(bucket.admits());
    }
  }
}

TEST_CASE("rate limit: a clock that jumped forwards finds everything rested") {
  for (const Rule& rule :
       {Rule::token_bucket(10, 1000, 9, 5000), Rule::fixed_window(10, 1000, 0)}) {
    Bucket bucket(rule);
    CHECK(bucket.admitted_of(20) == 10);
    bucket.now += uint64_t{20} * 365 * 86'400 * kSecond;
    CHECK(bucket.admitted_of(20) == 10);
  }
}

TEST_CASE("rate limit: a thread whose clock is a little behind is not better off") {
  Bucket bucket(Rule::token_bucket(10, 1000, 9, 0));
  CHECK(bucket.admitted_of(20) == 10);
  bucket.now -= 50 * kMs;
  CHECK(bucket.admitted_of(20) == 0);
  bucket.now += 50 * kMs;
  CHECK(bucket.admitted_of(20) == 0);
}

TEST_CASE("rate limit: when a word is as good as none") {
  Bucket bucket(Rule::token_bucket(10, 1000, 9, 0));
  CHECK(bucket.forgotten_at() == 0);
  CHECK(bucket.admitted_of(3) == 3);
  CHECK(bucket.forgotten_at() == kStart + 300 * kMs);
  Bucket window(Rule::fixed_window(10, 1000, 0));
  CHECK(window.admits());
  CHECK(window.forgotten_at() == kStart + kSecond);
  Bucket blocked(Rule::token_bucket(10, 1000, 0, 5000));
  CHECK(blocked.admitted_of(2) == 1);
  CHECK(blocked.forgotten_at() == kStart + 5 * kSecond);
}

TEST_CASE("rate limit: words leave the bit of whoever keeps them alone") {
  for (const Rule& rule : {Rule::token_bucket(7, 900, 3, 50), Rule::fixed_window(7, 900, 50)}) {
    Bucket bucket(rule);
    for (int i = 0; i < 50; ++i) {
      bucket.ask();
      CHECK((bucket.receipt & kAskedAgain) == 0);
      bucket.now += 7'654'321;
    }
  }
}

}  // namespace
}  // namespace weir::filters::rate_limit
