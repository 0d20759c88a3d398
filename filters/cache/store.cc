#include "filters/cache/store.h"

#include <algorithm>
#include <bit>
#include <mutex>

#include "base/check.h"
#include "filters/cache/shard.h"

namespace weir::filters::cache {

Store::Store(const StoreOptions& options)
    : slabs_(std::clamp(options.memory_bytes, kMemoryMin, kMemoryMax)),
      secret_(SipKey::random()),
      eviction_(options.eviction),
      ages_(options.shards),
      memory_bytes_(slabs_.limit_bytes()),
      max_object_bytes_(options.max_object_bytes) {
  WEIR_CHECK(std::has_single_bit(options.shards));
  for (size_t i = 0; i < options.shards; ++i) {
    shards_.push_back(std::make_unique<Shard>(slabs_, secret_, options.eviction, ages_[i], cells_));
  }
}

// What is in the slabs goes with them.
Store::~Store() { WEIR_ASSERT(growing_cells_.load() == 0); }

Key Store::key_of(std::string_view primary) const { return {primary, secret_.hash(primary)}; }

// By other bits than those that choose a bucket.
Shard& Store::shard_of(uint64_t key_hash) const {
  return *shards_[(key_hash >> 48) & (shards_.size() - 1)];
}

Moment Store::now() const {
  return {hard_.load(std::memory_order_acquire), soft_.load(std::memory_order_acquire),
          purged_tags_.count(), insertions_.load(std::memory_order_relaxed)};
}

Found Store::find(std::string_view primary, SecondaryKey& secondary) {
  const Key key = key_of(primary);
  Shard& shard = shard_of(key.hash.low);
  Garbage garbage(slabs_);
  const std::lock_guard lock(shard.mutex);
  shard.enter(now());
  Found found;
  Variant* const variant = shard.choose(key, secondary, found.known, garbage);
  if (variant == nullptr) {
    ++shard.counters.misses;
    return found;
  }
  shard.use(*variant);
  found.stale = shard.is_stale(*variant);
  found.hits = variant->hits;
  variant->object->refs.fetch_add(1, std::memory_order_relaxed);
  found.reader = Reader(slabs_, *variant->object);
  return found;
}

bool Store::remove(const Reader& of) {
  Garbage garbage(slabs_);
  Shard& shard = shard_of(of.object_->key_hash);
  const std::lock_guard lock(shard.mutex);
  shard.enter(now());
  Variant* const variant = shard.find_content(*of.object_);
  if (variant == nullptr) return false;
  shard.remove(*variant, garbage);
  return true;
}

bool Store::refresh(const Reader& of, const Meta& meta, std::string_view head,
                    const Writer& asked) {
  if (head.size() > kHeadBytesMax) return false;
  const Slabs::Run run = take(Object::cells_for(head.size()), nullptr);
  if (!run) return false;
  Garbage garbage(slabs_);
  Shard& shard = shard_of(of.object_->key_hash);
  const std::lock_guard lock(shard.mutex);
  shard.enter(now());
  Variant* const variant = shard.find_content(*of.object_);
  if (variant == nullptr) {
    slabs_.give_back(run.at, run.cells);
    return false;
  }
  shard.refresh(*variant, make_object(run, *variant->object, meta, head), garbage);
  if (!asked) return true;
  const Growing& growing = *asked.growing_;
  if (!growing.softly && !purged_tags_.hit(growing.began.tags, *variant)) variant->stale = false;
  variant->soft_generation = std::max(variant->soft_generation, growing.began.soft);
  return true;
}

Slabs::Run Store::take(uint32_t wanted, uint32_t least, const Growing* by) {
  constexpr uint32_t kPieceCells = 4096 / Slabs::kCellBytes;
  const uint32_t long_enough = std::max(least, std::min(wanted / 4, kPieceCells));
  for (int evictions = 0; evictions < kEvictionsMax; ++evictions) {
    const bool picky = evictions < kEvictionsForLength;
    if (const Slabs::Run run = slabs_.take(wanted, picky ? long_enough : least)) return run;
    if (by != nullptr && evict_predecessor(*by)) {
      by = nullptr;
    } else if (!evict_one()) {
      return slabs_.take(wanted, least);
    }
  }
  return {};
}

// Of the shard whose oldest one is the oldest of all. Where that has to stay, it is not any more.
bool Store::evict_one() {
  for (size_t tries = 0; tries < 2 * shards_.size(); ++tries) {
    const Queue queue = Policy::next(cells_, eviction_.load(std::memory_order_relaxed));
    const bool small = queue == Queue::kSmall;
    size_t best = 0;
    uint64_t best_age = UINT64_MAX;
    for (size_t i = 0; i < ages_.size(); ++i) {
      const uint64_t age = (small ? ages_[i].small : ages_[i].main).load(std::memory_order_relaxed);
      if (age >= best_age) continue;
      best = i;
      best_age = age;
    }
    Shard& shard = *shards_[best];
    Garbage garbage(slabs_);
    const std::lock_guard lock(shard.mutex);
    shard.enter(now());
    if (shard.evict(queue, garbage)) return true;
  }
  return false;
}

// What replaces an answer takes its room before that of others; but not of one that may have to
// stand in, should the fetch fail.
bool Store::evict_predecessor(const Growing& growing) {
  if (!growing.is_answer) return false;
  Shard& shard = shard_of(growing.hash.low);
  Garbage garbage(slabs_);
  const std::lock_guard lock(shard.mutex);
  shard.enter(now());
  Entry* const entry = shard.find({growing.key, growing.hash}, growing.vary);
  if (entry == nullptr) return false;
  Variant* const variant = shard.find(*entry, growing.secondary);
  if (variant == nullptr || variant->object->refs.load(std::memory_order_relaxed) > 1) return false;
  if (variant->object->meta.lifetime.stale_if_error_ms > 0) return false;
  shard.remove(*variant, garbage);
  return true;
}

StoreStats Store::stats() const {
  StoreStats stats;
  uint64_t oldest_ms = UINT64_MAX;
  stats.bytes = slabs_.used_bytes();
  stats.mapped_bytes = slabs_.slab_bytes();
  stats.growing_bytes = growing_cells_.load(std::memory_order_relaxed) * Slabs::kCellBytes;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    shard->enter(now());
    stats.entries += shard->entries();
    stats.objects += shard->counters.objects;
    stats.hits += shard->counters.hits;
    stats.misses += shard->counters.misses;
    stats.insertions += shard->counters.insertions;
    stats.evictions += shard->counters.evictions;
    stats.expirations += shard->counters.expirations;
    stats.purged += shard->counters.purged;
    oldest_ms = std::min(oldest_ms, shard->oldest_stored_at_ms());
  }
  if (stats.objects > 0) stats.oldest_stored_at_ms = oldest_ms;
  return stats;
}

namespace {

std::atomic<Store*> process_store{nullptr};

}  // namespace

// Never destroyed: workers, and what waits on helper threads, may have readers until the very end.
Store& configure_store(const StoreOptions& options) {
  Store* known = process_store.load(std::memory_order_acquire);
  if (known == nullptr) {
    known = new Store(options);
    process_store.store(known, std::memory_order_release);
  } else {
    known->configure(options);
  }
  return *known;
}

Store* store() { return process_store.load(std::memory_order_acquire); }

}  // namespace weir::filters::cache
