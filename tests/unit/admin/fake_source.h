// A running process as the admin pages see it, made of parts that a test sets.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "proxy/status_source.h"

namespace weir::admin {

class FakeSource final : public proxy::StatusSource {
 public:
  std::vector<proxy::Metrics*> worker_metrics() override {
    std::vector<proxy::Metrics*> list;
    for (const auto& worker : workers) list.push_back(worker.get());
    return list;
  }
  std::shared_ptr<const proxy::Snapshot> snapshot() override { return current; }
  std::vector<net::SocketAddress> bound_listeners(const proxy::Snapshot&) override { return bound; }
  std::vector<std::shared_ptr<upstream::EndpointState>> endpoints() override { return states; }
  proxy::ReloadStats reloads() override { return reload_stats; }
  std::shared_ptr<const proxy::ReloadReceipt> reload_receipt() override {
    const std::lock_guard lock(mutex_);
    return receipt_;
  }
  uint64_t request_reload() override {
    const std::lock_guard lock(mutex_);
    return ++reloads_asked_for_;
  }
  std::shared_ptr<const proxy::ConfigDescription> description() override { return described; }
  uint64_t uptime_s() override { return 12; }
  bool draining() override { return is_draining.load(); }
  uint64_t log_dropped_lines() override { return dropped; }
  bool post(std::function<void(proxy::ProxyWorker&)>) override { return false; }

  proxy::Metrics& add_worker() { return *workers.emplace_back(std::make_unique<proxy::Metrics>()); }
  // Servers that are up, with endpoint indexes in the order of their making.
  upstream::Cluster& add_cluster(const std::string& name, const std::vector<std::string>& servers) {
    auto cluster = std::make_shared<upstream::Cluster>();
    cluster->name = name;
    cluster->index = static_cast<uint32_t>(current->clusters.size());
    cluster->state = std::make_shared<upstream::ClusterState>(name, cluster->index);
    for (const std::string& address : servers) {
      upstream::Server& server = cluster->servers.emplace_back();
      server.address = address;
      server.state = std::make_shared<upstream::EndpointState>(
          name, address, static_cast<uint32_t>(states.size()));
      server.state->set_addresses({net::parse_address("127.0.0.1:9").value()});
      states.push_back(server.state);
    }
    current->clusters.push_back(cluster);
    return *cluster;
  }

  std::shared_ptr<proxy::Snapshot> current = std::make_shared<proxy::Snapshot>();
  std::vector<net::SocketAddress> bound;
  std::vector<std::unique_ptr<proxy::Metrics>> workers;
  std::vector<std::shared_ptr<upstream::EndpointState>> states;
  proxy::ReloadStats reload_stats;
  std::shared_ptr<const proxy::ConfigDescription> described;
  std::atomic<bool> is_draining{false};
  uint64_t dropped = 0;

  // Any thread.
  uint64_t reloads_asked_for() {
    const std::lock_guard lock(mutex_);
    return reloads_asked_for_;
  }
  // Ends the reload that answers all requests up to `ticket`.
  void publish(proxy::ReloadReceipt receipt, uint64_t ticket) {
    receipt.ticket = ticket;
    const std::lock_guard lock(mutex_);
    receipt_ = std::make_shared<const proxy::ReloadReceipt>(std::move(receipt));
  }

 private:
  std::mutex mutex_;  // guards what follows
  uint64_t reloads_asked_for_ = 0;
  std::shared_ptr<const proxy::ReloadReceipt> receipt_;
};

}  // namespace weir::admin
