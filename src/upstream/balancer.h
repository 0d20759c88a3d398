// Chooses a server of a cluster. The counts it compares are global (EndpointState); the turn order
// of round robin is each worker's own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.h"
#include "upstream/cluster.h"
#include "upstream/health.h"

namespace weir::upstream {

// What one request asks for.
struct Wish {
  // Servers that failed it, the one that did so last at the end: taken again only if there is no
  // other, the first of them first.
  std::span<const Server* const> tried = {};
  // Of the request's key where the cluster balances by one; without it the least loaded server is
  // taken.
  std::optional<uint64_t> hash = std::nullopt;
  // Whom the client is bound to: it is the one, backup or not, degraded or not, unless it is down,
  // full, or has failed the request. An operator's drain is for others.
  const Server* bound = nullptr;
  // Who has to show first that it is up again is not asked by this one.
  bool no_trial = false;
};

struct Pick {
  const Server* server = nullptr;  // with its in-flight count raised: lower it with release()
  bool full = false;               // nobody, because those that are up have their max_connections
  bool trial = false;              // of a server that is down: nobody else may try it meanwhile

  // It is down and not due for a trial: clients have it for want of another one.
  bool is_last_resort() const { return !trial && server->state->down_until_ms.load() != 0; }
};

// One per worker (thread-confined).
class Balancer {
 public:
  // The server for one try. What `wish` points to need only live during the call.
  // Order: servers that are up (or due for a trial), those of them that are degraded, backups, and
  // when all are down for max_fails alone any that has an address. One that is full counts as busy,
  // not as down. In a panic checks and ejections count for nothing. A server in its slow_start has
  // its growing share by lot, whatever the balance.
  Pick pick(const Cluster& cluster, uint64_t now_ms, const Wish& wish);
  static void release(const Server& server);

 private:
  enum class Tier : uint8_t { kPrimary, kDegraded, kBackup, kLastResort };
  // What one pick() is about.
  struct Search {
    const Cluster& cluster;
    uint64_t now_ms;
    const Wish& wish;
    Tier tier = Tier::kPrimary;
    bool full = false;  // somebody was left out for his max_connections alone
    bool trial = false;
    uint32_t heeded = UINT32_MAX;  // barriers that count
    Standing worst = Standing::kTrialDue;
    bool spares_degraded = false;
    bool spared = false;  // somebody was left out for being degraded
    bool slow = false;    // somebody is in his slow_start
  };

  // What a bound of load compares with.
  struct LoadSum {
    double requests = 0;  // in flight at those who may be picked
    double weights = 0;   // of the same
    uint32_t picks_left = 0;
    uint64_t at_ms = 0;
  };
  static constexpr uint64_t kLoadSumMs = 100;

  static Search search_of(const Cluster& cluster, uint64_t now_ms, const Wish& wish);
  static bool eligible(Search& search, const Server& server);
  static bool is_full(const Server& server);
  static bool take(Search& search, const Server& server);
  static bool take_bound(Search& search, const Server& server);
  const Server* pick_by_hash(Search& search, uint64_t hash);
  const Server* pick_by_load(Search& search);
  const Server* pick_by_lot(Search& search);
  double random_unit();
  uint32_t choose(const Cluster& cluster);
  void find_least_loaded(const Cluster& cluster);
  uint32_t next_in_turn(const Cluster& cluster, const std::vector<uint32_t>& among);
  uint32_t lighter_of_two(const Cluster& cluster);
  uint32_t draw(const Cluster& cluster, uint32_t without);
  // balancer_many.cc: null where there are no turn tables, too.
  const Server* pick_from_many(Search& search);
  uint64_t next_turn(const Cluster& cluster);
  uint64_t random();
  const LoadSum& load_sum(Search& search);

  // Smooth weighted round robin: current weight per server, by Cluster::index.
  std::vector<std::vector<int64_t>> turns_;
  // Indexes of servers, good within one pick().
  std::vector<uint32_t> candidates_;
  std::vector<uint32_t> least_loaded_;
  std::vector<double> shares_;  // slow_start's, of candidates_
  // Large clusters, by Cluster::index.
  std::vector<uint64_t> positions_;
  std::vector<LoadSum> load_sums_;  // of all clusters with bounded_load
  RandomPool random_;
};

}  // namespace weir::upstream
