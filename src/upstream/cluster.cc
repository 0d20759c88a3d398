#include "upstream/cluster.h"

#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "net/redis_state.h"
#include "upstream/rollback.h"

namespace weir::upstream {

void EndpointState::set_addresses(AddressList addresses) {
  WEIR_CHECK(!addresses.empty());
  std::lock_guard lock(mutex_);
  if (addresses_ != nullptr && *addresses_ == addresses) return;
  addresses_ = std::make_shared<const AddressList>(std::move(addresses));
  addresses_version.fetch_add(1, std::memory_order_release);
}

std::shared_ptr<const AddressList> EndpointState::addresses() const {
  std::lock_guard lock(mutex_);
  return addresses_;
}

void EndpointState::set_unwell(AddressList unwell) {
  std::lock_guard lock(mutex_);
  if (unwell_ == unwell) return;
  unwell_ = std::move(unwell);
  addresses_version.fetch_add(1, std::memory_order_release);
}

AddressList EndpointState::unwell() const {
  std::lock_guard lock(mutex_);
  return unwell_;
}

void EndpointState::set_check_report(CheckReport report) {
  std::lock_guard lock(mutex_);
  check_report_ = std::move(report);
}

CheckReport EndpointState::check_report() const {
  std::lock_guard lock(mutex_);
  return check_report_;
}

void build_hash_tables(Cluster& cluster) {
  if (cluster.balance != Balance::kHash) return;
  std::vector<HashTable::Entry> primaries;
  std::vector<HashTable::Entry> backups;
  for (uint16_t i = 0; i < cluster.servers.size(); ++i) {
    const Server& server = cluster.servers[i];
    (server.backup ? backups : primaries).push_back({server.address, server.weight, i});
  }
  cluster.primaries.build(primaries);
  cluster.backups.build(backups);
}

void build_turn_tables(Cluster& cluster) {
  if (cluster.servers.size() <= limits::kServersLookedAt) return;
  std::vector<TurnTable::Entry> primaries;
  std::vector<TurnTable::Entry> backups;
  for (uint32_t i = 0; i < cluster.servers.size(); ++i) {
    const Server& server = cluster.servers[i];
    (server.backup ? backups : primaries).push_back({server.weight, i});
  }
  cluster.primary_turns.build(primaries);
  cluster.backup_turns.build(backups);
}

std::shared_ptr<EndpointState> StateRegistry::endpoint(const std::string& upstream,
                                                       const std::string& server) {
  std::lock_guard lock(mutex_);
  std::weak_ptr<EndpointState>& known = endpoints_[upstream + '\n' + server];
  std::shared_ptr<EndpointState> state = known.lock();
  if (state == nullptr) {
    state = std::make_shared<EndpointState>(upstream, server, next_endpoint_++);
    known = state;
  }
  return state;
}

std::shared_ptr<ClusterState> StateRegistry::cluster(const std::string& upstream) {
  std::lock_guard lock(mutex_);
  const uint32_t index = static_cast<uint32_t>(clusters_.size());
  std::shared_ptr<ClusterState>& state = clusters_[upstream];
  if (state == nullptr) state = std::make_shared<ClusterState>(upstream, index);
  return state;
}

std::shared_ptr<Rollback> StateRegistry::rollback(const std::string& identity,
                                                  const std::string& split,
                                                  const std::vector<std::string>& upstreams,
                                                  const RollbackConfig& config) {
  std::lock_guard lock(mutex_);
  std::erase_if(rollbacks_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<Rollback>& known = rollbacks_[identity];
  std::shared_ptr<Rollback> state = known.lock();
  if (state == nullptr) {
    state = std::make_shared<Rollback>(split, upstreams, config);
    known = state;
  }
  return state;
}

std::shared_ptr<net::RedisState> StateRegistry::redis(const std::string& identity,
                                                      const std::string& name) {
  std::lock_guard lock(mutex_);
  std::erase_if(redises_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<net::RedisState>& known = redises_[identity];
  std::shared_ptr<net::RedisState> state = known.lock();
  if (state == nullptr) {
    state = std::make_shared<net::RedisState>(name);
    known = state;
  }
  return state;
}

std::vector<std::shared_ptr<EndpointState>> StateRegistry::endpoints() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<EndpointState>> alive;
  for (auto at = endpoints_.begin(); at != endpoints_.end();) {
    if (std::shared_ptr<EndpointState> state = at->second.lock()) {
      alive.push_back(std::move(state));
      ++at;
    } else {
      at = endpoints_.erase(at);
    }
  }
  return alive;
}

}  // namespace weir::upstream
