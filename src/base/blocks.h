// Fixed blocks of memory for heads, bodies that wait, and log lines. Each worker keeps a free list,
// so the steady path allocates nothing; what all workers hold together is bounded process-wide.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace weir {

// A block is 16 KiB with a small header. It is reused last-in first-out, which keeps it in cache.
struct Block {
  static constexpr size_t kSizeBytes = 16 * 1024;
  Block* next = nullptr;
  uint32_t begin = 0;  // first unread byte
  uint32_t end = 0;    // one past the last written byte
  char data[kSizeBytes - 16];

  static constexpr size_t capacity() { return sizeof(data); }
};

// The process's account of what it buffers, over all workers: blocks, whether in use or kept for
// the next use, and what stands in for them where a block is too small or too big. `memory.buffers`
// caps it. Any thread.
class BlockBudget {
 public:
  static void set_limit_bytes(size_t limit) { limit_.store(limit, std::memory_order_relaxed); }
  static size_t used_bytes() { return used_.load(std::memory_order_relaxed); }
  // True when no new work should be admitted and peers should be read slowly.
  static bool exhausted() { return used_bytes() >= limit_.load(std::memory_order_relaxed); }
  static size_t left_bytes() {
    const size_t used = used_bytes();
    const size_t limit = limit_.load(std::memory_order_relaxed);
    return used < limit ? limit - used : 0;
  }
  // True when workers should keep no free blocks, so that what one has done with the others can
  // use.
  static bool scarce() { return used_bytes() >= limit_.load(std::memory_order_relaxed) / 2; }

  static void charge(size_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  static void refund(size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  static inline std::atomic<size_t> used_{0};
  static inline std::atomic<size_t> limit_{512u << 20};
};

// Heap memory on the budget's account, for standard containers.
template <typename T>
struct BudgetAllocator {
  using value_type = T;
  BudgetAllocator() = default;
  template <typename U>
  BudgetAllocator(const BudgetAllocator<U>&) {}  // NOLINT: implicit, as containers want it

  T* allocate(size_t count) {
    T* memory = std::allocator<T>().allocate(count);
    BlockBudget::charge(count * sizeof(T));
    return memory;
  }
  void deallocate(T* memory, size_t count) {
    BlockBudget::refund(count * sizeof(T));
    std::allocator<T>().deallocate(memory, count);
  }
  friend bool operator==(const BudgetAllocator&, const BudgetAllocator&) { return true; }
};
using BudgetedText = std::basic_string<char, std::char_traits<char>, BudgetAllocator<char>>;

// One per worker (thread-confined). Its blocks are on the budget's account; the free list keeps at
// most kFreeMax of them and gives the rest back to the allocator.
class BlockPool {
 public:
  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  Block* take();
  void give(Block* block);
  size_t in_use() const { return in_use_; }

 private:
#ifdef WEIR_DEBUG_CHECKS
  static constexpr size_t kFreeMax = 0;  // sanitizers see real lifetimes
#else
  static constexpr size_t kFreeMax = 256;  // 4 MiB per worker
#endif
  Block* free_ = nullptr;
  size_t free_count_ = 0;
  size_t in_use_ = 0;
};

}  // namespace weir
