// One part of the index: its keys, their order, tags, the policy, and what is growing, under one
// lock.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/intrusive_list.h"
#include "base/siphash.h"
#include "filters/cache/entry.h"
#include "filters/cache/hash_index.h"
#include "filters/cache/object.h"
#include "filters/cache/policy.h"
#include "filters/cache/store.h"

namespace weir::filters::cache {

struct Key {
  std::string_view text;
  Hash128 hash;
};

// An answer, or one more coding, that is being written. On the heap, like the request that it
// belongs to; owned by its Writer.
struct Growing {
  // Constant.
  bool is_answer = true;  // else one more coding
  std::string key;        // answers only
  Hash128 hash;           // of the key; of one more coding only what Entry::hash has of it
  Moment began;

  // Under the shard's lock.
  ListHook hook;           // answers only
  bool purged = false;     // to go to its readers, not into the index
  bool softly = false;     // to be stale from the begin
  Entry* entry = nullptr;  // for the index; null: not started. With its tags, also not in the index
  Variant* variant = nullptr;

  // The writer's thread only.
  std::string vary;
  std::string secondary;
  Reader of;                 // of an added coding: what it is added to
  Object* object = nullptr;  // counts once; null: not started
  Body* body = nullptr;      // the object's
  Block* tail = nullptr;
  uint64_t tail_bytes = 0;
  uint64_t written = 0;  // published, or about to be
  uint64_t expected_bytes = 0;
  uint32_t counted_cells = 0;   // of the bytes that grow
  Room room = Room::kNoMemory;  // what the last call said; other than kOk: no more is taken
};

// All methods REQUIRE that the caller holds `mutex`. Objects that leave go into `garbage`, which
// dies after the lock.
class Shard {
 public:
  struct Counters {
    uint64_t objects = 0;  // of the generation that is now
    uint64_t hits = 0;
    uint64_t misses = 0;
    uint64_t insertions = 0;
    uint64_t evictions = 0;
    uint64_t expirations = 0;
    uint64_t purged = 0;
  };

  // `ages`, `cells`: Policy's.
  Shard(Slabs& slabs, const SipKey& secret, Eviction eviction, QueueAges& ages, QueueCells& cells);

  std::mutex mutex;

  // Learns of the time and of purges of all. First after locking.
  void enter(const Moment& now);

  Entry* find(const Key& key, std::string_view vary) const;
  Variant* find(Entry& entry, std::string_view secondary) const;
  // What answers a request. `known`: the key has others.
  Variant* choose(const Key& key, SecondaryKey& secondary, bool& known, Garbage& garbage);
  // Who has those bodies now, under whatever head. Null: nobody, or it is old.
  Variant* find_content(const Object& like) const;
  void use(Variant& variant);
  uint64_t hash_of(const Hash128& key, std::string_view secondary) const;

  // Of what has grown. False: it has been purged. The object's count and the variant are the
  // index's then, and whatever was not needed has been given back.
  bool insert(Growing& grown, Garbage& garbage);
  // Another object in the same place: with one more coding, or validated.
  void exchange(Variant& variant, Object& object, Garbage& garbage);
  void refresh(Variant& variant, Object& object, Garbage& garbage);
  void remove(Variant& variant, Garbage& garbage);
  void remove_all(Entry& entry, Garbage& garbage);
  // The next one of a queue; false: nobody of those that were looked at can go.
  bool evict(Queue queue, Garbage& garbage);
  // At most so many of older generations.
  size_t drop_old(size_t most, Garbage& garbage);

  size_t purge(const Key& key, Purge how, Garbage& garbage);
  // About `budget` answers from the key `from` on, which becomes the one to go on with. True: done.
  bool purge_prefix(std::string_view prefix, Purge how, size_t budget, std::string& from,
                    size_t& hits, Garbage& garbage);
  // The first `budget` answers with a tag. Softly, they go to the end of its list.
  size_t purge_tag(std::string_view tag, Purge how, size_t budget, Garbage& garbage);
  size_t tagged(std::string_view tag) const;
  // Of all that grows and for which `is` says so.
  template <typename Is>
  size_t purge_growing(Purge how, Is is);

  // Entries of some buckets below `below`, which moves down; begin with SIZE_MAX. False: those were
  // the last ones. Downwards, because an index that shrinks moves what is in it down.
  bool some_entries(size_t& below, std::vector<Entry*>& out) const;

  // Of one entry, those past their time, or with something in a slab that is to go.
  size_t drop_expired(Entry& entry, uint64_t now_ms, Garbage& garbage);
  void drop_retired(Entry& entry, Garbage& garbage);
  // The index leaves slabs that are to go. False: there is no room.
  bool leave_retired();

  bool is_old(const Variant& variant) const { return variant.generation != now_.hard; }
  bool is_stale(const Variant& variant) const {
    return variant.stale || variant.soft_generation != now_.soft;
  }
  Policy& policy() { return policy_; }
  size_t entries() const { return entries_.size(); }
  // When what was stored, or validated, before all others was. UINT64_MAX: there is nothing.
  uint64_t oldest_stored_at_ms() const {
    const Variant* const first = stored_order_.first();
    return first == nullptr ? UINT64_MAX : first->object->meta.stored_at_ms;
  }

  Counters counters;
  IntrusiveList<Growing, &Growing::hook> growing;

 private:
  using Entries = std::array<Entry*, Store::kVaryListsMax>;
  // Of that key, whatever their lists; then null.
  Entries find(const Key& key) const;
  Entry& entry_for(Growing& grown, Garbage& garbage);
  bool is_retired(Variant& variant) const;
  Tag* find_tag(std::string_view name) const;
  void link_tags(Variant& variant);
  void unlink_tags(Variant& variant);
  void hit(Variant& variant, Purge how, Garbage& garbage);
  size_t hit_all(const Key& key, Purge how, Garbage& garbage);

  Slabs& slabs_;
  const SipKey& secret_;
  HashIndex<Entry> entries_;
  KeyTree tree_;
  StoredOrder stored_order_;
  HashIndex<Tag> tags_;
  Policy policy_;
  Moment now_;
};

// Gives back what was made for the index and is not in it, with its tags.
void discard(Slabs& slabs, Growing& growing);

template <typename Is>
size_t Shard::purge_growing(Purge how, Is is) {
  size_t hit = 0;
  growing.for_each([&](Growing& one) {
    if (!is(one)) return;
    (how == Purge::kSoft ? one.softly : one.purged) = true;
    ++hit;
  });
  return hit;
}

}  // namespace weir::filters::cache
