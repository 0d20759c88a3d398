// When a request that failed at one server is tried again at another, and how many of all requests
// may be. What a RetryConfig says without a `retry` section is what weir does by itself.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstdint>

#include "base/error.h"
#include "base/limits.h"
#include "http/message.h"

namespace weir::upstream {

struct RetryConfig {
  enum Reason : uint8_t {
    kConnect = 1u << 0,  // no connection, or none that is trusted: nothing was sent
    kReset = 1u << 1,    // it broke before the first byte of an answer
    kTimeout = 1u << 2,  // silence before the first byte of an answer
  };
  static constexpr int kStatusMin = 400;
  static constexpr int kStatusMax = 599;
  static constexpr http::MethodSet kIdempotent =
      http::bit(http::Method::kGet) | http::bit(http::Method::kHead) |
      http::bit(http::Method::kPut) | http::bit(http::Method::kDelete) |
      http::bit(http::Method::kOptions);

  bool budgeted = false;  // requests are counted, and second tries cost of the budget
  uint32_t attempts = limits::kAttempts;  // tries in all, the first one included
  uint8_t reasons = kConnect | kReset;
  std::bitset<kStatusMax - kStatusMin + 1> statuses;  // use lists()
  http::MethodSet methods = kIdempotent;              // that may be repeated though they were sent
  uint64_t body_bytes = UINT64_MAX;  // kept of a sent body; UINT64_MAX: what memory gives
  double budget = 0.2;
  uint64_t backoff_ms = 25;  // before the second retry; 0 = none

  bool lists(int status) const {
    return status >= kStatusMin && status <= kStatusMax &&
           statuses[static_cast<size_t>(status - kStatusMin)];
  }
  // Whether a failure is one of `reasons`.
  bool covers(const Error& error) const;
  // The longest wait before the try that follows so many; the first retry comes at once.
  uint64_t backoff_max_ms(uint32_t attempts_before) const;
};

// Counts an upstream's requests and second tries of the last 5 to 10 seconds, over all workers:
// enough of the past that the requests which one dying server takes with it find room (a third of
// what is in flight is less than a fifth of what comes in 10 s as long as answers take less than
// 6 s), and so little that an outage is not multiplied. Any thread; part of ClusterState.
class alignas(64) RetryBudget {
 public:
  static constexpr uint64_t kSlotMs = 5'000;

  void note_request(uint64_t now_ms);
  // One more second try: true as long as those that were granted are fewer than
  // limits::kRetriesFree and that share of the requests.
  bool take(uint64_t now_ms, double share);

 private:
  // Bits of a word: which slot it is about (20), second tries (20), requests (24, so that an
  // overflow falls off the top). Two in turn, the present slot and the one before.
  using Word = std::atomic<uint64_t>;
  std::array<Word, 2> words_ = {};
};

}  // namespace weir::upstream
