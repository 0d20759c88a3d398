// What lies in the slabs of one stored answer. Of no interest outside of the store.
//
//   Object: meta and head, immutable, counted by the index (one) and by readers. Several in a row
//           (refreshed, one more coding) share their bodies.
//   Body:   one representation, counted by the objects that have it. Its first block lies behind it
//           in the same run, further ones are chained.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "filters/cache/meta.h"
#include "filters/cache/reader.h"
#include "filters/cache/slab.h"

namespace weir::filters::cache {

struct Block {
  Block* next;  // written before the bytes behind this block are published
  uint32_t capacity;
  uint16_t cells;  // of its run; 0: it lies in its body's
  bool has_pages;  // whole ones, with nothing else in them: they can be sent as they are
  std::atomic<bool> lent = false;  // its pages may lie in sockets

  static_assert(Slabs::kRunCellsMax <= UINT16_MAX);
  // Of a block with pages, and what is sent of one at a time: less is copied as fast.
  static constexpr uint64_t kLentBytesMin = 32 * 1024;

  char* data() {
    char* const behind = reinterpret_cast<char*>(this + 1);
    return has_pages ? page_at(behind) : behind;
  }
  char* end() { return reinterpret_cast<char*>(this) + size_t{cells} * Slabs::kCellBytes; }
  // The first page that begins there or behind.
  static char* page_at(char* at) {
    return at + (-reinterpret_cast<uintptr_t>(at) & (Slabs::kPageBytes - 1));
  }
  static constexpr uint32_t cells_for(uint64_t bytes) {
    return Slabs::cells_of(bytes + sizeof(Block));
  }
  // Wherever the run begins: what is before the first page is less than one.
  static constexpr uint32_t cells_for_pages(uint64_t bytes) {
    return Slabs::cells_of(pages_of(bytes) + Slabs::kPageBytes);
  }
  static constexpr uint64_t pages_of(uint64_t bytes) {  // in bytes
    return (bytes + Slabs::kPageBytes - 1) & ~uint64_t{Slabs::kPageBytes - 1};
  }
};

struct Body {
  std::atomic<uint64_t> published;  // bytes that may be read
  std::atomic<Waiter*> waiters;     // changed under their lock
  std::atomic<uint32_t> refs;
  std::atomic<BodyState> state;
  Encoding encoding;
  uint32_t cells;        // of its run, the first block included
  uint32_t block_cells;  // of the runs of further blocks. Its writer's until it is whole
  uint32_t suffix_bytes;

  char* suffix() { return reinterpret_cast<char*>(this + 1); }
  Block& first() {
    return *reinterpret_cast<Block*>(reinterpret_cast<char*>(this) + head_bytes(suffix_bytes));
  }
  // Up to the first block.
  static constexpr size_t head_bytes(size_t suffix_bytes) {
    return (sizeof(Body) + suffix_bytes + alignof(Block) - 1) & ~(alignof(Block) - 1);
  }
};

struct Object {
  std::atomic<uint32_t> refs;
  uint32_t cells;
  uint64_t content;   // the same for all that share bodies: one of them at most is in the index
  uint64_t key_hash;  // Entry::hash
  Object* next;       // in a Garbage
  uint32_t head_bytes;
  std::array<Body*, kEncodings> bodies;
  Meta meta;

  char* head() { return reinterpret_cast<char*>(this + 1); }
  static constexpr uint32_t cells_for(size_t head_bytes) {
    return Slabs::cells_of(sizeof(Object) + head_bytes);
  }
  uint32_t all_cells() const;  // with its bodies, which are whole
};

// Into a run of cells_for(head.size()), with one count and no body.
Object& make_object(const Slabs::Run& run, const Meta& meta, std::string_view head);
// The same bodies under another head.
Object& make_object(const Slabs::Run& run, const Object& like, const Meta& meta,
                    std::string_view head);
// Over the whole run.
Block& make_block(const Slabs::Run& run);
// With pages for `bytes`, or as many as there are in the run: what it has behind them is given
// back. REQUIRES that they can be lent.
Block& make_block_of_pages(Slabs& slabs, const Slabs::Run& run, uint64_t bytes);
// Into a run that has room for the suffix and a block.
Body& make_body(const Slabs::Run& run, Encoding encoding, std::string_view suffix);
// Gives one count back, and with the last one the memory.
void drop(Slabs& slabs, Object& object);
void drop(Slabs& slabs, Body& body);
// What the last block of a body does not need.
void trim(Slabs& slabs, Body& body, Block& last, uint64_t used);
// Whether any of its memory is in a slab that is to go.
bool is_retired(const Slabs& slabs, Object& object);

// Objects whose counts are given back when no lock is held any more.
class Garbage {
 public:
  explicit Garbage(Slabs& slabs) : slabs_(slabs) {}
  ~Garbage();
  Garbage(const Garbage&) = delete;
  Garbage& operator=(const Garbage&) = delete;
  void add(Object& object) {
    object.next = first_;
    first_ = &object;
  }

 private:
  Slabs& slabs_;
  Object* first_ = nullptr;
};

// The locks of those who wait: some, by body.
std::mutex& waiters_lock(const Body& body);
// Calls them all; afterwards nobody waits. The writer's, after it has published.
void wake_waiters(Body& body);

}  // namespace weir::filters::cache
