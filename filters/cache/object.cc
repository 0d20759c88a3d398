#include "filters/cache/object.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/check.h"

namespace weir::filters::cache {

namespace {

// Gives back what of its run lies behind `end`; how many cells that was.
uint32_t cut(Slabs& slabs, Block& block, const char* end) {
  const auto begin = reinterpret_cast<char*>(&block);
  const uint32_t needed = Slabs::cells_of(static_cast<size_t>(end - begin));
  WEIR_ASSERT(needed <= block.cells);
  const uint32_t surplus = block.cells - needed;
  slabs.give_back(begin + size_t{needed} * Slabs::kCellBytes, surplus);
  block.cells = static_cast<uint16_t>(needed);
  return surplus;
}

}  // namespace

uint32_t Object::all_cells() const {
  uint32_t sum = cells;
  for (const Body* body : bodies) {
    if (body != nullptr) sum += body->cells + body->block_cells;
  }
  return sum;
}

Object& make_object(const Slabs::Run& run, const Meta& meta, std::string_view head) {
  Object& object = *new (run.at) Object{};
  object.refs.store(1, std::memory_order_relaxed);
  object.cells = run.cells;
  object.head_bytes = static_cast<uint32_t>(head.size());
  object.meta = meta;
  if (!head.empty()) std::memcpy(object.head(), head.data(), head.size());
  return object;
}

Object& make_object(const Slabs::Run& run, const Object& like, const Meta& meta,
                    std::string_view head) {
  Object& object = make_object(run, meta, head);
  object.content = like.content;
  object.key_hash = like.key_hash;
  object.bodies = like.bodies;
  for (Body* body : object.bodies) {
    if (body != nullptr) body->refs.fetch_add(1, std::memory_order_relaxed);
  }
  return object;
}

Block& make_block(const Slabs::Run& run) {
  const size_t bytes = run.cells * Slabs::kCellBytes - sizeof(Block);
  return *new (run.at)
      Block{nullptr, static_cast<uint32_t>(bytes), static_cast<uint16_t>(run.cells), false};
}

Block& make_block_of_pages(Slabs& slabs, const Slabs::Run& run, uint64_t bytes) {
  Block& block = *new (run.at) Block{nullptr, 0, static_cast<uint16_t>(run.cells), true};
  WEIR_ASSERT(block.data() + Block::kLentBytesMin <= block.end());
  const auto room = static_cast<uint64_t>(block.end() - block.data());
  block.capacity = static_cast<uint32_t>(
      std::min(Block::pages_of(bytes), room & ~uint64_t{Slabs::kPageBytes - 1}));
  cut(slabs, block, block.data() + block.capacity);
  return block;
}

Body& make_body(const Slabs::Run& run, Encoding encoding, std::string_view suffix) {
  Body& body = *new (run.at) Body{};
  body.refs.store(1, std::memory_order_relaxed);
  body.state.store(BodyState::kGrowing, std::memory_order_relaxed);
  body.encoding = encoding;
  body.cells = run.cells;
  body.suffix_bytes = static_cast<uint32_t>(suffix.size());
  if (!suffix.empty()) std::memcpy(body.suffix(), suffix.data(), suffix.size());
  const size_t before = Body::head_bytes(suffix.size()) + sizeof(Block);
  WEIR_ASSERT(before <= run.cells * Slabs::kCellBytes);
  new (&body.first())
      Block{nullptr, static_cast<uint32_t>(run.cells * Slabs::kCellBytes - before), 0, false};
  return body;
}

void drop(Slabs& slabs, Body& body) {
  if (body.refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  WEIR_ASSERT(body.waiters.load(std::memory_order_relaxed) == nullptr);
  for (Block* block = body.first().next; block != nullptr;) {
    Block* const next = block->next;
    if (block->lent.load(std::memory_order_relaxed)) {
      slabs.renew(block->data(), static_cast<size_t>(block->end() - block->data()));
    }
    slabs.give_back(block, block->cells);
    block = next;
  }
  slabs.give_back(&body, body.cells);
}

void drop(Slabs& slabs, Object& object) {
  if (object.refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (Body* body : object.bodies) {
    if (body != nullptr) drop(slabs, *body);
  }
  slabs.give_back(&object, object.cells);
}

// Readers look at a block's capacity, which stays as it was, and never at its cells. A page is kept
// or given back as a whole: one that was lent is renewed as a whole.
void trim(Slabs& slabs, Body& body, Block& last, uint64_t used) {
  if (last.cells != 0) {
    body.block_cells -=
        cut(slabs, last, last.data() + (last.has_pages ? Block::pages_of(used) : used));
    return;
  }
  const auto begin = reinterpret_cast<char*>(&body);
  const uint32_t needed = Slabs::cells_of(static_cast<uint64_t>(last.data() - begin) + used);
  WEIR_ASSERT(needed <= body.cells);
  slabs.give_back(begin + size_t{needed} * Slabs::kCellBytes, body.cells - needed);
  body.cells = needed;
}

bool is_retired(const Slabs& slabs, Object& object) {
  if (slabs.retired(&object)) return true;
  for (Body* body : object.bodies) {
    if (body == nullptr) continue;
    if (slabs.retired(body)) return true;
    for (const Block* block = body->first().next; block != nullptr; block = block->next) {
      if (slabs.retired(block)) return true;
    }
  }
  return false;
}

Garbage::~Garbage() {
  while (first_ != nullptr) {
    Object& object = *first_;
    first_ = object.next;
    drop(slabs_, object);
  }
}

}  // namespace weir::filters::cache
