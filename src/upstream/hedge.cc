#include "upstream/hedge.h"

#include <algorithm>

namespace weir::upstream {

namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
}

// 19 steps down for each step up keep the estimate where 1 of 20 is above it. Steps are parts of
// the estimate: 1/16 up, 1/304 down.
void LatencyTail::note(uint64_t took_us) {
  const uint64_t took_ns = took_us * 1000;
  const uint32_t seen = seen_.load(kRelaxed);
  if (seen < kSeenMin) seen_.store(seen + 1, kRelaxed);
  const uint64_t now_ns = estimate_ns_.load(kRelaxed);
  if (seen < kFirst) {
    estimate_ns_.store(std::max(now_ns, took_ns), kRelaxed);
  } else if (took_ns > now_ns) {
    estimate_ns_.store(now_ns + now_ns / 16 + 1, kRelaxed);
  } else {
    estimate_ns_.store(now_ns - now_ns / 304, kRelaxed);
  }
}

uint64_t LatencyTail::p95_us() const {
  return seen_.load(kRelaxed) < kSeenMin ? 0 : estimate_ns_.load(kRelaxed) / 1000;
}

}  // namespace weir::upstream
