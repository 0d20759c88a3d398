// The tags that were purged lately: an answer whose head comes afterwards may have one of them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "filters/cache/entry.h"

namespace weir::filters::cache {

// A member of the Store. Any thread. Its lock nests in a shard's.
class PurgedTags {
 public:
  // Purges that are known one by one: those of a fetch's time, with some thousand bytes of memory.
  static constexpr size_t kKept = 1024;

  // Before answers with it are looked for: who is not found then finds it here. `hash`: Tag::hash.
  void add(uint64_t hash);
  // How many there have been.
  uint64_t count() const { return count_.load(std::memory_order_acquire); }
  // Whether a tag of `variant` was purged after the first `since` ones. Also where there were more
  // than are known: it may be.
  bool hit(uint64_t since, Variant& variant);

 private:
  std::atomic<uint64_t> count_{0};  // written under the lock
  std::mutex mutex_;
  std::array<uint64_t, kKept> hashes_{};  // by number, round and round
};

}  // namespace weir::filters::cache
