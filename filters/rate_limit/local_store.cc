#include "filters/rate_limit/local_store.h"

#include "base/limits.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/limit_stats.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::rate_limit {

namespace {

// Frozen per turn, as every deadline of the exchange is.
uint64_t now_ns(proxy::Exchange& exchange) { return exchange.worker().net().now_us() * 1000; }

const Rule& rule_of(const Charge& charge) {
  return charge.rule == nullptr ? charge.limit->rule : *charge.rule;
}

bool refused(const Charge& charge) { return charge.decision.result == Result::kRefused; }

}  // namespace

Store::Answer LocalStore::take(proxy::Exchange& exchange, std::span<Charge> charges, Waiter&) {
  take(charges, now_ns(exchange));
  return Answer::kNow;
}

void LocalStore::give_back(proxy::Exchange& exchange, Charge& charge) {
  give_back(charge, now_ns(exchange));
}

// Several are looked at first, so that none is charged, not even for a moment, where one refuses:
// other threads would see it. What changes between looking and taking is undone.
bool LocalStore::take(std::span<Charge> charges, uint64_t now_ns) {
  if (charges.size() > 1 && !all_would_admit(charges, now_ns)) return false;
  for (size_t i = 0; i < charges.size(); ++i) {
    Charge& charge = charges[i];
    const Table::Answer answer = table_.take(charge.bucket, rule_of(charge), now_ns);
    charge.decision = answer.decision;
    charge.receipt = answer.receipt;
    charge.charged = !refused(charge);
    if (charge.charged) continue;
    while (i > 0) give_back(charges[--i], now_ns);
    return false;
  }
  return true;
}

bool LocalStore::all_would_admit(std::span<Charge> charges, uint64_t now_ns) {
  bool all = true;
  for (Charge& charge : charges) {
    charge.decision = table_.look(charge.bucket, rule_of(charge), now_ns);
    charge.charged = false;
    all &= !refused(charge);
  }
  if (all) return true;
  for (Charge& charge : charges) {
    // Who is refused is blocked from now on, whoever else refuses him.
    if (!refused(charge) || rule_of(charge).block_ns == 0) continue;
    const Table::Answer answer = table_.take(charge.bucket, rule_of(charge), now_ns);
    if (answer.decision.result == Result::kRefused) {
      charge.decision = answer.decision;
    } else {
      table_.give_back(charge.bucket, rule_of(charge), answer.receipt, now_ns);
    }
  }
  return false;
}

void LocalStore::give_back(Charge& charge, uint64_t now_ns) {
  charge.charged = false;
  table_.give_back(charge.bucket, rule_of(charge), charge.receipt, now_ns);
}

LocalStore& local_store() {
  static LocalStore store(limits::kRateLimitKeys, proxy::limit_stats());
  return store;
}

}  // namespace weir::filters::rate_limit
