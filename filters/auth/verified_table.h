// What has been verified a short while ago, and need not be again. One per kind of proof, shared by
// all workers and kept over reloads: a key is a hash of the proof and of all that it was held
// against, by a key of this process, so that whatever changes makes another key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/siphash.h"

namespace weir::filters::auth {

// Bounded: a key has kWays places, of which the one that ends first is given up. Any thread; a
// lookup holds the lock of one shard of 64 for some tens of nanoseconds.
template <typename Value>
class VerifiedTable {
 public:
  // Rounded up to whole sets.
  explicit VerifiedTable(size_t entries) {
    const size_t sets = entries / (kShards * kWays) + 1;
    for (Shard& shard : shards_) shard.sets.resize(sets);
  }

  // True, and fills `out`, when it was verified and holds at `now_s`.
  bool find(const Hash128& key, uint64_t now_s, Value& out) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    for (Entry& entry : set_of(shard, key)) {
      if (entry.key != key || entry.until_s <= now_s) continue;
      out = entry.value;
      return true;
    }
    return false;
  }

  void put(const Hash128& key, uint64_t until_s, Value value) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    Set& set = set_of(shard, key);
    Entry* place = &set[0];
    for (Entry& entry : set) {
      if (entry.key == key) {
        place = &entry;
        break;
      }
      if (entry.until_s < place->until_s) place = &entry;
    }
    place->key = key;
    place->until_s = until_s;
    std::swap(place->value, value);  // the old one is freed behind the lock
  }

 private:
  static constexpr size_t kShards = 64;
  static constexpr size_t kWays = 8;
  struct Entry {
    Hash128 key;
    uint64_t until_s = 0;  // 0: free
    Value value = {};
  };
  using Set = std::array<Entry, kWays>;
  struct alignas(64) Shard {
    std::mutex mutex;
    std::vector<Set> sets;  // under the mutex
  };

  Shard& shard_of(const Hash128& key) { return shards_[key.low % kShards]; }
  static Set& set_of(Shard& shard, const Hash128& key) {
    return shard.sets[key.high % shard.sets.size()];
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace weir::filters::auth
