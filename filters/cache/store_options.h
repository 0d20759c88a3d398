// What the store is configured with.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir::filters::cache {

enum class Eviction : uint8_t {
  kLru,     // recency: exact in a shard, among shards as of whole inserts
  kS3Fifo,  // resists scans, and what is asked for only once (policy.h)
};

struct StoreOptions {
  uint64_t memory_bytes = 256 << 20;     // of everything; Store::kMemoryMin at least
  uint64_t max_object_bytes = 16 << 20;  // of one body
  Eviction eviction = Eviction::kLru;
  size_t shards = 64;  // a power of two; of the first configuration, later ones do not move it
};

}  // namespace weir::filters::cache
