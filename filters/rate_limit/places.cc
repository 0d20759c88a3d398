#include "filters/rate_limit/places.h"

#include "base/check.h"
#include "base/limits.h"

namespace weir::filters::rate_limit {

bool Places::enter(uint64_t bucket, uint32_t max_of_key) {
  if (stats_.delayed.fetch_add(1, std::memory_order_relaxed) < max_) {
    Shard& shard = shard_of(bucket);
    const std::lock_guard lock(shard.mutex);
    uint32_t& waiting = shard.waiting[bucket];
    if (waiting < max_of_key) {
      ++waiting;
      return true;
    }
  }
  stats_.delayed.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void Places::leave(uint64_t bucket) {
  Shard& shard = shard_of(bucket);
  {
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.waiting.find(bucket);
    WEIR_CHECK(found != shard.waiting.end());
    if (--found->second == 0) shard.waiting.erase(found);
  }
  stats_.delayed.fetch_sub(1, std::memory_order_relaxed);
}

Places& places() {
  static Places instance(limits::kDelayedMax, proxy::limit_stats());
  return instance;
}

}  // namespace weir::filters::rate_limit
