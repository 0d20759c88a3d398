// A chain of blocks: bytes that wait for a peer. Appends at the end, consumes at the front, moves
// without copying. Nobody gets a contiguous view of more than front(). Thread-confined.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/blocks.h"

namespace weir {

class Buffer {
 public:
  explicit Buffer(BlockPool& pool) : pool_(&pool) {}
  Buffer(Buffer&& other) noexcept
      : pool_(other.pool_),
        head_(std::exchange(other.head_, nullptr)),
        tail_(std::exchange(other.tail_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&&) = delete;
  ~Buffer() { clear(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  void append(std::string_view bytes);
  void append(const Buffer& other);  // a copy of all of it
  // A contiguous place for at least `bytes` (<= Block::capacity()); say with commit() how much of
  // it was written. Valid until the next call on this buffer.
  char* reserve(size_t bytes) {
    if (tail_ == nullptr || Block::capacity() - tail_->end < bytes) grow();
    return tail_->data + tail_->end;
  }
  void commit(size_t bytes) {
    tail_->end += static_cast<uint32_t>(bytes);
    size_ += bytes;
  }

  std::string_view front() const {
    return head_ == nullptr
               ? std::string_view()
               : std::string_view(head_->data + head_->begin, head_->end - head_->begin);
  }
  // Fills at most `max` spans (for writev) and returns how many.
  size_t spans(std::string_view* out, size_t max) const;
  std::string text() const;  // a copy of all
  void consume(size_t bytes);
  void clear();
  void swap(Buffer& other) {
    std::swap(head_, other.head_);
    std::swap(tail_, other.tail_);
    std::swap(size_, other.size_);
  }
  // Appends all of `other` (same pool) by moving its blocks.
  void take(Buffer& other);
  // Moves everything behind the first `bytes` (a border between blocks) to the front of `tail`.
  void split_tail(size_t bytes, Buffer& tail);

 private:
  void grow();

  BlockPool* pool_;
  Block* head_ = nullptr;
  Block* tail_ = nullptr;
  size_t size_ = 0;
};

}  // namespace weir
