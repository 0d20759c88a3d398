#include "http/h2_memory.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace weir::http {

#ifdef WEIR_DEBUG_CHECKS

nghttp2_mem* h2_memory() { return nullptr; }

#else

namespace {

// Sizes are rounded up to powers of two from 32 bytes to 4 KiB. What is bigger is not of a request
// but of a connection.
constexpr unsigned kSmallestBits = 5;
constexpr unsigned kClasses = 8;
constexpr uint32_t kHeap = kClasses;
constexpr size_t kKeptBytesPerClass = 256 * 1024;

struct alignas(std::max_align_t) Header {
  uint64_t bytes;  // that the user may write to
  uint32_t size_class;
};

struct FreeLists {
  struct Node {
    Node* next;
  };
  Node* first[kClasses] = {};
  size_t count[kClasses] = {};

  ~FreeLists() {
    for (Node* node : first) {
      while (node != nullptr) {
        Node* next = node->next;
        std::free(node);
        node = next;
      }
    }
  }
};

thread_local FreeLists lists;

uint32_t class_of(size_t bytes) {
  const unsigned bits = static_cast<unsigned>(std::bit_width(bytes - 1));
  return bits <= kSmallestBits ? 0 : bits - kSmallestBits;
}

void* take(size_t bytes, void*) noexcept {
  const size_t whole = bytes + sizeof(Header);
  const uint32_t size_class = class_of(whole);
  if (size_class >= kClasses) {
    auto* header = static_cast<Header*>(std::malloc(whole));
    if (header == nullptr) return nullptr;
    *header = {bytes, kHeap};
    return header + 1;
  }
  const size_t size = size_t{1} << (size_class + kSmallestBits);
  void* memory = lists.first[size_class];
  if (memory != nullptr) {
    lists.first[size_class] = lists.first[size_class]->next;
    --lists.count[size_class];
  } else {
    memory = std::malloc(size);
    if (memory == nullptr) return nullptr;
  }
  auto* header = new (memory) Header{size - sizeof(Header), size_class};
  return header + 1;
}

void give(void* pointer, void*) noexcept {
  if (pointer == nullptr) return;
  Header* header = static_cast<Header*>(pointer) - 1;
  const uint32_t size_class = header->size_class;
  if (size_class == kHeap ||
      lists.count[size_class] >= kKeptBytesPerClass >> (size_class + kSmallestBits)) {
    std::free(header);
    return;
  }
  lists.first[size_class] = new (header) FreeLists::Node{lists.first[size_class]};
  ++lists.count[size_class];
}

void* take_zeroed(size_t count, size_t bytes, void*) noexcept {
  if (bytes != 0 && count > SIZE_MAX / 2 / bytes) return nullptr;
  void* memory = take(count * bytes, nullptr);
  if (memory != nullptr) std::memset(memory, 0, count * bytes);
  return memory;
}

void* resize(void* pointer, size_t bytes, void*) noexcept {
  if (pointer == nullptr) return take(bytes, nullptr);
  const size_t had = (static_cast<Header*>(pointer) - 1)->bytes;
  if (bytes <= had) return pointer;
  void* memory = take(bytes, nullptr);
  if (memory == nullptr) return nullptr;
  std::memcpy(memory, pointer, had);
  give(pointer, nullptr);
  return memory;
}

}  // namespace

nghttp2_mem* h2_memory() {
  static nghttp2_mem memory = {nullptr, take, give, take_zeroed, resize};
  return &memory;
}

#endif

}  // namespace weir::http
