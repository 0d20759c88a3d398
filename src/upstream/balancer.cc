#include "upstream/balancer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/limits.h"

namespace weir::upstream {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint32_t kNobody = UINT32_MAX;

// Raises the in-flight count. False: the server has all that it may.
bool acquire(const Server& server) {
  std::atomic<uint32_t>& in_flight = server.state->in_flight;
  if (server.max_connections == 0) {
    in_flight.fetch_add(1, kRelaxed);
    return true;
  }
  uint32_t now = in_flight.load(kRelaxed);
  while (now < server.max_connections) {
    if (in_flight.compare_exchange_weak(now, now + 1, kRelaxed)) return true;
  }
  return false;
}

// How many requests at once keep a server within its share of all of them, times bounded_load.
// Rounded up, so that there is always one with room (Mirrokni et al., "Consistent hashing with
// bounded loads").
class LoadBound {
 public:
  LoadBound() = default;
  LoadBound(double bounded_load, double requests, double weights) {
    if (weights > 0) per_weight_ = bounded_load * requests / weights;
  }
  bool admits(const Server& server) const {
    if (per_weight_ == 0) return true;
    return server.state->in_flight.load(kRelaxed) < std::ceil(per_weight_ * server.weight);
  }

 private:
  double per_weight_ = 0;
};

// That it has failed counts for nothing then; that a check or an operator says no does.
bool may_be_last_resort(const Server& server, uint32_t heeded) {
  const EndpointState& state = *server.state;
  return state.has_address() && (state.barriers.load(kRelaxed) & heeded) == 0;
}

}  // namespace

bool Balancer::is_full(const Server& server) {
  return server.max_connections != 0 &&
         server.state->in_flight.load(kRelaxed) >= server.max_connections;
}

Balancer::Search Balancer::search_of(const Cluster& cluster, uint64_t now_ms, const Wish& wish) {
  Search search{cluster, now_ms, wish};
  if (cluster.panic > 0 && cluster.state->panic.load(kRelaxed)) search.heeded = ~kMeasured;
  if (wish.no_trial) search.worst = Standing::kUp;
  search.spares_degraded = cluster.check && cluster.state->spares_degraded.load(kRelaxed);
  return search;
}

bool Balancer::eligible(Search& search, const Server& server) {
  for (const Server* tried : search.wish.tried) {
    if (tried == &server) return false;
  }
  if (search.tier == Tier::kLastResort) return may_be_last_resort(server, search.heeded);
  if (server.backup != (search.tier == Tier::kBackup)) return false;
  if (standing(server, search.now_ms, search.heeded) > search.worst) return false;
  if (server.state->slow_from_ms.load(kRelaxed) != 0) search.slow = true;
  if (search.spares_degraded && search.tier == Tier::kPrimary &&
      server.state->degraded.load(kRelaxed)) {
    search.spared = true;
    return false;
  }
  return true;
}

// True: the request goes to that server, whose in-flight count is raised.
bool Balancer::take(Search& search, const Server& server) {
  if (!acquire(server)) {
    search.full = true;
    return false;
  }
  if (search.tier == Tier::kLastResort ||
      standing(server, search.now_ms, search.heeded) == Standing::kUp) {
    return true;
  }
  if (claim_trial(server, search.now_ms)) {
    search.trial = true;
    return true;
  }
  release(server);
  return false;
}

bool Balancer::take_bound(Search& search, const Server& server) {
  const std::span<const Server* const> tried = search.wish.tried;
  if (std::find(tried.begin(), tried.end(), &server) != tried.end()) return false;
  const uint32_t heeded = std::exchange(search.heeded, search.heeded & ~kDrained);
  const bool taken =
      standing(server, search.now_ms, search.heeded) <= search.worst && take(search, server);
  search.heeded = heeded;
  search.full = false;  // for others it may count as something else
  return taken;
}

Pick Balancer::pick(const Cluster& cluster, uint64_t now_ms, const Wish& wish) {
  Search search = search_of(cluster, now_ms, wish);
  if (wish.bound != nullptr && take_bound(search, *wish.bound)) {
    return {wish.bound, false, search.trial};
  }
  for (const Tier tier : {Tier::kPrimary, Tier::kDegraded, Tier::kBackup, Tier::kLastResort}) {
    if (tier == Tier::kDegraded && !search.spared) continue;
    search.tier = tier;
    if (tier == Tier::kLastResort && search.full) break;  // not all are down: some are busy
    const Server* server = wish.hash ? pick_by_hash(search, *wish.hash) : nullptr;
    if (server == nullptr) server = pick_by_load(search);
    if (server != nullptr) return {server, false, search.trial};
  }
  // Better to wait for one of the others than to fail there twice.
  const bool may_wait = search.full && cluster.breaker.on && cluster.breaker.max_pending != 0;
  if (may_wait) return {nullptr, true};
  for (const Server* tried : wish.tried) {
    if (!may_be_last_resort(*tried, search.heeded)) continue;
    if (acquire(*tried)) return {tried};
    search.full = true;
  }
  return {nullptr, search.full};
}

void Balancer::release(const Server& server) { server.state->in_flight.fetch_sub(1, kRelaxed); }

// The owner of the hash's slot, or the next one that may and can. Null: not found within the
// bounds.
const Server* Balancer::pick_by_hash(Search& search, uint64_t hash) {
  const Cluster& cluster = search.cluster;
  const HashTable& table = search.tier == Tier::kBackup ? cluster.backups : cluster.primaries;
  if (table.empty()) return nullptr;
  LoadBound bound;
  if (cluster.bounded_load != 0) {
    const LoadSum& sum = load_sum(search);
    bound = LoadBound(cluster.bounded_load, sum.requests + 1, sum.weights);  // with this one
  }
  const Server* looked_at = nullptr;
  uint32_t slot = HashTable::slot_of(hash);
  for (uint32_t i = 0; i < limits::kHashProbes; ++i, slot = HashTable::next(slot)) {
    const Server& server = cluster.servers[table.owner(slot)];
    if (&server == looked_at) continue;
    looked_at = &server;
    if (!eligible(search, server) || !bound.admits(server)) continue;
    if (search.slow && random_unit() >= slow_start_share(server, search.now_ms)) continue;
    if (take(search, server)) return &server;
  }
  return nullptr;
}

const Server* Balancer::pick_by_load(Search& search) {
  if (const Server* server = pick_from_many(search)) return server;
  const std::vector<Server>& servers = search.cluster.servers;
  candidates_.clear();
  for (uint32_t i = 0; i < servers.size(); ++i) {
    if (!eligible(search, servers[i])) continue;
    if (is_full(servers[i])) {
      search.full = true;
    } else {
      candidates_.push_back(i);
    }
  }
  if (search.slow) {
    if (const Server* server = pick_by_lot(search)) return server;
  }
  while (!candidates_.empty()) {
    const uint32_t chosen = choose(search.cluster);
    if (take(search, servers[chosen])) return &servers[chosen];
    std::erase(candidates_, chosen);
  }
  return nullptr;
}

double Balancer::random_unit() {
  uint32_t random = 0;
  random_.fill(reinterpret_cast<uint8_t*>(&random), sizeof(random));
  return random / (UINT32_MAX + 1.0);
}

// The candidate in its slow_start whose turn it is, as often as its part of all weights, times what
// it may have of that now. Null: nobody's; those in their slow_start are no candidates any more,
// unless there are no others. The usual choice would not do: an empty server always is the least
// loaded one.
const Server* Balancer::pick_by_lot(Search& search) {
  const std::vector<Server>& servers = search.cluster.servers;
  shares_.clear();
  double weights = 0;
  bool any_whole = false;
  for (const uint32_t index : candidates_) {
    shares_.push_back(slow_start_share(servers[index], search.now_ms));
    weights += servers[index].weight;
    any_whole |= shares_.back() >= 1;
  }
  if (!any_whole) return nullptr;
  double lot = random_unit() * weights;
  uint32_t drawn = kNobody;
  size_t kept = 0;
  for (size_t i = 0; i < shares_.size(); ++i) {
    const uint32_t index = candidates_[i];
    if (shares_[i] >= 1) {
      candidates_[kept++] = index;
      continue;
    }
    lot -= shares_[i] * servers[index].weight;
    if (lot < 0 && drawn == kNobody) drawn = index;
  }
  candidates_.resize(kept);
  return drawn != kNobody && take(search, servers[drawn]) ? &servers[drawn] : nullptr;
}

uint32_t Balancer::choose(const Cluster& cluster) {
  if (candidates_.size() == 1) return candidates_.front();
  switch (cluster.balance) {
    case Balance::kRoundRobin: return next_in_turn(cluster, candidates_);
    case Balance::kRandomTwo: return lighter_of_two(cluster);
    case Balance::kLeastConn:
    case Balance::kHash: break;
  }
  find_least_loaded(cluster);
  return next_in_turn(cluster, least_loaded_);
}

// The turn order decides among those that are least loaded alike.
void Balancer::find_least_loaded(const Cluster& cluster) {
  uint64_t best_load = 0;
  uint64_t best_weight = 0;  // 0: nothing seen yet
  least_loaded_.clear();
  for (const uint32_t index : candidates_) {
    const Server& server = cluster.servers[index];
    const uint64_t load = server.state->in_flight.load(kRelaxed);
    // load / weight < best_load / best_weight, without dividing
    const uint64_t ours = load * best_weight;
    const uint64_t best = best_load * server.weight;
    if (best_weight == 0 || ours < best) {
      least_loaded_.clear();
      best_load = load;
      best_weight = server.weight;
    } else if (ours > best) {
      continue;
    }
    least_loaded_.push_back(index);
  }
}

uint32_t Balancer::next_in_turn(const Cluster& cluster, const std::vector<uint32_t>& among) {
  if (among.size() == 1) return among.front();
  if (turns_.size() <= cluster.index) turns_.resize(cluster.index + 1);
  std::vector<int64_t>& turn = turns_[cluster.index];
  if (turn.size() != cluster.servers.size()) turn.assign(cluster.servers.size(), 0);
  int64_t total = 0;
  uint32_t best = among.front();
  for (const uint32_t index : among) {
    const int64_t weight = cluster.servers[index].weight;
    turn[index] += weight;
    total += weight;
    if (turn[index] > turn[best]) best = index;
  }
  turn[best] -= total;
  return best;
}

// Two different ones drawn by weight, and of these the one with less in flight for its weight: as
// even as looking at all of them, but workers that look at the same time do not all run to one.
uint32_t Balancer::lighter_of_two(const Cluster& cluster) {
  const uint32_t one = draw(cluster, kNobody);
  const uint32_t other = draw(cluster, one);
  const Server& a = cluster.servers[one];
  const Server& b = cluster.servers[other];
  const uint64_t load_a = a.state->in_flight.load(kRelaxed);
  const uint64_t load_b = b.state->in_flight.load(kRelaxed);
  return load_b * a.weight < load_a * b.weight ? other : one;
}

// One of the candidates but `without`, with a chance by weight.
uint32_t Balancer::draw(const Cluster& cluster, uint32_t without) {
  uint64_t total = 0;
  for (const uint32_t index : candidates_) {
    if (index != without) total += cluster.servers[index].weight;
  }
  uint64_t random = this->random() % total;
  for (const uint32_t index : candidates_) {
    if (index == without) continue;
    const uint64_t weight = cluster.servers[index].weight;
    if (random < weight) return index;
    random -= weight;
  }
  return candidates_.front();
}

}  // namespace weir::upstream
