// A consistent-hash table (Maglev: Eisenbud et al., NSDI 2016): every server takes its turns in the
// order of a permutation that only its own name decides, until all slots have an owner. Slots are
// shared by weight to within one each (1 % with 600 servers), a look-up is one read, and when one
// of N servers comes or goes about 1/N of the slots change hands. It depends on names and weights
// alone, not on their order in the file, so that several processes agree.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace weir::upstream {

// Immutable once built; any thread.
class HashTable {
 public:
  // A prime, and the same for every number of servers: another size would move every key.
  static constexpr uint32_t kSlots = 65'537;
  // More would have fewer than five slots each, and shares that differ by a fifth.
  static constexpr size_t kServersMax = 12'000;

  struct Entry {
    std::string_view name;
    uint32_t weight;  // 1 or more
    uint16_t server;  // what owner() returns
  };
  void build(const std::vector<Entry>& entries);

  bool empty() const { return owners_.empty(); }
  static uint32_t slot_of(uint64_t hash) { return static_cast<uint32_t>(hash % kSlots); }
  // The slots behind one are owned by others in an order that differs from slot to slot: who may
  // not have the owner's keys goes on there, and they spread over all other servers.
  static uint32_t next(uint32_t slot) { return slot + 1 == kSlots ? 0 : slot + 1; }
  uint16_t owner(uint32_t slot) const { return owners_[slot]; }

 private:
  std::vector<uint16_t> owners_;
};

// 64 well-mixed bits, the same in every process and version. Not for secrets.
uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0);

}  // namespace weir::upstream
