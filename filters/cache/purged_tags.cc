#include "filters/cache/purged_tags.h"

namespace weir::filters::cache {

void PurgedTags::add(uint64_t hash) {
  const std::lock_guard lock(mutex_);
  const uint64_t number = count_.load(std::memory_order_relaxed);
  hashes_[number % kKept] = hash;
  count_.store(number + 1, std::memory_order_release);
}

bool PurgedTags::hit(uint64_t since, Variant& variant) {
  if (count() == since) return false;
  const std::lock_guard lock(mutex_);
  const uint64_t count = count_.load(std::memory_order_relaxed);
  if (count - since > kKept) return true;
  for (uint64_t number = since; number < count; ++number) {
    for (const TagLink& link : variant.links()) {
      if (link.tag->hash == hashes_[number % kKept]) return true;
    }
  }
  return false;
}

}  // namespace weir::filters::cache
