#include "upstream/turn_table.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace weir::upstream {

void TurnTable::build(const std::vector<Entry>& entries) {
  WEIR_CHECK(entries.size() <= kTurnsMax);
  turns_.clear();
  uint64_t divisor = 0;
  for (const Entry& entry : entries) divisor = std::gcd(divisor, uint64_t{entry.weight});
  uint64_t total = 0;
  for (const Entry& entry : entries) total += entry.weight / divisor;

  struct Turn {
    double place;  // 0 to 1: how far through the table
    uint32_t server;
  };
  std::vector<Turn> turns;
  for (size_t i = 0; i < entries.size(); ++i) {
    uint64_t count = entries[i].weight / divisor;
    if (total > kTurnsMax) count = std::max<uint64_t>(1, count * kTurnsMax / total);
    // Servers of one weight take their turns one after the other, in the order of the list.
    const double phase = (static_cast<double>(i) + 0.5) / static_cast<double>(entries.size());
    for (uint64_t k = 0; k < count; ++k) {
      turns.push_back(
          {(static_cast<double>(k) + phase) / static_cast<double>(count), entries[i].server});
    }
  }
  std::stable_sort(turns.begin(), turns.end(),
                   [](const Turn& a, const Turn& b) { return a.place < b.place; });
  turns_.reserve(turns.size());
  for (const Turn& turn : turns) turns_.push_back(turn.server);
}

}  // namespace weir::upstream
