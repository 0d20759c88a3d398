// A pool of servers as all workers see it. A Cluster is immutable and belongs to a config snapshot;
// what outlives snapshots (in-flight counts, failures) is an EndpointState, shared by every
// snapshot that names the same server, and all of it atomic.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/address.h"
#include "upstream/breaker.h"
#include "upstream/hash_key.h"
#include "upstream/hash_table.h"
#include "upstream/health_config.h"
#include "upstream/hedge.h"
#include "upstream/retry.h"
#include "upstream/transport.h"
#include "upstream/turn_table.h"

namespace weir::net {
class RedisState;
}

namespace weir::upstream {

class Rollback;
struct RollbackConfig;
class Sticky;

using AddressList = std::vector<net::SocketAddress>;

// Each is set and cleared by one part of weir only.
enum Barrier : uint32_t {
  kCheckFailed = 1u << 0,  // by active checks
  kEjected = 1u << 1,      // by outlier detection
  kDrained = 1u << 2,      // by an operator: nobody new, who is bound to it stays
  kTakenDown = 1u << 3,    // by an operator: nobody at all
};

// One cache line of shared, mutable state per server. Any thread.
struct alignas(64) EndpointState {
  EndpointState(std::string upstream_name, std::string server_address, uint32_t id)
      : upstream(std::move(upstream_name)), server(std::move(server_address)), index(id) {}

  std::atomic<uint32_t> in_flight{0};
  std::atomic<uint32_t> fails{0};            // within the current fail_timeout window
  std::atomic<uint64_t> window_start_ms{0};  // of that window
  std::atomic<uint64_t> down_until_ms{0};    // 0 = up; past = one trial request is due

  // Why it gets no new requests, whatever passive health says: bits of Barrier. 0 on the usual
  // path.
  std::atomic<uint32_t> barriers{0};

  // It came back then and gets its share little by little (health.h); 0 on the usual path.
  std::atomic<uint64_t> slow_from_ms{0};
  // Since then it has answered nothing, and tries were given up (health.h); 0 on the usual path.
  std::atomic<uint64_t> silent_since_ms{0};
  // By active checks: it answers, but late. Others first.
  std::atomic<bool> degraded{false};

  // Of addresses(); 0: there are none, the name has never resolved. Written by set_addresses().
  std::atomic<uint32_t> addresses_version{0};
  bool has_address() const { return addresses_version.load(std::memory_order_relaxed) != 0; }

  // Where the server is. Its name may come to mean other addresses at any time: who keeps a copy
  // (a worker's pool) compares the version, which costs no lock.
  void set_addresses(AddressList addresses);  // not empty; the same ones are no new version
  std::shared_ptr<const AddressList> addresses() const;  // null as long as there are none

  // Those of addresses() that fail their checks while others do not: used when the others fail. By
  // the Checker; a change is a new version.
  void set_unwell(AddressList unwell);
  AddressList unwell() const;

  // Where outlier detection is configured: written by every answer's worker (outlier.h), never
  // reset, sampled by the Checker.
  std::atomic<uint64_t> answers{0};  // failed tries included
  std::atomic<uint64_t> errors{0};   // of these: failed tries and 5xx
  std::atomic<uint64_t> slow{0};     // of these: later than outlier.latency
  // By the Checker.
  std::atomic<uint64_t> ejected_until_ms{0};  // while kEjected
  std::atomic<uint64_t> ejections_for_errors{0};
  std::atomic<uint64_t> ejections_for_latency{0};

  // What active checks say of it, in the words of /health.
  void set_check_report(CheckReport report);
  CheckReport check_report() const;

  // Constant after construction.
  const std::string upstream;  // labels of metrics and logs
  const std::string server;
  const uint32_t index;  // dense, process-wide: workers index their pools by it

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const AddressList> addresses_;  // under mutex_
  AddressList unwell_;                            // under mutex_
  CheckReport check_report_;                      // under mutex_
};

// What all workers count together for one upstream. Any thread. Outlives snapshots.
struct alignas(64) ClusterState {
  ClusterState(std::string upstream_name, uint32_t id)
      : name(std::move(upstream_name)), index(id) {}

  // Both by the Checker. Too few servers are left for `panic`: checks and ejections count for
  // nothing.
  std::atomic<bool> panic{false};
  // Servers that are not degraded are enough to spare the others.
  std::atomic<bool> spares_degraded{false};

  // By the Daemon: its servers_file or srv has changed, and no snapshot could be made of it.
  std::atomic<bool> members_stuck{false};

  // Constant after construction.
  const std::string name;
  const uint32_t index;  // dense by name, process-wide: workers index their own state by it

  RetryBudget retries;  // where Cluster::retry is budgeted
  LatencyTail latency;  // where Cluster::hedge is on
  Gate gate;            // where Cluster::breaker is on: requests under way, and those that wait
};

// The host that a server of that address is asked for where nobody says which.
inline std::string_view own_host(std::string_view address) {
  return address.starts_with("unix:") ? "localhost" : address;
}

struct Server {
  std::string address;  // as configured
  uint32_t weight = 1;
  uint32_t max_connections = 0;  // requests at once, of all workers; 0 = any number
  uint32_t max_fails = 1;        // 0 = never marked down
  uint64_t fail_timeout_ms = 10'000;
  bool backup = false;
  uint64_t slow_start_ms = 0;  // its upstream's; 0 = at once
  std::shared_ptr<EndpointState> state;
};

enum class Balance : uint8_t { kLeastConn, kRoundRobin, kRandomTwo, kHash };

struct UpstreamTimeouts {
  uint64_t connect_ms = 5'000;
  uint64_t send_ms = 60'000;       // between two writes that the server takes
  uint64_t read_ms = 60'000;       // between two reads
  uint64_t tunnel_ms = 3'600'000;  // silence in both directions of a tunnel
  uint64_t total_ms = 0;           // of one request, 0 = none
};

struct KeepaliveConfig {
  uint32_t idle = 64;  // idle connections per worker and server
  uint64_t timeout_ms = 60'000;
  uint32_t requests = 10'000;  // then the connection is closed
};

struct Cluster {
  std::string name;
  uint32_t index = 0;  // of its state
  std::shared_ptr<ClusterState> state;
  Balance balance = Balance::kLeastConn;
  HashKey hash_key;         // kHash: what of a request chooses its server
  double bounded_load = 0;  // kHash: no server above its share times this; 0 = no bound
  // kHash, once the servers are known (build_hash_tables); of the backups only if there are any.
  HashTable primaries;
  HashTable backups;
  // Where there are more servers than limits::kServersLookedAt (build_turn_tables): in order and by
  // weight.
  TurnTable primary_turns;
  TurnTable backup_turns;
  std::vector<Server> servers;
  std::string members_from;   // "srv NAME" or "servers_file PATH", to be shown; empty: neither
  std::string members_error;  // why servers_file or srv is not followed now; empty: it is
  uint64_t resolve_ms = 0;    // how often names are looked up again; 0 = when their TTL is over
  UpstreamTimeouts timeouts;
  BreakerConfig breaker;
  RetryConfig retry;
  HedgeConfig hedge;
  KeepaliveConfig keepalive;  // .requests is 1 where transport has a proxy_protocol
  std::shared_ptr<const Transport> transport = std::make_shared<const Transport>();
  std::optional<CheckConfig> check;
  std::optional<OutlierConfig> outlier;
  std::shared_ptr<const Sticky> sticky;  // null: nobody is bound to a server
  double panic = 0;                      // share of primaries below which all are used; 0 = never
  // Who uses it; what only mirrors use no client misses.
  bool for_clients = false;
  bool for_mirrors = false;
  bool mirrors_only() const { return for_mirrors && !for_clients; }
};

// Fills the tables of a cluster that balances by hash. Before it is published.
void build_hash_tables(Cluster& cluster);
// Those of a cluster with many servers; of a smaller one they stay empty. Before it is published.
void build_turn_tables(Cluster& cluster);

// Gives the same EndpointState for the same (upstream, server) as long as anybody holds it, and a
// stable index per name. Config thread only; one per process.
class StateRegistry {
 public:
  std::shared_ptr<EndpointState> endpoint(const std::string& upstream, const std::string& server);
  // One per name, for the life of the process.
  std::shared_ptr<ClusterState> cluster(const std::string& upstream);
  // The same one for the same `identity` as long as anybody holds it; otherwise a new one.
  std::shared_ptr<Rollback> rollback(const std::string& identity, const std::string& split,
                                     const std::vector<std::string>& upstreams,
                                     const RollbackConfig& config);
  // The same, of a Redis; `name`: for people.
  std::shared_ptr<net::RedisState> redis(const std::string& identity, const std::string& name);
  // Every state that a living snapshot (or connection) holds: for /health and /metrics. Any thread.
  std::vector<std::shared_ptr<EndpointState>> endpoints();

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<EndpointState>> endpoints_;
  std::unordered_map<std::string, std::shared_ptr<ClusterState>> clusters_;
  std::unordered_map<std::string, std::weak_ptr<Rollback>> rollbacks_;
  std::unordered_map<std::string, std::weak_ptr<net::RedisState>> redises_;
  uint32_t next_endpoint_ = 0;
};

}  // namespace weir::upstream
