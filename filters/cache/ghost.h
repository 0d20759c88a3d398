// Which keys have been evicted not long ago: their hashes, in two tables of which the older one is
// forgotten when the newer one is full. In the slabs, a small segment when it is first needed:
// the slabs are full by then. Without memory it forgets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "filters/cache/slab.h"

namespace weir::filters::cache {

// Who uses it has the lock.
class Ghost {
 public:
  explicit Ghost(Slabs& slabs) : slabs_(slabs) {}
  Ghost(const Ghost&) = delete;
  Ghost& operator=(const Ghost&) = delete;

  // `room`: of how many keys to know, about.
  void add(uint64_t hash, size_t room);
  // Whether it is known; it is no more then.
  bool take(uint64_t hash);
  void clear();

 private:
  static constexpr size_t kWays = 4;
  static constexpr size_t kSetsPerSegment = 16;
  static constexpr uint32_t kSegmentCells =
      kSetsPerSegment * kWays * sizeof(uint32_t) / Slabs::kCellBytes;
  static constexpr size_t kRoomMin = 64;
  using Set = std::array<uint32_t, kWays>;  // tags; 0: free

  struct Table {
    std::vector<uint32_t> segments;  // a power of two; 0: not needed yet
    size_t added = 0;
  };

  Set* set_of(const Table& table, uint64_t hash) const;
  bool take_from(const Table& table, uint64_t hash);
  void give_back(Table& table);
  // The upper half of a hash; the lower one finds the set.
  static uint32_t tag_of(uint64_t hash) {
    const auto tag = static_cast<uint32_t>(hash >> 32);
    return tag + (tag == 0);
  }

  Slabs& slabs_;
  Table now_;
  Table before_;
};

}  // namespace weir::filters::cache
