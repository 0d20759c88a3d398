// concurrency: adaptive. How many requests at once an upstream takes before they only wait inside
// its servers, learned from latency: the gradient of Netflix's concurrency-limits and of Envoy.
//
//   gradient = base / recent * 1.5, at least 0.5, at most 1
//   limit    = limit * gradient + sqrt(limit), a fifth of the way each time
//
// `recent` is the mean latency of the last window (100 ms, and 10 answers), `base` the least mean
// of any window of the last 30 to 60 s. A limit that is not used does not grow. Under an overload
// that lasts, every window is slow, and so would be the base in the end: so before an old base is
// forgotten, the limit is halved for a window to see what the servers do without the crowd.
#pragma once

#include <atomic>
#include <cstdint>

namespace weir::upstream {

// The law alone. Driven by its caller, one at a time.
class AdaptiveLaw {
 public:
  static constexpr uint64_t kWindowUs = 100'000;
  static constexpr uint64_t kMemoryUs = 30'000'000;  // the base is of one to two of these
  static constexpr uint32_t kAnswersMin = 10;
  static constexpr double kTolerance = 1.5;
  static constexpr double kLowest = 4;
  static constexpr double kFirst = 20;

  struct Window {
    uint64_t answers = 0;
    uint64_t total_us = 0;   // of their latencies
    uint64_t failures = 0;   // that came too late or not at all
    uint32_t in_flight = 0;  // at its end
  };
  // A window is over. The limit from now on.
  uint32_t update(uint64_t now_us, const Window& window, uint32_t highest);

 private:
  void remember(uint64_t now_us, double mean_us);
  double base_us() const;

  double limit_ = kFirst;
  double before_probe_ = 0;     // the limit to go on with; 0: no probe is under way
  double present_us_ = 0;       // least mean of the present memory; 0: none yet
  double past_us_ = 0;          // and of the one before it
  uint64_t began_us_ = 0;       // the present one; 0: nothing learned yet
  uint32_t probe_windows_ = 0;  // of the probe; the first still sees the crowd
};

// The law in the hands of all workers. Any thread.
class AdaptiveLimit {
 public:
  void set_highest(uint32_t highest) { highest_.store(highest, std::memory_order_relaxed); }
  uint32_t limit() const { return limit_.load(std::memory_order_relaxed); }
  // True: the limit has risen. One of those that call at the end of a window computes the next
  // limit, the others go on.
  bool note(uint64_t now_us, uint64_t took_us, bool failed, uint32_t in_flight);

 private:
  alignas(64) std::atomic<uint64_t> answers_{0};
  std::atomic<uint64_t> total_us_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> window_ends_us_{0};
  std::atomic<uint32_t> limit_{static_cast<uint32_t>(AdaptiveLaw::kFirst)};
  std::atomic<uint32_t> highest_{1000};
  std::atomic<bool> computing_{false};  // guards law_
  AdaptiveLaw law_;
};

}  // namespace weir::upstream
