// Counts in this process, in one table for all limits and workers.
#pragma once

#include <span>

#include "filters/rate_limit/store.h"
#include "filters/rate_limit/table.h"

namespace weir::filters::rate_limit {

class LocalStore final : public Store {
 public:
  LocalStore(size_t slots, proxy::LimitStats& stats) : table_(slots, stats) {}

  // Never later.
  Answer take(proxy::Exchange& exchange, std::span<Charge> charges, Waiter& waiter) override;
  void give_back(proxy::Exchange& exchange, Charge& charge) override;

  // The same at a time of the caller's. `take`: false when some limit refuses.
  bool take(std::span<Charge> charges, uint64_t now_ns);
  void give_back(Charge& charge, uint64_t now_ns);
  // What take() would say of one bucket.
  Decision look(uint64_t bucket, const Rule& rule, uint64_t now_ns) const {
    return table_.look(bucket, rule, now_ns);
  }
  void forget(uint64_t bucket) { table_.forget(bucket); }

 private:
  bool all_would_admit(std::span<Charge> charges, uint64_t now_ns);

  Table table_;
};

// The process's own; made when it is first asked for.
LocalStore& local_store();

}  // namespace weir::filters::rate_limit
