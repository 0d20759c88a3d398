// Purges, and what is done little by little.
#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "filters/cache/shard.h"
#include "filters/cache/store.h"

namespace weir::filters::cache {

namespace {

// Answers that go while one lock is held.
constexpr size_t kStep = 64;
// Of sweep_at_.
constexpr unsigned kBucketBits = 40;
constexpr uint64_t kBuckets = (uint64_t{1} << kBucketBits) - 1;

}  // namespace

uint64_t Store::purge(std::string_view primary, Purge how) {
  const Key key = key_of(primary);
  Shard& shard = shard_of(key.hash.low);
  Garbage garbage(slabs_);
  const std::lock_guard lock(shard.mutex);
  shard.enter(now());
  return shard.purge(key, how, garbage);
}

uint64_t Store::purge_prefix(std::string_view prefix, Purge how) {
  size_t hits = 0;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    std::string from(prefix);
    bool first = true;
    for (bool done = false; !done;) {
      Garbage garbage(slabs_);
      const std::lock_guard lock(shard->mutex);
      shard->enter(now());
      if (first) {
        hits += shard->purge_growing(
            how, [&](const Growing& one) { return one.key.starts_with(prefix); });
      }
      first = false;
      done = shard->purge_prefix(prefix, how, kStep, from, hits, garbage);
    }
  }
  return hits;
}

uint64_t Store::purge_tag(std::string_view tag, Purge how, std::vector<std::string>* growing) {
  purged_tags_.add(secret_.hash(tag).low);
  size_t hits = 0;
  const auto has_it = [&](const Growing& one) {
    if (one.variant == nullptr) return false;
    const std::span<TagLink> links = one.variant->links();
    const bool has = std::any_of(links.begin(), links.end(),
                                 [&](const TagLink& link) { return link.tag->name() == tag; });
    if (has && growing != nullptr) growing->push_back(one.key);
    return has;
  };
  for (const std::unique_ptr<Shard>& shard : shards_) {
    size_t left = 0;
    {
      const std::lock_guard lock(shard->mutex);
      shard->enter(now());
      hits += shard->purge_growing(how, has_it);
      left = shard->tagged(tag);
    }
    while (left > 0) {
      Garbage garbage(slabs_);
      const std::lock_guard lock(shard->mutex);
      shard->enter(now());
      hits += shard->purge_tag(tag, how, std::min(left, kStep), garbage);
      left -= std::min(left, kStep);
    }
  }
  return hits;
}

void Store::purge_all(Purge how) {
  (how == Purge::kSoft ? soft_ : hard_).fetch_add(1, std::memory_order_acq_rel);
}

size_t Store::sweep(uint64_t now_ms, size_t budget) {
  size_t dropped = 0;
  std::vector<Entry*> entries;
  // Not more than once round: where there is little, there is little to look at.
  size_t shards_left = shards_.size() + 1;
  while (budget > 0 && shards_left > 0) {
    const uint64_t at = sweep_at_.load(std::memory_order_relaxed);
    const size_t number = (at >> kBucketBits) % shards_.size();
    size_t below = at & kBuckets;
    Shard& shard = *shards_[number];
    Garbage garbage(slabs_);
    const std::lock_guard lock(shard.mutex);
    shard.enter(now());
    const size_t old = shard.drop_old(std::min(budget, kStep), garbage);
    dropped += old;
    budget -= old;
    const bool more = shard.some_entries(below, entries);
    for (Entry* const entry : entries) {
      budget -= std::min<size_t>(budget, entry->variants);
      dropped += shard.drop_expired(*entry, now_ms, garbage);
    }
    const uint64_t next = more ? uint64_t{number} << kBucketBits | below
                               : uint64_t{number + 1} << kBucketBits | kBuckets;
    sweep_at_.store(next, std::memory_order_relaxed);
    shards_left -= !more;
  }
  return dropped;
}

}  // namespace weir::filters::cache
