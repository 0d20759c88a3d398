// A doubly linked list through members of its elements: linking allocates nothing, and an element
// that dies unlinks itself, so no list can hold a dead pointer. Thread-confined.
#pragma once

#include <cstdint>

#include "base/check.h"

namespace weir {

// Put one as a member per list that an object may be in. Unlinks itself when destroyed.
class ListHook {
 public:
  ListHook() = default;
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;
  ~ListHook() { unlink(); }

  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (!linked()) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  template <typename T, ListHook T::*Member>
  friend class IntrusiveList;
  ListHook* next_ = nullptr;
  ListHook* previous_ = nullptr;
};

// Does not own its elements. Must be empty, or outlive nothing, when destroyed: it unlinks the
// rest.
template <typename T, ListHook T::*Member>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next_ = head_.previous_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    while (!empty()) head_.next_->unlink();
    head_.next_ = head_.previous_ = nullptr;  // the sentinel is not linked to anybody else
  }

  bool empty() const { return head_.next_ == &head_; }
  T* front() { return empty() ? nullptr : owner(head_.next_); }
  T* back() { return empty() ? nullptr : owner(head_.previous_); }

  void push_back(T& element) { insert(element.*Member, *head_.previous_); }
  void push_front(T& element) { insert(element.*Member, head_); }
  T* pop_front() {
    T* element = front();
    if (element != nullptr) (element->*Member).unlink();
    return element;
  }

  // Moves everything out of `other` to the end of this list.
  void take_all(IntrusiveList& other) {
    while (T* element = other.pop_front()) push_back(*element);
  }

  // Visits every element; `visit` may unlink the element that it is given, but no other.
  template <typename Visit>
  void for_each(Visit visit) {
    for (ListHook* at = head_.next_; at != &head_;) {
      ListHook* next = at->next_;
      visit(*owner(at));
      at = next;
    }
  }

 private:
  static void insert(ListHook& hook, ListHook& after) {
    WEIR_ASSERT(!hook.linked());
    hook.previous_ = &after;
    hook.next_ = after.next_;
    after.next_->previous_ = &hook;
    after.next_ = &hook;
  }
  static T* owner(ListHook* hook) {
    // An address that is never read: only the distance to the member is taken.
    constexpr uintptr_t kAnywhere = 1 << 16;
    const T* base = reinterpret_cast<const T*>(kAnywhere);
    const auto offset = reinterpret_cast<uintptr_t>(&(base->*Member)) - kAnywhere;
    return reinterpret_cast<T*>(reinterpret_cast<char*>(hook) - offset);
  }

  ListHook head_;
};

}  // namespace weir
