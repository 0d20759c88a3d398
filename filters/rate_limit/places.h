// How many requests wait for their turn (`delay`): of one key, so that nobody fills the place of
// all, and over all limits and workers, because each holds memory and a connection.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "proxy/limit_stats.h"

namespace weir::filters::rate_limit {

// Any thread. Takes a lock: only requests that are to wait come here.
class Places {
 public:
  // Counts in stats.delayed, which outlives this.
  Places(uint32_t max, proxy::LimitStats& stats) : max_(max), stats_(stats) {}

  // False: there is none for that bucket, of which `max_of_key` may wait, or for anybody.
  bool enter(uint64_t bucket, uint32_t max_of_key);
  void leave(uint64_t bucket);  // once for every enter() that was true

 private:
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<uint64_t, uint32_t> waiting;  // by bucket; none is 0
  };
  Shard& shard_of(uint64_t bucket) { return shards_[bucket % shards_.size()]; }

  const uint32_t max_;
  proxy::LimitStats& stats_;
  std::array<Shard, 16> shards_;
};

// The process's own.
Places& places();

}  // namespace weir::filters::rate_limit
