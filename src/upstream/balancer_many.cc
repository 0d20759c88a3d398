// Balancer for clusters with too many servers to look at each of them: a bounded number of draws
// from a table. Where they find nobody (hardly any server is up), the exact walk of balancer.cc
// decides.
#include "base/limits.h"
#include "upstream/balancer.h"
#include "upstream/health.h"

namespace weir::upstream {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Less in flight for its weight.
bool is_lighter(const Server& a, const Server& b) {
  const uint64_t load_a = a.state->in_flight.load(kRelaxed);
  const uint64_t load_b = b.state->in_flight.load(kRelaxed);
  return load_a * b.weight < load_b * a.weight;
}

}  // namespace

// Of who may not be taken nobody else inherits the turn: it goes to one drawn by weight, as all
// draws are; leaving out those that are down keeps the shares of the others (rejection sampling).
const Server* Balancer::pick_from_many(Search& search) {
  const Cluster& cluster = search.cluster;
  const TurnTable& turns =
      search.tier == Tier::kBackup ? cluster.backup_turns : cluster.primary_turns;
  if (turns.empty()) return nullptr;
  const bool in_turn = cluster.balance == Balance::kRoundRobin;
  const Server* best = nullptr;
  for (uint32_t i = 0; i < limits::kBalancerDraws; ++i) {
    const uint64_t turn = in_turn && i == 0 ? next_turn(cluster) : random();
    const Server& server = cluster.servers[turns.server_at(turn)];
    if (&server == best || !eligible(search, server) || is_full(server)) continue;
    const bool slow = server.state->slow_from_ms.load(kRelaxed) != 0;
    if (slow && random_unit() >= slow_start_share(server, search.now_ms)) continue;
    if (best == nullptr && !in_turn) {
      best = &server;
      continue;
    }
    if (best == nullptr || is_lighter(server, *best)) best = &server;
    if (take(search, *best)) return best;
    best = nullptr;
  }
  return best != nullptr && take(search, *best) ? best : nullptr;
}

uint64_t Balancer::next_turn(const Cluster& cluster) {
  if (positions_.size() <= cluster.index) positions_.resize(cluster.index + 1, 0);
  uint64_t& position = positions_[cluster.index];
  if (position == 0) position = random() >> 1;  // workers must not walk in step
  return position++;
}

uint64_t Balancer::random() {
  uint64_t random = 0;
  random_.fill(reinterpret_cast<uint8_t*>(&random), sizeof(random));
  return random;
}

// Adding up all servers costs as much as looking at each: a large cluster's sum is used for a
// while. It is then off by one request in eight servers for each worker at most, or by what 100 ms
// bring.
const Balancer::LoadSum& Balancer::load_sum(Search& search) {
  const Cluster& cluster = search.cluster;
  if (load_sums_.size() <= cluster.index) load_sums_.resize(cluster.index + 1);
  LoadSum& sum = load_sums_[cluster.index];
  const bool reusable = !cluster.primary_turns.empty() && search.tier == Tier::kPrimary;
  if (reusable && sum.picks_left > 0 && search.now_ms - sum.at_ms < kLoadSumMs) {
    --sum.picks_left;
    return sum;
  }
  sum = {};
  for (const Server& server : cluster.servers) {
    if (!eligible(search, server)) continue;
    sum.requests += server.state->in_flight.load(kRelaxed);
    sum.weights += server.weight;
  }
  sum.at_ms = search.now_ms;
  if (reusable) sum.picks_left = static_cast<uint32_t>(cluster.servers.size() / 8);
  return sum;
}

}  // namespace weir::upstream
