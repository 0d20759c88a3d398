// Counts in Redis, for all instances of weir that share it (shared_script.h); what it cannot ask
// there it decides by the limit's on_store_failure.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "filters/rate_limit/leases.h"
#include "filters/rate_limit/store.h"

namespace weir::net {
struct RedisReply;
}

namespace weir::filters::rate_limit {

// Its charges' buckets are the same in all instances: who knows how they are made could choose keys
// that fall together in a table. Tables of this process get them hashed once more, by a secret of
// the limit's, which is another one when the limit means something else.
class SharedStore final : public Store {
 public:
  SharedStore();

  // Later, but where a lease, a refusal of a moment ago or the lack of a store decides. The wait is
  // over within the `timeout` of redis.
  Answer take(proxy::Exchange& exchange, std::span<Charge> charges, Waiter& waiter) override;
  void give_back(proxy::Exchange& exchange, Charge& charge) override;

  // What this process knows of a key by itself; of Redis, reset.h.
  void forget(const Limit& limit, uint64_t bucket);

 private:
  friend class SharedAsk;
  using Holds = uint64_t (Leases::*)(uint64_t key, uint64_t now_us) const;
  // `keys`: local_key() of each.
  bool decide_by_lease(std::span<Charge> charges, const uint64_t* keys, uint64_t now_us);
  bool decide_by_refusal(std::span<Charge> charges, const uint64_t* keys, uint64_t now_us,
                         Holds holds);
  void decide_alone(proxy::Exchange& exchange, std::span<Charge> charges);
  void decide_by_share(proxy::Exchange& exchange, std::span<Charge> charges, const uint64_t* keys);
  uint64_t known_use(const Rule& rule, uint64_t key, uint32_t instances, uint64_t now_us) const;

  Leases leases_;
  std::atomic<uint64_t> alone_at_us_{0};  // when something was last decided without Redis
};

// The process's own; made when it is first asked for.
SharedStore& shared_store();

}  // namespace weir::filters::rate_limit
