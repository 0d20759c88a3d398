#include "upstream/hash_table.h"

#include <algorithm>

#include "base/check.h"

namespace weir::upstream {

namespace {

constexpr uint16_t kNobody = UINT16_MAX;

// Where one server's permutation is: its next slot is (offset + step * taken) mod kSlots.
struct Turn {
  uint64_t slot;
  uint64_t step;
  uint64_t weight;
  uint64_t credit = 0;
  uint16_t server;
};

std::vector<Turn> turns_of(std::vector<HashTable::Entry> entries) {
  // By name: the order in the file must not matter.
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  std::vector<Turn> turns;
  for (const HashTable::Entry& entry : entries) {
    WEIR_CHECK(entry.weight > 0 && entry.server < kNobody);
    turns.push_back({.slot = hash_bytes(entry.name, 1) % HashTable::kSlots,
                     .step = hash_bytes(entry.name, 2) % (HashTable::kSlots - 1) + 1,
                     .weight = entry.weight,
                     .server = entry.server});
  }
  return turns;
}

}  // namespace

// Round by round a server earns its weight and pays the largest weight for a slot.
void HashTable::build(const std::vector<Entry>& entries) {
  owners_.clear();
  if (entries.empty()) return;
  owners_.assign(kSlots, kNobody);
  std::vector<Turn> turns = turns_of(entries);
  uint64_t price = 0;
  for (const Turn& turn : turns) price = std::max(price, turn.weight);
  uint32_t taken = 0;
  while (taken < kSlots) {
    for (Turn& turn : turns) {
      turn.credit += turn.weight;
      if (turn.credit < price || taken == kSlots) continue;
      turn.credit -= price;
      while (owners_[turn.slot] != kNobody) turn.slot = (turn.slot + turn.step) % kSlots;
      owners_[turn.slot] = turn.server;
      ++taken;
    }
  }
}

// FNV-1a, whose last bits are weak, through the finaliser of SplitMix64.
uint64_t hash_bytes(std::string_view bytes, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325 ^ (seed * 0x9e3779b97f4a7c15);
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

}  // namespace weir::upstream
