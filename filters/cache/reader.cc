#include "filters/cache/reader.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "filters/cache/object.h"
#include "filters/cache/store.h"

namespace weir::filters::cache {

Reader::Reader(Slabs& slabs, Object& object) : slabs_(&slabs), object_(&object) {
  for (size_t i = 0; i < kEncodings; ++i) {
    if (object.bodies[i] == nullptr) continue;
    open(static_cast<Encoding>(i));
    break;
  }
}

Reader::Reader(const Reader& other)
    : slabs_(other.slabs_),
      object_(other.object_),
      body_(other.body_),
      block_(other.block_),
      block_begin_(other.block_begin_),
      position_(other.position_) {
  // Whoever copies holds one: it cannot go meanwhile.
  if (object_ != nullptr) object_->refs.fetch_add(1, std::memory_order_relaxed);
}

Reader::Reader(Reader&& other) noexcept
    : slabs_(other.slabs_),
      object_(std::exchange(other.object_, nullptr)),
      body_(other.body_),
      block_(other.block_),
      block_begin_(other.block_begin_),
      position_(other.position_) {}

Reader& Reader::operator=(Reader other) noexcept {
  std::swap(slabs_, other.slabs_);
  std::swap(object_, other.object_);
  std::swap(body_, other.body_);
  std::swap(block_, other.block_);
  std::swap(block_begin_, other.block_begin_);
  std::swap(position_, other.position_);
  return *this;
}

Reader::~Reader() {
  if (object_ != nullptr) drop(*slabs_, *object_);
}

const Meta& Reader::meta() const { return object_->meta; }

std::string_view Reader::head() const { return {object_->head(), object_->head_bytes}; }

bool Reader::has(Encoding encoding) const {
  return object_->bodies[static_cast<size_t>(encoding)] != nullptr;
}

void Reader::open(Encoding encoding) {
  body_ = object_->bodies[static_cast<size_t>(encoding)];
  WEIR_ASSERT(body_ != nullptr);
  block_ = &body_->first();
  block_begin_ = 0;
  position_ = 0;
}

Encoding Reader::encoding() const { return body_->encoding; }

std::string_view Reader::suffix() const { return {body_->suffix(), body_->suffix_bytes}; }

BodyState Reader::state() const { return body_->state.load(std::memory_order_seq_cst); }

uint64_t Reader::published() const { return body_->published.load(std::memory_order_seq_cst); }

// A block's `next` is written before what lies behind it is published, so it may be followed when
// there is more than the block holds, and not before.
size_t Reader::spans(std::span<std::string_view> out, uint64_t max_bytes) const {
  uint64_t left = std::min(published() - position_, max_bytes);
  Block* block = block_;
  uint64_t skip = position_ - block_begin_;
  size_t count = 0;
  while (left > 0 && count < out.size()) {
    if (skip == block->capacity) {
      block = block->next;
      skip = 0;
      if (count > 0 && block->has_pages) break;
    }
    const uint64_t size = std::min<uint64_t>(block->capacity - skip, left);
    out[count++] = {block->data() + skip, size};
    left -= size;
    skip += size;
  }
  return count;
}

Reader::FilePart Reader::lend(uint64_t max_bytes) {
  const uint64_t left = std::min(published() - position_, max_bytes);
  Block* block = block_;
  uint64_t skip = position_ - block_begin_;
  if (left > 0 && skip == block->capacity) {
    block = block->next;
    skip = 0;
  }
  if (!block->has_pages) return {};
  const uint64_t size = std::min<uint64_t>(block->capacity - skip, left);
  if (size < Block::kLentBytesMin) return {};
  // Most often it is said already: then the line stays shared by all workers' caches.
  if (!block->lent.load(std::memory_order_relaxed)) {
    block->lent.store(true, std::memory_order_relaxed);
  }
  return {slabs_->file(), slabs_->offset_in_file(block->data() + skip), size};
}

void Reader::consume(uint64_t bytes) {
  WEIR_ASSERT(bytes <= published() - position_);
  position_ += bytes;
  while (position_ - block_begin_ > block_->capacity) {
    block_begin_ += block_->capacity;
    block_ = block_->next;
  }
}

void Reader::seek(uint64_t position) {
  if (position < position_) open(encoding());
  consume(position - position_);
}

std::mutex& waiters_lock(const Body& body) {
  static std::array<std::mutex, 64> locks;
  return locks[reinterpret_cast<uintptr_t>(&body) / Slabs::kCellBytes % locks.size()];
}

// Either the writer finds the waiter, or the waiter finds what the writer has published: each
// writes first and then looks, in one order for all (seq_cst).
bool Reader::wait(Waiter& waiter) {
  const std::lock_guard lock(waiters_lock(*body_));
  WEIR_ASSERT(!waiter.waits_);
  Waiter* const first = body_->waiters.load(std::memory_order_relaxed);
  body_->waiters.store(&waiter, std::memory_order_seq_cst);
  if (published() > position_ || state() != BodyState::kGrowing) {
    body_->waiters.store(first, std::memory_order_relaxed);
    return false;
  }
  waiter.next_ = first;
  waiter.previous_ = nullptr;
  waiter.waits_ = true;
  if (first != nullptr) first->previous_ = &waiter;
  return true;
}

void Reader::unwait(Waiter& waiter) {
  const std::lock_guard lock(waiters_lock(*body_));
  if (!waiter.waits_) return;
  waiter.waits_ = false;
  if (waiter.next_ != nullptr) waiter.next_->previous_ = waiter.previous_;
  if (waiter.previous_ != nullptr) {
    waiter.previous_->next_ = waiter.next_;
  } else {
    body_->waiters.store(waiter.next_, std::memory_order_relaxed);
  }
}

void wake_waiters(Body& body) {
  if (body.waiters.load(std::memory_order_seq_cst) == nullptr) return;
  const std::lock_guard lock(waiters_lock(body));
  Waiter* waiter = body.waiters.exchange(nullptr, std::memory_order_relaxed);
  while (waiter != nullptr) {
    Waiter* const next = waiter->next_;
    waiter->waits_ = false;
    waiter->on_grown();
    waiter = next;
  }
}

}  // namespace weir::filters::cache
