// Memory that dies together: heads, header edits, filter instances of one exchange. Allocation is a
// pointer bump; nothing is freed before reset(). Thread-confined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/blocks.h"

namespace weir {

class Arena {
 public:
  explicit Arena(BlockPool& pool) : pool_(&pool) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { reset(); }

  // Never fails; a request over a block's size gets a heap chunk of its own.
  void* allocate(size_t bytes, size_t alignment = alignof(std::max_align_t)) {
    const uintptr_t at = (reinterpret_cast<uintptr_t>(next_) + alignment - 1) & ~(alignment - 1);
    if (at + bytes <= reinterpret_cast<uintptr_t>(limit_)) {
      next_ = reinterpret_cast<char*>(at + bytes);
      return reinterpret_cast<void*>(at);
    }
    return allocate_slow(bytes, alignment);
  }

  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* to = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }

  // Makes a T; its destructor runs at reset(), last made first.
  template <typename T, typename... Arguments>
  T* make(Arguments&&... arguments) {
    T* object = new (allocate(sizeof(T), alignof(T))) T(std::forward<Arguments>(arguments)...);
    if constexpr (!std::is_trivially_destructible_v<T>) {
      auto* finalizer = static_cast<Finalizer*>(allocate(sizeof(Finalizer), alignof(Finalizer)));
      *finalizer = {finalizers_, [](void* at) { static_cast<T*>(at)->~T(); }, object};
      finalizers_ = finalizer;
    }
    return object;
  }

  // One after the other, as one text.
  std::string_view concat(std::initializer_list<std::string_view> parts);

  void reset();

 private:
  struct Finalizer {
    Finalizer* next;
    void (*run)(void*);
    void* object;
  };
  struct Large {
    Large* next;
    size_t bytes;  // with this header, on the budget's account
  };
  void* allocate_slow(size_t bytes, size_t alignment);

  BlockPool* pool_;
  char* next_ = nullptr;
  char* limit_ = nullptr;
  Block* blocks_ = nullptr;
  Large* large_ = nullptr;
  Finalizer* finalizers_ = nullptr;
};

}  // namespace weir
