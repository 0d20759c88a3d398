// When a request that waits for its answer is sent to a second server as well.
#pragma once

#include <atomic>
#include <cstdint>

namespace weir::upstream {

struct HedgeConfig {
  bool on = false;
  uint64_t after_ms = 0;  // without an answer; 0: after the 95th percentile of recent latency
};

// An estimate of the latency that 95 of 100 recent answers keep below. It only asks of each answer
// whether it took longer, so that a try that was given up counts rightly with the time it had. Any
// thread; an update that is lost in a race does no harm. Part of ClusterState.
class alignas(64) LatencyTail {
 public:
  // From choosing the server to the head of its answer.
  void note(uint64_t took_us);
  uint64_t p95_us() const;  // 0: too few have been seen

 private:
  static constexpr uint32_t kSeenMin = 100;
  static constexpr uint32_t kFirst = 20;  // whose largest is the first estimate

  std::atomic<uint32_t> seen_{0};  // up to kSeenMin
  std::atomic<uint64_t> estimate_ns_{0};
};

}  // namespace weir::upstream
