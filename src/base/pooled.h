// Reuse of objects that come and go with every request: `class X : public Pooled<X>` gets operator
// new and delete with a free list per thread. Off where sanitizers run, so that they see real
// lifetimes.
#pragma once

#include <cstddef>
#include <new>

namespace weir {

template <typename T>
class Pooled {
 public:
#ifndef WEIR_DEBUG_CHECKS
  static void* operator new(size_t bytes) {
    FreeList& list = free_list();
    if (list.first == nullptr || bytes != sizeof(T)) return ::operator new(bytes);
    Node* node = list.first;
    list.first = node->next;
    --list.count;
    return node;
  }
  static void operator delete(void* memory, size_t bytes) {
    FreeList& list = free_list();
    if (bytes != sizeof(T) || list.count == kKeptMax) {
      ::operator delete(memory);
      return;
    }
    list.first = new (memory) Node{list.first};
    ++list.count;
  }

 private:
  static constexpr size_t kKeptMax = 1024;
  struct Node {
    Node* next;
  };
  struct FreeList {
    Node* first = nullptr;
    size_t count = 0;
    ~FreeList() {
      while (first != nullptr) {
        Node* node = first;
        first = node->next;
        ::operator delete(node);
      }
    }
  };
  static FreeList& free_list() {
    static thread_local FreeList list;
    return list;
  }
#endif
};

}  // namespace weir
