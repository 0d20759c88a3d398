// References that cross time carry a generation: an Id names one life of one slot, so a late event
// can never reach the object that took the slot over. Thread-confined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"

namespace weir {

struct Id {
  uint32_t slot = 0;
  uint32_t generation = 0;  // 0 names nothing
  friend bool operator==(const Id&, const Id&) = default;
};

// A bounded map from Id to a T that lives elsewhere. Never allocates above `capacity` entries.
template <typename T>
class SlotMap {
 public:
  explicit SlotMap(size_t capacity) : capacity_(capacity) {}

  // The Id of a new entry; generation 0 when the map is full (the caller answers 503).
  Id insert(T& object) {
    if (free_ == kNone) {
      if (slots_.size() == capacity_) return {};
      slots_.push_back({nullptr, 1, kNone});
      free_ = static_cast<uint32_t>(slots_.size() - 1);
    }
    const uint32_t slot = free_;
    free_ = slots_[slot].next_free;
    slots_[slot].object = &object;
    ++size_;
    return {slot, slots_[slot].generation};
  }

  void erase(Id id) {
    WEIR_CHECK(find(id) != nullptr);
    Slot& slot = slots_[id.slot];
    slot.object = nullptr;
    if (++slot.generation == 0) slot.generation = 1;
    slot.next_free = free_;
    free_ = id.slot;
    --size_;
  }

  T* find(Id id) const {
    if (id.slot >= slots_.size()) return nullptr;
    const Slot& slot = slots_[id.slot];
    return slot.generation == id.generation ? slot.object : nullptr;
  }

  size_t size() const { return size_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Slot {
    T* object;
    uint32_t generation;
    uint32_t next_free;
  };
  std::vector<Slot> slots_;
  size_t capacity_;
  size_t size_ = 0;
  uint32_t free_ = kNone;
};

}  // namespace weir
