#include "filters/rate_limit/limit.h"

#include <algorithm>

#include "filters/rate_limit/local_store.h"
#include "filters/rate_limit/shared_store.h"
#include "proxy/limit_stats.h"
#include "proxy/snapshot.h"

namespace weir::filters::rate_limit {

namespace {

// Instances that share a limit have to come to the same buckets.
SipKey known_to_all(const std::string& name) {
  constexpr SipKey kOfAll(0x7765697220726174, 0x65206c696d697473);
  return SipKey(kOfAll.hash(name));
}

// States by identity, for as long as some snapshot has them.
class States {
 public:
  std::shared_ptr<LimitState> get(const Limit& limit) {
    const std::lock_guard lock(mutex_);
    std::erase_if(states_, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<LimitState>& known = states_[limit.identity()];
    std::shared_ptr<LimitState> state = known.lock();
    if (state == nullptr) {
      state = std::make_shared<LimitState>();
      if (limit.shared) state->secret = known_to_all(limit.name);
      state->label = proxy::limit_names().id(limit.name);
      known = state;
    }
    return state;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<LimitState>> states_;
};

}  // namespace

uint64_t Delay::of(uint64_t used) const {
  if (by_ms == 0 || used <= after) return 0;
  return std::min(growing ? (used - after) * by_ms : by_ms, max_ms);
}

bool Limit::skips(std::string_view path) const {
  return std::binary_search(skip.begin(), skip.end(), path);
}

std::string Limit::identity() const {
  std::string out = name + '\n' + (failures_only ? "failures" : "all");
  out += shared ? " shared" : "";
  for (const uint64_t number : {static_cast<uint64_t>(rule.algorithm), rule.quota, rule.interval_ns,
                                rule.window_ns, rule.block_ns, uint64_t{key.ipv6_prefix}}) {
    out += ' ' + std::to_string(number);
  }
  for (const KeyPart& part : key.parts) out += '\n' + key_part_text(part);
  return out;
}

void bind(const Limits& limits) {
  static States states;
  uint64_t by_policy[3] = {};
  for (const auto& [name, limit] : limits) {
    limit->state = states.get(*limit);
    limit->store = &local_store();
    if (!limit->shared) continue;
    limit->store = &shared_store();
    ++by_policy[static_cast<size_t>(limit->on_store_failure)];
  }
  proxy::LimitStats& stats = proxy::limit_stats();
  for (size_t i = 0; i < 3; ++i) stats.shared[i].store(by_policy[i], std::memory_order_relaxed);
}

}  // namespace weir::filters::rate_limit
