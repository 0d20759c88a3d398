// What may be admitted of a busy key without asking Redis: how much, for how long, by how many.
#include "filters/rate_limit/leases.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

namespace weir::filters::rate_limit {
namespace {

constexpr uint64_t kStartUs = 1'000'000'000;
constexpr uint64_t kSpanUs = 100'000;

const Rule kFast = Rule::token_bucket(10'000, 1000, 100, 0);
const Rule kSlow = Rule::token_bucket(50, 1000, 100, 0);
const Decision kFive = {.remaining = 5, .wait_ns = 300'000};

void notes(Leases& leases, uint64_t key, int count, uint64_t now_us) {
  for (int i = 0; i < count; ++i) leases.note(key, now_us);
}

TEST_CASE("leases: only of busy keys, and of fast rules") {
  Leases leases(64);
  CHECK(leases.want(7, kFast, 1, kStartUs).tokens == 1);  // unknown
  notes(leases, 7, 1000, kStartUs);
  CHECK(leases.want(7, kFast, 1, kStartUs).tokens == 1);  // nothing is known of a whole span yet
  const uint64_t next_us = kStartUs + kSpanUs;
  CHECK(leases.want(7, kSlow, 1, next_us).tokens == 1);  // 20 ms of it are one
  CHECK(leases.want(7, kFast, 1, next_us).tokens == 200);
  CHECK(leases.want(7, kFast, 1, next_us).tokens == 1);             // somebody asks already
  CHECK(leases.want(7, kFast, 1, next_us + 20'001).tokens == 200);  // and was not answered
  notes(leases, 8, 100, kStartUs);
  CHECK(leases.want(8, kFast, 1, next_us).tokens == 20);               // as much as it needs itself
  CHECK(leases.want(7, kFast, 1, next_us + 3 * kSpanUs).tokens == 1);  // it has rested
  const Rule window = Rule::fixed_window(1000, 1000, 0);
  CHECK(leases.want(7, window, 1, next_us + 50'000).tokens == 20);
}

TEST_CASE("leases: tokens go one by one, and not beyond their time") {
  Leases leases(64);
  CHECK_FALSE(leases.take(7, kStartUs));
  leases.add(7, 3, Leases::kGoodForMs, kFive, kStartUs);  // of a key that nobody asked for
  CHECK_FALSE(leases.take(7, kStartUs));
  leases.note(7, kStartUs);
  leases.add(7, 3, Leases::kGoodForMs, kFive, kStartUs);
  CHECK(leases.standing(7, kStartUs).remaining == 5);
  CHECK(leases.standing(7, kStartUs).wait_us == 300);
  CHECK(leases.standing(7, kStartUs + 200).wait_us == 100);
  CHECK(leases.standing(7, kStartUs + 400).wait_us == 0);
  CHECK(leases.take(7, kStartUs));
  CHECK(leases.take(7, kStartUs));
  leases.put_back(7, kStartUs);
  CHECK(leases.take(7, kStartUs));
  CHECK(leases.take(7, kStartUs + 49'000));
  CHECK_FALSE(leases.take(7, kStartUs));
  leases.add(7, 3, Leases::kGoodForMs, {}, kStartUs);
  CHECK_FALSE(leases.take(7, kStartUs + 50'000));
  leases.put_back(7, kStartUs + 50'000);  // too late
  CHECK_FALSE(leases.take(7, kStartUs + 50'000));
}

TEST_CASE("leases: of a large quota that is hardly used, for keys that come now and then") {
  constexpr uint64_t kSecondUs = 1'000'000;
  const Rule window = Rule::fixed_window(1000, 900'000, 0);
  const Decision plenty = {.remaining = 800, .wait_ns = 0};
  Leases leases(64);
  const auto want = [&](uint64_t at_us, uint32_t instances = 1) {
    const Leases::Want found = leases.want(7, window, instances, at_us);
    if (found.tokens > 1) leases.add(7, 0, 0, plenty, at_us);
    return found.tokens;
  };
  const uint64_t next_us = kStartUs + kSecondUs;
  for (uint64_t i = 0; i < 10; ++i) leases.note(7, kStartUs + i * kSpanUs);
  CHECK(want(next_us) == 1);  // what it has left is unknown
  leases.add(7, 0, 0, plenty, kStartUs);
  CHECK(want(kStartUs + 9 * kSpanUs) == 1);  // nothing is known of a whole second yet
  CHECK(want(next_us) == 5);
  CHECK(want(next_us) == 1);  // somebody asks already
  CHECK(want(next_us + 20'001, 5) == 4);
  CHECK(want(next_us + 40'002, 11) == 1);
  leases.add(7, 0, 0, {.remaining = 79}, next_us);
  CHECK(want(next_us + 60'003) == 1);
  const Rule blocking = Rule::fixed_window(1000, 900'000, 900'000);
  leases.add(7, 0, 0, plenty, next_us);
  CHECK(leases.want(7, blocking, 1, next_us + 80'004).tokens == 1);
  CHECK(leases.want(7, window, 1, next_us + 80'004).good_for_ms == Leases::kSmallGoodForMs);
  CHECK(want(next_us + 2 * kSecondUs) == 1);  // it has rested
}

TEST_CASE("leases: a small one outlives its key's rest, and tells what is left with it") {
  Leases leases(2);
  leases.note(2, kStartUs);
  leases.add(2, 5, Leases::kSmallGoodForMs, {.remaining = 800}, kStartUs);
  CHECK(leases.standing(2, kStartUs).remaining == 800);
  CHECK(leases.take(2, kStartUs + 9'999'000));
  CHECK(leases.standing(2, kStartUs).remaining == 799);
  leases.note(4, kStartUs + 9'999'000);  // no room: both would have the same slot
  CHECK(leases.take(2, kStartUs + 9'999'000));
  CHECK_FALSE(leases.take(2, kStartUs + 10'000'000));
  leases.note(4, kStartUs + 10'000'000);
  CHECK_FALSE(leases.take(2, kStartUs + 9'999'000));
  leases.add(4, 0, 0, {.remaining = 8}, kStartUs + 10'000'000);
  CHECK(leases.standing(4, kStartUs + 10'000'000).remaining == 8);
}

TEST_CASE("leases: what is left goes on once, and does not pile up") {
  Leases leases(64);
  leases.note(7, kStartUs);
  for (uint64_t i = 0; i < 10; ++i) leases.add(7, 10, Leases::kGoodForMs, {}, kStartUs + i * 1000);
  int taken = 0;
  while (leases.take(7, kStartUs + 9000)) ++taken;
  CHECK(taken == 20);
}

TEST_CASE("leases: a refusal holds until its time, and no longer than it is believed") {
  Leases leases(64);
  leases.note_refusal(7, 500, kStartUs);  // unknown: it is asked for again
  CHECK(leases.refused_for_us(7, kStartUs) == 0);
  leases.note(7, kStartUs);
  leases.note_refusal(7, 500, kStartUs);
  CHECK(leases.refused_for_us(7, kStartUs) == 500);
  CHECK(leases.refused_for_us(7, kStartUs + 500) == 0);
  CHECK(leases.refused_for_us(8, kStartUs) == 0);
  constexpr uint64_t kHourUs = 3'600'000'000;
  leases.note_refusal(7, kHourUs, kStartUs);
  CHECK(leases.refused_for_us(7, kStartUs + 999'999) == kHourUs - 999'999);
  CHECK(leases.refused_for_us(7, kStartUs + 1'000'000) == 0);
}

TEST_CASE("leases: a very busy key that is used up is held, as far as its burst allows") {
  const auto hold_us = [](const Rule& rule, uint32_t tokens, uint64_t good_for_ms) {
    return Leases::hold_us(rule, {tokens, good_for_ms});
  };
  const Rule large = Rule::token_bucket(10'000, 1000, 1000, 0);
  CHECK(hold_us(large, 200, Leases::kGoodForMs) == Leases::kHoldUs);
  CHECK(hold_us(kFast, 200, Leases::kGoodForMs) == 10'000 / 8);  // what fills an eighth of it
  CHECK(hold_us(large, 19, Leases::kGoodForMs) == 0);
  CHECK(hold_us(large, 200, Leases::kSmallGoodForMs) == 0);
  CHECK(hold_us(Rule::fixed_window(10'000, 1000, 0), 200, Leases::kGoodForMs) == Leases::kHoldUs);
}

TEST_CASE("leases: who asked before a hold began does not shorten it") {
  Leases leases(64);
  leases.note(7, kStartUs);
  leases.add(7, 3, Leases::kGoodForMs, kFive, kStartUs);
  leases.note_refusal(7, Leases::kHoldUs, kStartUs);
  CHECK(leases.take(7, kStartUs));  // what it was given is still good
  leases.note_refusal(7, 100, kStartUs + 50);
  leases.add(7, 0, 0, kFive, kStartUs + 60);
  CHECK(leases.refused_for_us(7, kStartUs + 100) == Leases::kHoldUs - 100);
  leases.note_refusal(7, 100, kStartUs + Leases::kHoldUs);
  CHECK(leases.refused_for_us(7, kStartUs + Leases::kHoldUs) == 100);
}

TEST_CASE("leases: a block takes what was given before it") {
  Leases leases(64);
  leases.note(7, kStartUs);
  leases.add(7, 3, Leases::kGoodForMs, kFive, kStartUs);
  leases.note_block(7, 0);
  CHECK(leases.take(7, kStartUs));
  leases.note_block(7, kStartUs + 10'000'000);
  CHECK_FALSE(leases.take(7, kStartUs));
}

TEST_CASE("leases: a block is another thing, and ends with the key's slot") {
  Leases leases(2);
  leases.note(2, kStartUs);
  leases.note_block(2, kStartUs + 10'000'000);
  CHECK(leases.blocked_for_us(2, kStartUs) == 10'000'000);
  CHECK(leases.refused_for_us(2, kStartUs) == 0);
  leases.note_block(2, 0);
  CHECK(leases.blocked_for_us(2, kStartUs) == 0);
  leases.note_block(2, kStartUs + 10'000'000);
  const uint64_t later_us = kStartUs + 2 * kSpanUs;
  CHECK(leases.blocked_for_us(2, later_us) > 0);
  leases.note(4, later_us);
  CHECK(leases.blocked_for_us(4, later_us) == 0);
  CHECK(leases.blocked_for_us(2, later_us) == 0);
}

TEST_CASE("leases: what is forgotten is a lease, a refusal and a block, of that key alone") {
  Leases leases(64);
  for (const uint64_t key : {7, 8}) {
    leases.note(key, kStartUs);
    leases.note_block(key, kStartUs + 500'000);
    leases.add(key, 3, Leases::kGoodForMs, kFive, kStartUs);
    leases.note_refusal(key, 500'000, kStartUs);
  }
  leases.forget(7);
  leases.forget(9);  // never seen
  CHECK_FALSE(leases.take(7, kStartUs));
  CHECK(leases.refused_for_us(7, kStartUs) == 0);
  CHECK(leases.blocked_for_us(7, kStartUs) == 0);
  CHECK(leases.take(8, kStartUs));
  CHECK(leases.refused_for_us(8, kStartUs) == 500'000);
  CHECK(leases.blocked_for_us(8, kStartUs) == 500'000);
}

TEST_CASE("leases: a key that rests makes room, one that is asked for does not") {
  Leases leases(2);
  for (const uint64_t key : {uint64_t{2}, uint64_t{3}}) {
    leases.note(key, kStartUs);
    leases.note_refusal(key, 10'000'000, kStartUs);
  }
  leases.note(4, kStartUs);  // no room
  leases.note_refusal(4, 1'000'000, kStartUs);
  CHECK(leases.refused_for_us(4, kStartUs) == 0);
  CHECK(leases.refused_for_us(2, kStartUs) > 0);
  const uint64_t later_us = kStartUs + 2 * kSpanUs;
  leases.note(4, later_us);
  CHECK(leases.refused_for_us(4, later_us) == 0);  // nothing of who was there before
  leases.note_refusal(4, 1, later_us);
  CHECK(leases.refused_for_us(4, later_us) == 1);
}

TEST_CASE("leases: no token is taken twice", "[threads]") {
  constexpr int kTokens = 100'000;
  Leases leases(64);
  leases.note(7, kStartUs);
  leases.add(7, kTokens, Leases::kGoodForMs, {}, kStartUs);
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (leases.take(7, kStartUs)) ++taken;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(taken == kTokens);
}

}  // namespace
}  // namespace weir::filters::rate_limit
