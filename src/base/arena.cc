#include "base/arena.h"

#include <cstdlib>

#include "base/check.h"
#include "base/strings.h"

namespace weir {

void* Arena::allocate_slow(size_t bytes, size_t alignment) {
  if (bytes + alignment > Block::capacity()) {
    const size_t whole = sizeof(Large) + alignment + bytes;
    auto* large = static_cast<Large*>(std::malloc(whole));
    WEIR_CHECK(large != nullptr);
    *large = {large_, whole};
    large_ = large;
    BlockBudget::charge(whole);
    const uintptr_t at = reinterpret_cast<uintptr_t>(large + 1);
    return reinterpret_cast<void*>((at + alignment - 1) & ~(alignment - 1));
  }
  Block* block = pool_->take();
  block->next = blocks_;
  blocks_ = block;
  next_ = block->data;
  limit_ = block->data + Block::capacity();
  return allocate(bytes, alignment);
}

std::string_view Arena::concat(std::initializer_list<std::string_view> parts) {
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  char* text = static_cast<char*>(allocate(size, 1));
  char* at = text;
  for (const std::string_view part : parts) at = put_text(at, part);
  return {text, size};
}

void Arena::reset() {
  for (Finalizer* at = finalizers_; at != nullptr; at = at->next) at->run(at->object);
  finalizers_ = nullptr;
  while (large_ != nullptr) {
    Large* large = large_;
    large_ = large->next;
    BlockBudget::refund(large->bytes);
    std::free(large);
  }
  while (blocks_ != nullptr) {
    Block* block = blocks_;
    blocks_ = block->next;
    pool_->give(block);
  }
  next_ = limit_ = nullptr;
}

}  // namespace weir
