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

// What others read of a shard's queues without its lock: when the oldest of each came to its place,
// by the clock of insertions. UINT64_MAX: it is empty.
struct QueueAges {
  std::atomic<uint64_t> small{UINT64_MAX};
  std::atomic<uint64_t> main{UINT64_MAX};
};
// What is in the queues of all shards together.
struct QueueCells {
  std::atomic<uint64_t> small{0};
  std::atomic<uint64_t> main{0};
};

// One per shard; who uses it has the lock. A variant is in one of its queues from add() to
// remove().
class Policy {
 public:
  // `ages` are this one's, `cells` all shards'. Both outlive it.
  Policy(Slabs& slabs, Eviction eviction, QueueAges& ages, QueueCells& cells)
      : ghost_(slabs), eviction_(eviction), ages_(ages), all_cells_(cells) {}

  // From which queue the next one has to go, of whatever shard. The small one has a tenth.
  static Queue next(const QueueCells& cells, Eviction eviction);

  void set_now(uint64_t insertions) { now_ = insertions; }
  // Which rule decides from now on. Everything keeps its place.
  void set(Eviction eviction);

  void add(Variant& variant);
  // `by` comes where `of` was, which is in no queue any more.
  void replace(Variant& of, Variant& by);
  void use(Variant& variant);
  void resize(Variant& variant, uint32_t cells);
  void remove(Variant& variant);
  // Who of a queue goes next; still in one. Null: nobody: it is empty, or all that were looked at
  // are being read: who evicts those frees nothing. Where all that were looked at were used, the
  // least used of them has to go. What is of another `generation` goes first.
  Variant* choose(Queue queue, uint32_t generation);
  // One of that hash has been evicted from the small queue, and its memory is free.
  void remember(uint64_t hash);
  Variant* oldest(Queue queue) const;
  void forget_ghosts() { ghost_.clear(); }

 private:
  static constexpr uint8_t kFrequencyMax = 3;
  static constexpr uint8_t kFrequencyToStay = 2;  // uses while in the small queue
  static constexpr uint64_t kSmallShare = 10;     // a tenth of all bytes
  // Variants that one choose() looks at, with the lock held.
  static constexpr int kLooksMax = 128;

  VariantQueue& queue_of(const Variant& variant) {
    return variant.queue == Queue::kSmall ? small_ : main_;
  }
  void push(Variant& variant, Queue queue);
  void move(Variant& variant, Queue to);
  bool has_to_stay(Variant& variant, Queue queue) const;
  void publish();

  VariantQueue small_;
  VariantQueue main_;  // for LRU all of them
  Ghost ghost_;
  Eviction eviction_;
  uint64_t now_ = 0;
  QueueAges& ages_;
  QueueCells& all_cells_;
  uint64_t counted_small_ = 0;  // of this shard in all_cells_
  uint64_t counted_main_ = 0;
};

}  // namespace weir::filters::cache
