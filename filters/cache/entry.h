// What lies in the slabs of the index: keys, their variants, tags. All under the shard's lock.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "filters/cache/slab.h"

namespace weir::filters::cache {

struct Object;
struct Variant;

// A primary key and a Vary list: a key has one for each list that its answers have. There as long
// as it has a variant.
struct Entry {
  uint64_t hash;  // of the key, keyed; its other half:
  uint64_t check;
  uint32_t next_in_bucket;
  uint32_t cells;
  uint32_t key_bytes;
  uint32_t vary_bytes;
  Entry* left;  // KeyTree
  Entry* right;
  Entry* parent;
  Variant* first;  // the one that was asked for last; the others behind it, in that order
  Variant* last;
  uint32_t variants;

  char* text() { return reinterpret_cast<char*>(this + 1); }
  std::string_view key() { return {text(), key_bytes}; }
  std::string_view vary() { return {text() + key_bytes, vary_bytes}; }
  static constexpr uint32_t cells_for(size_t text_bytes) {
    return Slabs::cells_of(sizeof(Entry) + text_bytes);
  }
};

struct TagLink;

// A name by which answers are purged. There as long as one has it.
struct Tag {
  uint64_t hash;
  uint32_t next_in_bucket;
  uint32_t cells;
  uint32_t name_bytes;
  uint32_t links;
  TagLink* first;
  TagLink* last;

  char* text() { return reinterpret_cast<char*>(this + 1); }
  std::string_view name() { return {text(), name_bytes}; }
  static constexpr uint32_t cells_for(size_t bytes) { return Slabs::cells_of(sizeof(Tag) + bytes); }
};

struct TagLink {
  Tag* tag;
  Variant* variant;
  TagLink* next;
  TagLink* previous;
};

enum class Queue : uint8_t { kNone, kSmall, kMain };  // of the policy

// One answer's place. What it holds may be replaced, it stays.
struct Variant {
  Entry* entry;
  Object* object;  // counts once
  uint64_t hash;   // of key and secondary key
  Variant* next;   // in the entry
  Variant* previous;
  Variant* older;  // in the queue
  Variant* newer;
  Variant* before;  // in StoredOrder
  Variant* behind;
  uint64_t hits;
  uint64_t queued_at;        // insertions until it came to where it is in the queue
  uint32_t cells;            // of its run
  uint32_t all_cells;        // with the object; what it counts in its queue
  uint32_t generation;       // of purges of all, when it came
  uint32_t soft_generation;  // the same, of soft ones
  uint32_t secondary_bytes;
  uint8_t tags;
  uint8_t frequency;
  Queue queue;
  bool stale;

  std::span<TagLink> links() { return {reinterpret_cast<TagLink*>(this + 1), tags}; }
  char* text() { return reinterpret_cast<char*>(this + 1) + tags * sizeof(TagLink); }
  std::string_view secondary() { return {text(), secondary_bytes}; }
  static constexpr uint32_t cells_for(size_t tags, size_t secondary_bytes) {
    return Slabs::cells_of(sizeof(Variant) + tags * sizeof(TagLink) + secondary_bytes);
  }
};

// Into runs of the cells that cells_for() says. `tags` of make_variant() have no names yet.
Entry& make_entry(const Slabs::Run& run, std::string_view key, std::string_view vary, uint64_t hash,
                  uint64_t check);
Variant& make_variant(const Slabs::Run& run, size_t tags, std::string_view secondary,
                      uint64_t hash);
Tag& make_tag(const Slabs::Run& run, std::string_view name, uint64_t hash);

// Variants in the order in which they were stored, or validated. Those from before a purge of all
// stay in front until they go.
class StoredOrder {
 public:
  // Since forget(). Null: there is none.
  const Variant* first() const { return first_; }
  void push(Variant& variant);
  void remove(Variant& variant);
  void forget() { first_ = nullptr; }

 private:
  Variant* first_ = nullptr;
  Variant* last_ = nullptr;
};

// Entries in the order of their keys (a treap: its heap order is by the keyed hash, so nobody can
// make it deep).
class KeyTree {
 public:
  void insert(Entry& entry);
  void remove(Entry& entry);
  Entry* at_or_behind(std::string_view key) const;

 private:
  void put(Entry* parent, const Entry& at, Entry* now);
  Entry* root_ = nullptr;
};

}  // namespace weir::filters::cache
