#include "filters/cache/ghost.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace weir::filters::cache {

Ghost::Set* Ghost::set_of(const Table& table, uint64_t hash) const {
  if (table.segments.empty()) return nullptr;
  const size_t set = hash & 0xffffffff;
  const uint32_t segment = table.segments[set / kSetsPerSegment & (table.segments.size() - 1)];
  return segment == 0 ? nullptr : slabs_.at<Set>(segment) + set % kSetsPerSegment;
}

void Ghost::add(uint64_t hash, size_t room) {
  const size_t half = std::max(room, kRoomMin) / 2;
  if (now_.segments.empty() || now_.added >= half) {
    give_back(before_);
    before_ = std::exchange(now_, {});
    // So that a set is full only now and then.
    now_.segments.resize(std::bit_ceil(half * 3 / 2 / (kSetsPerSegment * kWays) + 1));
  }
  uint32_t& segment =
      now_.segments[(hash & 0xffffffff) / kSetsPerSegment & (now_.segments.size() - 1)];
  if (segment == 0) {
    const Slabs::Run run = slabs_.take(kSegmentCells, kSegmentCells);
    if (!run) return;
    std::memset(run.at, 0, kSegmentCells * Slabs::kCellBytes);
    segment = slabs_.number_of(run.at);
  }
  ++now_.added;
  Set& set = *set_of(now_, hash);
  std::copy_backward(set.begin(), set.end() - 1, set.end());  // the oldest falls out
  set[0] = tag_of(hash);
}

bool Ghost::take_from(const Table& table, uint64_t hash) {
  Set* const set = set_of(table, hash);
  if (set == nullptr) return false;
  uint32_t* const at = std::find(set->begin(), set->end(), tag_of(hash));
  if (at == set->end()) return false;
  *at = 0;
  return true;
}

bool Ghost::take(uint64_t hash) { return take_from(now_, hash) || take_from(before_, hash); }

void Ghost::clear() {
  give_back(now_);
  give_back(before_);
}

void Ghost::give_back(Table& table) {
  for (const uint32_t segment : table.segments) {
    if (segment != 0) slabs_.give_back(slabs_.at<void*>(segment), kSegmentCells);
  }
  table = {};
}

}  // namespace weir::filters::cache
