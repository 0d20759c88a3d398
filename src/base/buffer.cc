#include "base/buffer.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace weir {

void Buffer::grow() {
  Block* block = pool_->take();
  if (tail_ == nullptr) {
    head_ = block;
  } else {
    tail_->next = block;
  }
  tail_ = block;
}

void Buffer::append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (tail_ == nullptr || tail_->end == Block::capacity()) grow();
    const size_t part = std::min(bytes.size(), Block::capacity() - tail_->end);
    std::memcpy(tail_->data + tail_->end, bytes.data(), part);
    commit(part);
    bytes.remove_prefix(part);
  }
}

void Buffer::append(const Buffer& other) {
  for (const Block* block = other.head_; block != nullptr; block = block->next) {
    append({block->data + block->begin, block->end - block->begin});
  }
}

size_t Buffer::spans(std::string_view* out, size_t max) const {
  size_t count = 0;
  for (Block* block = head_; block != nullptr && count < max; block = block->next) {
    if (block->end > block->begin) {
      out[count++] = {block->data + block->begin, block->end - block->begin};
    }
  }
  return count;
}

std::string Buffer::text() const {
  std::string all;
  all.reserve(size_);
  for (const Block* block = head_; block != nullptr; block = block->next) {
    all.append(block->data + block->begin, block->end - block->begin);
  }
  return all;
}

void Buffer::consume(size_t bytes) {
  WEIR_ASSERT(bytes <= size_);
  size_ -= bytes;
  while (head_ != nullptr) {
    const size_t part = std::min<size_t>(bytes, head_->end - head_->begin);
    head_->begin += static_cast<uint32_t>(part);
    bytes -= part;
    if (head_->begin != head_->end) return;
    Block* done = head_;
    head_ = head_->next;
    pool_->give(done);
  }
  tail_ = nullptr;
}

void Buffer::clear() {
  while (head_ != nullptr) {
    Block* block = head_;
    head_ = head_->next;
    pool_->give(block);
  }
  tail_ = nullptr;
  size_ = 0;
}

void Buffer::take(Buffer& other) {
  if (other.head_ == nullptr) return;
  if (tail_ == nullptr) {
    head_ = other.head_;
  } else {
    tail_->next = other.head_;
  }
  tail_ = other.tail_;
  size_ += other.size_;
  other.head_ = other.tail_ = nullptr;
  other.size_ = 0;
}

void Buffer::split_tail(size_t bytes, Buffer& tail) {
  WEIR_ASSERT(tail.empty() && bytes > 0);
  size_t kept = 0;
  Block* last = head_;
  for (kept = last->end - last->begin; kept < bytes; kept += last->end - last->begin)
    last = last->next;
  WEIR_CHECK(kept == bytes);
  tail.clear();
  tail.head_ = last->next;
  tail.tail_ = tail.head_ == nullptr ? nullptr : tail_;
  tail.size_ = size_ - bytes;
  last->next = nullptr;
  tail_ = last;
  size_ = bytes;
}

}  // namespace weir
