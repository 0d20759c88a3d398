#include "filters/rate_limit/shared_store.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "filters/rate_limit/local_store.h"
#include "filters/rate_limit/share.h"
#include "filters/rate_limit/shared_script.h"
#include "net/redis.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::rate_limit {

namespace {

constexpr uint64_t kNsPerUs = 1'000;
constexpr uint64_t kTryAgainNs = 1'000'000'000;  // of a store that does not answer
constexpr size_t kSlots = 1 << 15;

// Receipts. Of Redis: its stamp, which is more than these.
constexpr uint64_t kOfLease = 1;
constexpr uint64_t kAlone = uint64_t{1} << 63;  // and the local store's in the other bits

bool refused(const Charge& charge) { return charge.decision.result == Result::kRefused; }

// A lease would blur how much is used, and could not be given back to all.
bool may_lease(const Limit& limit) { return !limit.failures_only && limit.delay.by_ms == 0; }

void let_pass(Charge& charge) { charge.decision = {.counted = false}; }

bool is_local(const Charge& charge) {
  return charge.limit->on_store_failure == OnStoreFailure::kLocal;
}

uint64_t local_key_of(const Limit& limit, uint64_t bucket) {
  char bytes[sizeof(bucket)];
  std::memcpy(bytes, &bucket, sizeof(bytes));
  return limit.state->own_secret.hash({bytes, sizeof(bytes)}).low;
}

uint64_t local_key(const Charge& charge) { return local_key_of(*charge.limit, charge.bucket); }

// Where another worker cannot ask, it admits this instance's share: that and what Redis admits
// would be too much together.
bool may_ask(const net::Redis& redis, std::span<const Charge> charges) {
  return redis.up() && (redis.config()->state->all_up() ||
                        std::none_of(charges.begin(), charges.end(), is_local));
}

void add_us(net::RedisCommand& command, uint64_t ns) {
  char text[32];
  const int size = std::snprintf(text, sizeof(text), "%llu.%03llu",
                                 static_cast<unsigned long long>(ns / kNsPerUs),
                                 static_cast<unsigned long long>(ns % kNsPerUs));
  command.add(std::string_view(text, static_cast<size_t>(size)));
}

void add_limit(net::RedisCommand& command, const Rule& rule, uint64_t count, uint64_t known_use,
               uint64_t stamp) {
  const bool is_window = rule.algorithm == Algorithm::kFixedWindow;
  command.add(is_window ? "w" : "b");
  add_us(command, is_window ? rule.window_ns : rule.interval_ns);
  if (is_window) {
    command.add(static_cast<int64_t>(rule.quota));
  } else {
    add_us(command, rule.tolerance_ns);
  }
  add_us(command, rule.block_ns);
  command.add(static_cast<int64_t>(count));
  command.add(static_cast<int64_t>(known_use));
  command.add(static_cast<int64_t>(stamp));
}

// One request's numbers of `given` that Redis gave.
Decision decision_of(const Rule& rule, const net::RedisReply& numbers, size_t at) {
  const int64_t given = numbers.integer_at(at, 0);
  const auto amount = static_cast<uint64_t>(std::max<int64_t>(numbers.integer_at(at + 1, 0), 0));
  const auto left_us = static_cast<uint64_t>(std::max<int64_t>(numbers.integer_at(at + 2, 0), 0));
  if (given == 0) return {Result::kRefused, true, rule.quota, 0, left_us * kNsPerUs};
  Decision decision;
  if (rule.algorithm == Algorithm::kFixedWindow) {
    decision.used = amount;
    decision.wait_ns = left_us * kNsPerUs;
  } else {
    const uint64_t ahead_ns = amount * kNsPerUs;
    // Up, but for the microsecond to which the script has rounded up itself.
    const uint64_t at_least_ns = ahead_ns - std::min(ahead_ns, kNsPerUs);
    decision.used = std::max<uint64_t>((at_least_ns + rule.interval_ns - 1) / rule.interval_ns, 1);
    decision.wait_ns = std::min(
        ahead_ns - std::min(ahead_ns, (decision.used - 1) * rule.interval_ns), rule.interval_ns);
  }
  // Others of the same lease are no use of this request's.
  decision.used -= std::min(decision.used, static_cast<uint64_t>(std::max<int64_t>(given, 1)) - 1);
  decision.used = std::clamp<uint64_t>(decision.used, 1, rule.quota);
  decision.remaining = rule.quota - decision.used;
  return decision;
}

}  // namespace

// A question that is under way. In the exchange's arena, with what it points to.
class SharedAsk final : public net::RedisCaller {
 public:
  SharedAsk(SharedStore& store, proxy::Exchange& exchange, std::span<Charge> charges,
            Store::Waiter& waiter)
      : store_(store),
        exchange_(exchange),
        charges_(charges),
        waiter_(waiter),
        call_(exchange.worker().net(), *this) {}

  // False: Redis cannot be asked.
  bool ask(uint64_t now_us) {
    net::Redis& redis = exchange_.worker().redis();
    const uint32_t instances = redis.config()->state->instances();
    for (size_t i = 0; i < charges_.size(); ++i) {
      const Limit& limit = *charges_[i].limit;
      keys_[i] = local_key(charges_[i]);
      const bool leases = charges_.size() == 1 && may_lease(limit);
      if (leases) wants_[i] = store_.leases_.want(keys_[i], limit.rule, instances, now_us);
      known_use_[i] = store_.known_use(limit.rule, keys_[i], instances, now_us);
    }
    const auto count = static_cast<uint32_t>(charges_.size());
    return redis.call(call_, kSharedScript, count, 1 + kWordsPerLimit * count);
  }

  void write_words(net::RedisCommand& command) override {
    const std::string& prefix = exchange_.worker().redis().config()->key_prefix;
    for (const Charge& charge : charges_)
      add_key(command, prefix, charge.limit->name, charge.bucket);
    command.add("take");
    for (size_t i = 0; i < charges_.size(); ++i) {
      add_limit(command, charges_[i].limit->rule, wants_[i].tokens, known_use_[i], 0);
    }
  }

  bool on_redis_reply(const net::RedisReply& reply) override {
    if (exchange_.over()) return true;  // and its limits may be gone
    if (!is_answer(reply)) return false;
    const uint64_t now_us = exchange_.worker().net().now_us();
    for (size_t i = 0; i < charges_.size(); ++i) {
      take_numbers(i, reply.items[i], now_us);
    }
    waiter_.on_decided();
    return true;
  }

  void on_redis_miss(net::RedisReason) override {
    if (exchange_.over()) return;
    store_.decide_alone(exchange_, charges_);
    waiter_.on_decided();
  }

 private:
  // All are charged, or none is and one refuses.
  bool is_answer(const net::RedisReply& reply) const {
    if (reply.kind != net::RedisReply::Kind::kList || reply.size != charges_.size()) return false;
    size_t charged = 0;
    size_t refusing = 0;
    for (size_t i = 0; i < reply.size; ++i) {
      if (!are_numbers(reply.items[i])) return false;
      const int64_t given = reply.items[i].items[0].integer;
      if (given > int64_t{wants_[i].tokens}) return false;
      if (given == 0 && !is_wait(charges_[i].limit->rule, reply.items[i].items[2].integer)) {
        return false;
      }
      charged += given > 0 ? 1 : 0;
      refusing += given == 0 ? 1 : 0;
    }
    return charged == reply.size || (charged == 0 && refusing > 0);
  }

  // Leases keep it for that long, whatever Redis says meanwhile.
  static bool is_wait(const Rule& rule, int64_t wait_us) {
    constexpr uint64_t kRoundedUs = 1;
    const uint64_t longest_ns =
        std::max({rule.window_ns, rule.block_ns, rule.tolerance_ns + rule.interval_ns});
    return static_cast<uint64_t>(wait_us) <= longest_ns / kNsPerUs + kRoundedUs;
  }

  static bool are_numbers(const net::RedisReply& numbers) {
    if (numbers.kind != net::RedisReply::Kind::kList || numbers.size != kNumbersPerLimit) {
      return false;
    }
    for (size_t i = 0; i < numbers.size; ++i) {
      const net::RedisReply& number = numbers.items[i];
      if (number.kind != net::RedisReply::Kind::kInteger) return false;
      if (number.integer < (i == 0 ? -1 : 0)) return false;
    }
    return true;
  }

  void take_numbers(size_t i, const net::RedisReply& numbers, uint64_t now_us) {
    Charge& charge = charges_[i];
    const uint64_t key = keys_[i];
    const int64_t given = numbers.integer_at(0, 0);
    charge.decision = decision_of(charge.limit->rule, numbers, 0);
    charge.charged = given > 0;
    charge.receipt = static_cast<uint64_t>(numbers.integer_at(3, 0));
    const uint64_t wait_us = charge.decision.wait_ns / kNsPerUs;
    if (charge.limit->rule.block_ns != 0) {
      const bool is_block = given == 0 && charge.receipt != 0;
      store_.leases_.note_block(key, is_block ? now_us + wait_us : 0);
    }
    const bool is_short = given < int64_t{wants_[i].tokens};
    const uint64_t hold_us = is_short ? Leases::hold_us(charge.limit->rule, wants_[i]) : 0;
    if (given == 0 && !charge.limit->failures_only) {
      store_.leases_.note_refusal(key, std::max(wait_us, hold_us), now_us);
    } else if (given > 0) {
      store_.leases_.add(key, static_cast<uint32_t>(given - 1), wants_[i].good_for_ms,
                         charge.decision, now_us);
      if (hold_us > 0) store_.leases_.note_refusal(key, hold_us, now_us);
    }
  }

  SharedStore& store_;
  proxy::Exchange& exchange_;
  const std::span<Charge> charges_;
  Store::Waiter& waiter_;
  net::RedisCall call_;
  uint64_t keys_[limits::kRateLimitsPerRoute];
  Leases::Want wants_[limits::kRateLimitsPerRoute];
  uint64_t known_use_[limits::kRateLimitsPerRoute];
};

namespace {

// One place that goes back; nobody waits for what becomes of it.
class GiveBack final : public net::RedisWords {
 public:
  GiveBack(std::string_view prefix, const Charge& charge) : prefix_(prefix), charge_(charge) {}
  void write_words(net::RedisCommand& command) override {
    add_key(command, prefix_, charge_.limit->name, charge_.bucket);
    command.add("back");
    add_limit(command, charge_.limit->rule, 1, 0, charge_.receipt);
  }

 private:
  const std::string_view prefix_;
  const Charge& charge_;
};

}  // namespace

SharedStore::SharedStore() : leases_(kSlots) {}

Store::Answer SharedStore::take(proxy::Exchange& exchange, std::span<Charge> charges,
                                Waiter& waiter) {
  const uint64_t now_us = exchange.worker().net().now_us();
  if (may_ask(exchange.worker().redis(), charges)) {
    uint64_t keys[limits::kRateLimitsPerRoute];
    for (size_t i = 0; i < charges.size(); ++i) {
      keys[i] = local_key(charges[i]);
      leases_.note(keys[i], now_us);
    }
    if (decide_by_lease(charges, keys, now_us) ||
        decide_by_refusal(charges, keys, now_us, &Leases::refused_for_us)) {
      return Answer::kNow;
    }
    auto* const ask = exchange.arena().make<SharedAsk>(*this, exchange, charges, waiter);
    if (ask->ask(now_us)) return Answer::kLater;
  }
  decide_alone(exchange, charges);
  return Answer::kNow;
}

bool SharedStore::decide_by_refusal(std::span<Charge> charges, const uint64_t* keys,
                                    uint64_t now_us, Holds holds) {
  bool some = false;
  for (size_t i = 0; i < charges.size(); ++i) {
    const uint64_t for_us = (leases_.*holds)(keys[i], now_us);
    if (for_us == 0) continue;
    Charge& charge = charges[i];
    charge.decision = {Result::kRefused, true, charge.limit->rule.quota, 0, for_us * kNsPerUs};
    some = true;
  }
  if (!some) return false;
  for (Charge& charge : charges) {
    if (!refused(charge)) let_pass(charge);
  }
  return true;
}

// Of a request with one shared limit: several are one call anyway.
bool SharedStore::decide_by_lease(std::span<Charge> charges, const uint64_t* keys,
                                  uint64_t now_us) {
  if (charges.size() != 1 || !leases_.take(keys[0], now_us)) return false;
  Charge& charge = charges.front();
  const Rule& rule = charge.limit->rule;
  const Leases::Standing standing = leases_.standing(keys[0], now_us);
  const uint64_t remaining = std::min(standing.remaining, rule.quota - 1);
  charge.decision = {Result::kAllowed, true, rule.quota - remaining, remaining,
                     standing.wait_us * kNsPerUs};
  charge.receipt = kOfLease;
  charge.charged = true;
  return true;
}

void SharedStore::decide_alone(proxy::Exchange& exchange, std::span<Charge> charges) {
  const uint64_t now_us = exchange.worker().net().now_us();
  alone_at_us_.store(now_us, std::memory_order_relaxed);
  uint64_t keys[limits::kRateLimitsPerRoute];
  std::transform(charges.begin(), charges.end(), keys, local_key);
  if (decide_by_refusal(charges, keys, now_us, &Leases::blocked_for_us)) return;
  const auto is_closed = [](const Charge& charge) {
    return charge.limit->on_store_failure == OnStoreFailure::kClosed;
  };
  const bool closed = std::any_of(charges.begin(), charges.end(), is_closed);
  for (Charge& charge : charges) {
    let_pass(charge);
    if (is_closed(charge)) {
      charge.decision = {Result::kUnavailable, false, 0, 0, kTryAgainNs};
    }
  }
  if (!closed) decide_by_share(exchange, charges, keys);
}

void SharedStore::decide_by_share(proxy::Exchange& exchange, std::span<Charge> charges,
                                  const uint64_t* keys) {
  const net::RedisConfig* redis = exchange.worker().redis().config();
  const uint32_t instances = redis == nullptr ? 1 : redis->state->instances();
  Charge alone[limits::kRateLimitsPerRoute];
  Rule shares[limits::kRateLimitsPerRoute];
  size_t count = 0;
  for (size_t i = 0; i < charges.size(); ++i) {
    if (!is_local(charges[i])) continue;
    const Limit* const limit = charges[i].limit;
    shares[count] = share_of(limit->rule, instances);
    alone[count] = {.limit = limit, .bucket = keys[i], .decision = {}, .rule = &shares[count]};
    ++count;
  }
  if (count == 0) return;
  local_store().take({alone, count}, exchange.worker().net().now_us() * kNsPerUs);
  size_t next = 0;
  for (Charge& charge : charges) {
    if (!is_local(charge)) continue;
    charge.decision = alone[next].decision;
    charge.charged = alone[next].charged;
    charge.receipt = kAlone | alone[next].receipt;
    ++next;
  }
}

void SharedStore::give_back(proxy::Exchange& exchange, Charge& charge) {
  const uint64_t now_us = exchange.worker().net().now_us();
  charge.charged = false;
  net::Redis& redis = exchange.worker().redis();
  if (charge.receipt == kOfLease) {
    leases_.put_back(local_key(charge), now_us);
  } else if ((charge.receipt & kAlone) != 0) {
    const uint32_t instances = redis.config() == nullptr ? 1 : redis.config()->state->instances();
    const Rule share = share_of(charge.limit->rule, instances);
    Charge alone = {.limit = charge.limit,
                    .bucket = local_key(charge),
                    .decision = {},
                    .receipt = charge.receipt & ~kAlone,
                    .rule = &share};
    local_store().give_back(alone, now_us * kNsPerUs);
  } else if (redis.up()) {
    GiveBack back(redis.config()->key_prefix, charge);
    redis.tell(back, kSharedScript, 1, 1 + kWordsPerLimit);
  }
}

// Where this instance was alone not long ago, what it has admitted then.
uint64_t SharedStore::known_use(const Rule& rule, uint64_t key, uint32_t instances,
                                uint64_t now_us) const {
  const uint64_t alone_at_us = alone_at_us_.load(std::memory_order_relaxed);
  if (alone_at_us == 0 || now_us > alone_at_us + rule.window_ns / kNsPerUs) return 0;
  const Rule share = share_of(rule, instances);
  const Decision decision = local_store().look(key, share, now_us * kNsPerUs);
  return rate_limit::known_use(rule, share, instances, decision);
}

void SharedStore::forget(const Limit& limit, uint64_t bucket) {
  const uint64_t key = local_key_of(limit, bucket);
  leases_.forget(key);
  local_store().forget(key);
}

SharedStore& shared_store() {
  static SharedStore store;
  return store;
}

}  // namespace weir::filters::rate_limit
