// Where requests are counted: in this process (local_store.h), or at a place that several share.
#pragma once

#include <cstdint>
#include <span>

#include "filters/rate_limit/limit.h"
#include "filters/rate_limit/rule.h"

namespace weir::proxy {
class Exchange;
}

namespace weir::filters::rate_limit {

// One bucket that a request asks. In the exchange's arena.
struct Charge {
  const Limit* limit;          // the snapshot's, which the exchange pins
  uint64_t bucket;             // hash_key()
  Decision decision;           // once asked
  uint64_t receipt = 0;        // the store's own, for give_back()
  bool charged = false;        // one of the bucket is used by this request
  const Rule* rule = nullptr;  // by which it is counted; null: the limit's
};

// One per kind, as long-lived as the process. Called on the exchange's worker; any worker.
class Store {
 public:
  enum class Answer : uint8_t { kNow, kLater };

  class Waiter {
   public:
    // The charges of a take() that answered kLater are decided. In a turn of its own, with none of
    // the exchange's frames on the stack; at most once.
    virtual void on_decided() = 0;

   protected:
    ~Waiter() = default;
  };

  virtual ~Store() = default;

  // Asks for one of each bucket: all of them are charged, or none. Fills decision, and receipt and
  // charged where it charged. All charges are of limits with this store; there is one at least.
  // kNow: done. kLater: `waiter` hears of it, and neither it nor `charges` moves until then. The
  // wait has a bound of the store's own. When the exchange ends earlier nobody is told any more:
  // whatever waits is made in the exchange's arena, and its destructor lets go; what was charged
  // meanwhile is the store's to give back or to leave.
  virtual Answer take(proxy::Exchange& exchange, std::span<Charge> charges, Waiter& waiter) = 0;

  // The request did not need its place after all: another store refused it, or the limit counts
  // failures and it was none. REQUIRES charged, which becomes false. Nobody waits for it.
  virtual void give_back(proxy::Exchange& exchange, Charge& charge) = 0;
};

}  // namespace weir::filters::rate_limit
