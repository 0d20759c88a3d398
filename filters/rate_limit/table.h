// What is known of every key of every limit: one table for the process, of a fixed size, shared by
// all workers. A key that is known costs one or two cache lines, atomic loads and one
// compare-exchange; only a new one takes the lock of its shard.
//
// A slot is a tag, the keyed hash that stands for limit and key, and a word (rule.h). A key has two
// sets of four slots each, where it may be. When they are full, the one is forgotten that has
// rested; else, of those that were asked for only once, the one that will be forgotten first by
// itself: so a flood of new keys forgets its own, and neither those that come again nor those that
// are blocked. All came again: they have to come again once more (second chance).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "filters/rate_limit/rule.h"
#include "proxy/limit_stats.h"

namespace weir::filters::rate_limit {

// Any thread.
class Table {
 public:
  // `slots`: a power of two, kSlotsMin at least. The memory is the kernel's until it is used.
  // `stats` outlive the table.
  Table(size_t slots, proxy::LimitStats& stats);
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  static constexpr size_t kSlotsMin = 1024;

  struct Answer {
    Decision decision;
    uint64_t receipt = 0;  // for give_back()
  };
  Answer take(uint64_t tag, const Rule& rule, uint64_t now_ns);
  // What take() would say; changes nothing.
  Decision look(uint64_t tag, const Rule& rule, uint64_t now_ns) const;
  void give_back(uint64_t tag, const Rule& rule, uint64_t receipt, uint64_t now_ns);
  void forget(uint64_t tag);  // whatever it has used, and a block

 private:
  static constexpr size_t kShards = 64;
  static constexpr size_t kWays = 4;
  // Plain numbers, accessed through atomic_ref: zeroed memory is a table, and costs nothing.
  struct alignas(64) Set {
    uint64_t tags[kWays];  // 0: free
    uint64_t words[kWays];
  };
  struct alignas(64) Shard {
    std::mutex mutex;  // of whoever changes a tag
  };
  struct Slot {
    uint64_t* tag = nullptr;
    uint64_t* word = nullptr;
  };
  struct Place {
    Set* first;
    Set* second;
    size_t shard;
  };

  Place place_of(uint64_t tag) const;
  static Slot find(const Place& place, uint64_t tag);
  bool insert(const Place& place, uint64_t tag, uint64_t word, uint64_t now_ns);
  Slot choose(const Place& place, uint64_t now_ns);

  std::unique_ptr<void, decltype(&std::free)> memory_;
  Set* sets_;
  size_t sets_per_shard_;
  std::array<Shard, kShards> shards_;
  proxy::LimitStats& stats_;
};

}  // namespace weir::filters::rate_limit
