// Looks at everything that is stored, or moves it: with locks held shortly.
#include <algorithm>
#include <mutex>
#include <vector>

#include "filters/cache/shard.h"
#include "filters/cache/store.h"

namespace weir::filters::cache {

namespace {

// The `n` greatest of many by a number. A heap with the least of them on top.
class Top {
 public:
  Top(size_t n, uint64_t SurveyLine::*by) : n_(n), by_(by) {}

  void offer(Variant& variant, uint64_t hits, uint64_t bytes) {
    const uint64_t value = by_ == &SurveyLine::hits ? hits : bytes;
    if (n_ == 0 || (lines_.size() == n_ && value <= lines_.front().*by_)) return;
    if (lines_.size() == n_) {
      std::pop_heap(lines_.begin(), lines_.end(), more());
      lines_.pop_back();
    }
    const Meta& meta = variant.object->meta;
    lines_.push_back({std::string(variant.entry->key()), std::string(variant.secondary()), hits,
                      bytes, meta.stored_at_ms, meta.status});
    std::push_heap(lines_.begin(), lines_.end(), more());
  }
  std::vector<SurveyLine> take() {
    std::sort(lines_.begin(), lines_.end(), more());
    return std::move(lines_);
  }

 private:
  struct More {
    uint64_t SurveyLine::*by;
    bool operator()(const SurveyLine& a, const SurveyLine& b) const { return a.*by > b.*by; }
  };
  More more() const { return {by_}; }

  size_t n_;
  uint64_t SurveyLine::*by_;
  std::vector<SurveyLine> lines_;
};

}  // namespace

Survey Store::survey(size_t n) const {
  Survey survey;
  Top by_hits(n, &SurveyLine::hits);
  Top by_bytes(n, &SurveyLine::bytes);
  std::vector<Entry*> entries;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    size_t below = SIZE_MAX;
    for (bool more = true; more;) {
      const std::lock_guard lock(shard->mutex);
      shard->enter(now());
      more = shard->some_entries(below, entries);
      for (Entry* const entry : entries) {
        for (Variant* variant = entry->first; variant != nullptr; variant = variant->next) {
          if (shard->is_old(*variant)) continue;
          const uint64_t bytes = uint64_t{variant->all_cells} * Slabs::kCellBytes;
          by_hits.offer(*variant, variant->hits, bytes);
          by_bytes.offer(*variant, variant->hits, bytes);
        }
      }
    }
  }
  survey.by_hits = by_hits.take();
  survey.by_bytes = by_bytes.take();
  return survey;
}

void Store::configure(const StoreOptions& options) {
  max_object_bytes_.store(options.max_object_bytes, std::memory_order_relaxed);
  eviction_.store(options.eviction, std::memory_order_relaxed);
  for (const std::unique_ptr<Shard>& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    shard->policy().set(options.eviction);
  }
  slabs_.set_limit(std::clamp(options.memory_bytes, kMemoryMin, kMemoryMax));
  const uint64_t limit = slabs_.limit_bytes();
  memory_bytes_.store(limit, std::memory_order_relaxed);
  // First those go that are needed least. Some room is left, because what remains may have to move
  // together: the emptiest slabs are cleared, whoever has something in them.
  while (slabs_.used_bytes() > limit - limit / 16 && slabs_.slab_bytes() > limit) {
    if (!evict_one()) break;
  }
  if (slabs_.retire() > 0) leave_retired();
}

void Store::leave_retired() {
  std::vector<Entry*> entries;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    size_t below = SIZE_MAX;
    for (bool more = true; more;) {
      Garbage garbage(slabs_);
      const std::lock_guard lock(shard->mutex);
      shard->enter(now());
      more = shard->some_entries(below, entries);
      for (Entry* const entry : entries) shard->drop_retired(*entry, garbage);
    }
    for (bool moved = false; !moved;) {
      {
        const std::lock_guard lock(shard->mutex);
        moved = shard->leave_retired();
      }
      if (!moved && !evict_one()) break;
    }
  }
}

}  // namespace weir::filters::cache
