// The servers of a large cluster, each as often as its weight says and its turns spread evenly over
// the whole. Read in order it is a weighted round robin, read at random a draw by weight; either
// costs one look, however many servers there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weir::upstream {

// Immutable once built; any thread.
class TurnTable {
 public:
  // Weights without a common divisor may ask for more turns; then they are scaled down to these
  // (1 MiB), and the share of a server is off by one of its turns at most. Nobody's falls to none.
  static constexpr size_t kTurnsMax = 1u << 18;

  struct Entry {
    uint32_t weight;  // 1 or more
    uint32_t server;
  };
  // kTurnsMax entries at most.
  void build(const std::vector<Entry>& entries);

  bool empty() const { return turns_.empty(); }
  size_t size() const { return turns_.size(); }
  // REQUIRES: not empty. `turn` may be any number.
  uint32_t server_at(uint64_t turn) const { return turns_[turn % turns_.size()]; }

 private:
  std::vector<uint32_t> turns_;
};

}  // namespace weir::upstream
