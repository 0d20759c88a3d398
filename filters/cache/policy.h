// Which answer goes when there is no room: the one that was not used for the longest time (LRU), or
// as S3-FIFO has it (Yang, Zhang, Qiu, Yue, Rashmi, SOSP 2023): new ones wait in a small queue
// whether anybody asks for them again; who does not see that goes, and is known for a while: when
// it comes back it is taken for good. Bytes decide, not numbers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "filters/cache/entry.h"
#include "filters/cache/ghost.h"
#include "filters/cache/store_options.h"

namespace weir::filters::cache {

// Variants from the one that came last to the oldest. Who uses it has the lock.
class VariantQueue {
 public:
  Variant* oldest() const { return oldest_; }
  uint64_t cells() const { return cells_; }
  size_t size() const { return size_; }
  // Of the oldest. Known without looking at it: it may be in nobody's cache.
  uint64_t age() const { return age_; }
  void push(Variant& variant);
  void remove(Variant& variant);
  void put_in_place(Variant& of, Variant& by);
  void resize(Variant& variant, uint32_t cells);

 private:
  Variant* newest_ = nullptr;
  Variant* oldest_ = nullptr;
  uint64_t cells_ = 0;
  size_t size_ = 0;
  uint64_t age_ = UINT64_MAX;
};

// One per shard; who uses it has the lock. A variant is in one of its queues from add() to
// remove().
class Policy {
 public:
  // `age` is kept: when the next one to go came to its place, UINT64_MAX: there is none. Others
  // read it without the lock.
  Policy(Slabs& slabs, Eviction eviction, std::atomic<uint64_t>& age)
      : ghost_(slabs), eviction_(eviction), age_(age) {
    publish();
  }
  void set_now(uint64_t insertions) { now_ = insertions; }

  // Which rule decides from now on. Everything keeps its place.
  void set(Eviction eviction);

  void add(Variant& variant);
  // `by` comes where `of` was, which is in no queue any more.
  void replace(Variant& of, Variant& by);
  void use(Variant& variant);
  void resize(Variant& variant, uint32_t cells);
  void remove(Variant& variant);
  // Who goes next; still in its queue. Null: nobody, or all that were looked at are being read:
  // who evicts those frees nothing. What is of another `generation` goes first.
  Variant* choose(uint32_t generation);
  // remove() of the one that choose() gave.
  void evict(Variant& variant);
  // The oldest in each queue.
  Variant* oldest(Queue queue) const;
  void forget_ghosts() { ghost_.clear(); }

 private:
  static constexpr uint8_t kFrequencyMax = 3;
  static constexpr uint8_t kFrequencyToStay = 2;  // uses while in the small queue
  static constexpr uint64_t kSmallShare = 10;     // a tenth of all bytes
  // Variants that one choose() looks at: it has the lock.
  static constexpr int kLooksMax = 64;

  VariantQueue& queue_of(const Variant& variant) {
    return variant.queue == Queue::kSmall ? small_ : main_;
  }
  void move(Variant& variant, Queue to);
  void push(Variant& variant, Queue queue);
  bool small_is_next() const;
  void publish();
  Variant* next_lru();
  Variant* next_s3fifo();

  VariantQueue small_;
  VariantQueue main_;  // for LRU all of them
  Ghost ghost_;
  Eviction eviction_;
  uint64_t now_ = 0;
  std::atomic<uint64_t>& age_;
};

}  // namespace weir::filters::cache
