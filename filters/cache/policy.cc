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
  publish();
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
    variant.frequency += variant.frequency < kFrequencyMax;
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

bool Policy::small_is_next() const {
  if (main_.size() == 0) return true;
  if (eviction_ == Eviction::kLru) return small_.size() > 0;
  return small_.cells() * kSmallShare > small_.cells() + main_.cells();
}

void Policy::publish() {
  age_.store(small_is_next() ? small_.age() : main_.age(), std::memory_order_relaxed);
}

Variant* Policy::oldest(Queue queue) const {
  return (queue == Queue::kSmall ? small_ : main_).oldest();
}

Variant* Policy::choose(uint32_t generation) {
  for (const Queue queue : {Queue::kSmall, Queue::kMain}) {
    Variant* const variant = oldest(queue);
    if (variant != nullptr && variant->generation != generation) return variant;
  }
  Variant* const next = eviction_ == Eviction::kLru ? next_lru() : next_s3fifo();
  publish();
  return next;
}

Variant* Policy::next_lru() {
  for (int looks = 0; looks < kLooksMax; ++looks) {
    Variant* const variant = small_is_next() ? small_.oldest() : main_.oldest();
    if (variant == nullptr || !is_read(*variant)) return variant;
    move(*variant, Queue::kMain);
  }
  return nullptr;
}

Variant* Policy::next_s3fifo() {
  Variant* fallback = nullptr;
  for (int looks = 0; looks < kLooksMax; ++looks) {
    const bool small = small_is_next();
    Variant* const variant = small ? small_.oldest() : main_.oldest();
    if (variant == nullptr) return nullptr;
    const bool read = is_read(*variant);
    if (!read && variant->frequency < (small ? kFrequencyToStay : 1)) return variant;
    if (!read) fallback = variant;
    variant->frequency = small || variant->frequency == 0 ? 0 : variant->frequency - 1;
    move(*variant, Queue::kMain);
  }
  return fallback;
}

// Who has waited in vain in the small queue is known for a while.
void Policy::evict(Variant& variant) {
  if (eviction_ == Eviction::kS3Fifo && variant.queue == Queue::kSmall) {
    ghost_.add(variant.hash, small_.size() + main_.size());
  }
  remove(variant);
}

}  // namespace weir::filters::cache
