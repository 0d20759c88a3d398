// The arithmetic of a limit. What is known of one key is one word, so that it is changed by one
// compare-exchange. Pure; any thread.
//
// Token bucket, as GCRA: the word is the theoretical arrival time (TAT), when the bucket will be
// full again. A request finds max(TAT, now), is admitted when that is at most `burst` intervals
// ahead, and moves it on by one interval. Fixed window: the word is a count and the end of the
// window, which begins with the first request. Times are of the monotonic clock.
#pragma once

#include <cstdint>

namespace weir::filters::rate_limit {

enum class Algorithm : uint8_t { kTokenBucket, kFixedWindow };

// Immutable once made.
struct Rule {
  // What fits the word: windows and buckets of ten years, windows of two million requests.
  static constexpr uint64_t kSpanMaxMs = uint64_t{10} * 366 * 86'400 * 1000;
  static constexpr uint64_t kWindowQuotaMax = (1u << 21) - 1;
  // A finer interval would round to another rate.
  static constexpr uint64_t kRatePerSecondMax = 1'000'000;

  static Rule token_bucket(uint64_t count, uint64_t per_ms, uint64_t burst, uint64_t block_ms);
  static Rule fixed_window(uint64_t quota, uint64_t window_ms, uint64_t block_ms);

  Algorithm algorithm = Algorithm::kTokenBucket;
  uint64_t quota = 1;         // requests at once, of a key that has rested
  uint64_t interval_ns = 0;   // of a token bucket: between two requests at its rate
  uint64_t tolerance_ns = 0;  // the burst, in time
  uint64_t window_ns = 0;     // after which a key that rests has all of its quota again
  uint64_t block_ns = 0;      // 0: nobody is blocked
};

enum class Result : uint8_t {
  kAllowed,
  kRefused,
  kUnavailable,  // a store elsewhere does not answer, and nobody passes unasked
};

struct Decision {
  Result result = Result::kAllowed;
  bool counted = true;     // false: let through unasked; the numbers say nothing
  uint64_t used = 0;       // of the quota, this request included; all of it when refused
  uint64_t remaining = 0;  // requests that would be admitted now
  uint64_t wait_ns = 0;    // until there is one more; of a refused one, until it is worth a try
};

// ---- words ----

// Set by whoever keeps the word, when it is asked for again. Means nothing here: take() and
// give_back() want it cleared and return it cleared.
constexpr uint64_t kAskedAgain = 1;

struct Taken {
  uint64_t word;  // the new one; that of a refusal may be the old one
  Decision decision;
};
// One request of a key whose word that is; 0: nothing is known of it. Clocks of several threads may
// differ by less than a second; a word from the future by more is of a clock that has jumped, and
// counts for what it could be at worst.
Taken take(const Rule& rule, uint64_t word, uint64_t now_ns);
// Undoes one request. `receipt`: the word that take() returned for it. What has come back by itself
// since does not come back twice. The word to store.
uint64_t give_back(const Rule& rule, uint64_t word, uint64_t receipt, uint64_t now_ns);
// From then on the word is as good as 0 (a little later, of a key that was blocked).
uint64_t forgotten_at_ns(uint64_t word);

}  // namespace weir::filters::rate_limit
