#include "filters/cache/policy.h"

#include "filters/cache/object.h"

namespace weir::filters::cache {

namespace {

bool is_read(const Variant& variant) {
  return variant.object->refs.load(std::memory_order_relaxed) > 1;
}

}  // namespace

void VariantQueue::push(Variant& variant) {
  variant.newer = nullptr;
  variant.older = newest_;
  if (newest_ != nullptr) {
    newest_->newer = &variant;
  } else {
    oldest_ = &variant;
    age_ = variant.queued_at;
  }
  newest_ = &variant;
  cells_ += variant.all_cells;
  ++size_;
}

void VariantQueue::remove(Variant& variant) {
  (variant.older != nullptr ? variant.older->newer : oldest_) = variant.newer;
  (variant.newer != nullptr ? variant.newer->older : newest_) = variant.older;
  if (variant.older == nullptr) age_ = oldest_ == nullptr ? UINT64_MAX : oldest_->queued_at;
  cells_ -= variant.all_cells;
  --size_;
}

void VariantQueue::put_in_place(Variant& of, Variant& by) {
  by.newer = of.newer;
  by.older = of.older;
  (by.newer != nullptr ? by.newer->older : newest_) = &by;
  (by.older != nullptr ? by.older->newer : oldest_) = &by;
  cells_ += by.all_cells;
  cells_ -= of.all_cells;
}

void VariantQueue::resize(Variant& variant, uint32_t cells) {
  cells_ += cells;
  cells_ -= variant.all_cells;
  variant.all_cells = cells;
}

// Under LRU the small queue takes nobody in, and empties first.
void Policy::set(Eviction eviction) {
  if (eviction_ == eviction) return;
  eviction_ = eviction;
  ghost_.clear();
}

void Policy::add(Variant& variant) {
  const bool small = eviction_ == Eviction::kS3Fifo && !ghost_.take(variant.hash);
  variant.frequency = 0;
  push(variant, small ? Queue::kSmall : Queue::kMain);
  publish();
}

void Policy::replace(Variant& of, Variant& by) {
  by.queue = of.queue;
  by.frequency = of.frequency;
  by.queued_at = of.queued_at;
  queue_of(of).put_in_place(of, by);
  of.queue = Queue::kNone;
  if (eviction_ == Eviction::kLru) move(by, Queue::kMain);
  publish();
}

void Policy::use(Variant& variant) {
  if (eviction_ != Eviction::kLru) {
    if (variant.frequency < kFrequencyMax) ++variant.frequency;
  } else if (variant.newer != nullptr || variant.queue != Queue::kMain) {
    move(variant, Queue::kMain);
    publish();
  }
}

void Policy::resize(Variant& variant, uint32_t cells) {
  queue_of(variant).resize(variant, cells);
  publish();
}

void Policy::remove(Variant& variant) {
  queue_of(variant).remove(variant);
  variant.queue = Queue::kNone;
  publish();
}

void Policy::push(Variant& variant, Queue queue) {
  variant.queue = queue;
  variant.queued_at = now_;
  queue_of(variant).push(variant);
}

void Policy::move(Variant& variant, Queue to) {
  queue_of(variant).remove(variant);
  push(variant, to);
}

Queue Policy::next(const QueueCells& cells, Eviction eviction) {
  const uint64_t small = cells.small.load(std::memory_order_relaxed);
  const uint64_t main = cells.main.load(std::memory_order_relaxed);
  if (eviction == Eviction::kLru) return small > 0 ? Queue::kSmall : Queue::kMain;
  return main == 0 || small * kSmallShare > small + main ? Queue::kSmall : Queue::kMain;
}

// Hits of S3-FIFO change nothing of it, those of LRU seldom the age.
void Policy::publish() {
  ages_.small.store(small_.age(), std::memory_order_relaxed);
  ages_.main.store(main_.age(), std::memory_order_relaxed);
  if (counted_small_ != small_.cells()) {
    all_cells_.small.fetch_add(small_.cells() - counted_small_, std::memory_order_relaxed);
    counted_small_ = small_.cells();
  }
  if (counted_main_ != main_.cells()) {
    all_cells_.main.fetch_add(main_.cells() - counted_main_, std::memory_order_relaxed);
    counted_main_ = main_.cells();
  }
}

Variant* Policy::oldest(Queue queue) const {
  return (queue == Queue::kSmall ? small_ : main_).oldest();
}

// Whoever stays goes to the new end of the main queue.
bool Policy::has_to_stay(Variant& variant, Queue queue) const {
  if (is_read(variant)) return true;
  if (eviction_ == Eviction::kLru) return false;
  if (queue == Queue::kSmall) {
    if (variant.frequency < kFrequencyToStay) return false;
    variant.frequency = 0;
    return true;
  }
  if (variant.frequency == 0) return false;
  --variant.frequency;
  return true;
}

Variant* Policy::choose(Queue queue, uint32_t generation) {
  for (const Queue any : {Queue::kSmall, Queue::kMain}) {
    Variant* const variant = oldest(any);
    if (variant != nullptr && variant->generation != generation) return variant;
  }
  Variant* least = nullptr;
  for (int looks = 0; looks < kLooksMax; ++looks) {
    Variant* const variant = oldest(queue);
    if (variant == nullptr || !has_to_stay(*variant, queue)) {
      least = variant;
      break;
    }
    move(*variant, Queue::kMain);
    if (is_read(*variant)) continue;
    if (least == nullptr || variant->frequency < least->frequency) least = variant;
  }
  publish();
  return least;
}

void Policy::remember(uint64_t hash) {
  if (eviction_ == Eviction::kS3Fifo) ghost_.add(hash, small_.size() + main_.size());
}

}  // namespace weir::filters::cache
