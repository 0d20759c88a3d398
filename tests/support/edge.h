// A whole proxy worker inside the test's process, on a thread of its own, with a snapshot made by
// hand: no daemon, no config. stop() drains it; ~Worker checks that the loop closed clean.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/listener.h"
#include "proxy/proxy_worker.h"
#include "proxy/snapshot.h"

namespace weir::test {

// One listener on a free port, one site for every host. Set up routes(), then hand out finish().
class SnapshotBuilder {
 public:
  SnapshotBuilder() {
    proxy::ListenerConfig listener;
    listener.name = "http";
    listener.address = net::parse_address("127.0.0.1:0").value();
    snapshot_->listeners.push_back(std::move(listener));
    snapshot_->hosts.resize(1);
    snapshot_->hosts[0].add("*", 0);
    snapshot_->sites.resize(1);
    snapshot_->sites[0].hosts = {"*"};
    snapshot_->sites[0].listeners = {0};
  }

  proxy::Snapshot& snapshot() { return *snapshot_; }
  proxy::ListenerConfig& listener() { return snapshot_->listeners[0]; }

  // A segment route; the reference is good until the next one is added.
  proxy::Route& route(const std::string& path) {
    std::vector<proxy::Route>& routes = snapshot_->sites[0].routes;
    routes.emplace_back();
    routes.back().name = path;
    routes.back().label = proxy::labels().id(path);
    routes.back().match = path == "/" ? proxy::PathMatch::kPrefix : proxy::PathMatch::kSegment;
    routes.back().path = path;
    return routes.back();
  }
  proxy::Route& upstream_route(const std::string& path,
                               std::shared_ptr<const upstream::Cluster> cluster) {
    proxy::Route& added = route(path);
    added.action = proxy::Action::kUpstream;
    added.cluster = std::move(cluster);
    return added;
  }
  proxy::Route& respond_route(const std::string& path, const std::string& text) {
    proxy::Route& added = route(path);
    added.action = proxy::Action::kRespond;
    added.body = proxy::Template::parse(text).value();
    return added;
  }

  std::shared_ptr<const proxy::Snapshot> finish() {
    proxy::Site& site = snapshot_->sites[0];
    site.router.build(site.routes);
    return std::exchange(snapshot_, nullptr);
  }

 private:
  std::shared_ptr<proxy::Snapshot> snapshot_ = std::make_shared<proxy::Snapshot>();
};

// Servers that are never marked down, with few idle connections.
inline std::shared_ptr<upstream::Cluster> make_cluster(upstream::StateRegistry& registry,
                                                       const std::string& name,
                                                       const std::vector<uint16_t>& ports) {
  auto cluster = std::make_shared<upstream::Cluster>();
  cluster->name = name;
  cluster->state = registry.cluster(name);
  cluster->index = cluster->state->index;
  cluster->keepalive.idle = 4;
  for (const uint16_t port : ports) {
    upstream::Server server;
    server.address = "127.0.0.1:" + std::to_string(port);
    server.max_fails = 0;
    server.state = registry.endpoint(name, server.address);
    server.state->set_addresses({net::parse_address(server.address).value()});
    cluster->servers.push_back(std::move(server));
  }
  return cluster;
}

// What is left when a worker has run out. All zero and `false` when nothing leaked.
struct Leftovers {
  bool cut = false;  // something was still alive at the end of the grace
  size_t exchanges = 0;
  size_t blocks = 0;
  uint64_t connections = 0;
  uint64_t requests = 0;
  friend bool operator==(const Leftovers&, const Leftovers&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const Leftovers& left) {
  return out << (left.cut ? "cut, " : "") << left.exchanges << " exchanges, " << left.blocks
             << " blocks, " << left.connections << " connections, " << left.requests << " requests";
}

class Edge {
 public:
  struct Options {
    proxy::LogWriter* log_writer = nullptr;
    int send_buffer_bytes = 0;  // of client sockets: small ones are soon congested. 0: the kernel's
    // On the worker's thread: before it serves, and when it has run out.
    std::function<void(proxy::ProxyWorker&)> on_start = [](proxy::ProxyWorker&) {};
    std::function<void()> on_stop = [] {};
  };

  explicit Edge(std::shared_ptr<const proxy::Snapshot> snapshot) : Edge(snapshot, Options()) {}
  Edge(std::shared_ptr<const proxy::Snapshot> snapshot, Options options) {
    std::signal(SIGPIPE, SIG_IGN);  // as main() does: libuv writes with write(2)
    const int fd = net::open_listening_socket(snapshot->listeners[0].address).value();
    if (options.send_buffer_bytes > 0) {  // accepted sockets inherit it
      setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &options.send_buffer_bytes,
                 sizeof(options.send_buffer_bytes));
    }
    port_ = net::bound_address(fd).port();
    std::promise<void> started;
    thread_ = std::thread([this, fd, &started, snapshot, options = std::move(options)]() mutable {
      run(std::move(snapshot), fd, options, started);
    });
    started.get_future().wait();
  }
  ~Edge() { stop(); }
  Edge(const Edge&) = delete;
  Edge& operator=(const Edge&) = delete;

  uint16_t port() const { return port_; }
  const proxy::Metrics& metrics() const { return metrics_; }
  void publish(std::shared_ptr<const proxy::Snapshot> snapshot) {
    on_worker([&](proxy::ProxyWorker& worker) { worker.publish(std::move(snapshot)); });
  }
  // Runs `action` on the worker's thread, in a turn of its own, and waits for it.
  void on_worker(const std::function<void(proxy::ProxyWorker&)>& action) {
    std::promise<void> done;
    worker_->net().post([&] {
      action(*worker_);
      done.set_value();
    });
    done.get_future().wait();
  }
  size_t snapshots_given_back() {
    const std::lock_guard lock(mutex_);
    return given_back_.size();
  }
  void free_given_back() {
    const std::lock_guard lock(mutex_);
    given_back_.clear();
  }

  // Lets what is under way end, for that long. Nothing may be asked of the worker after that.
  void drain(uint64_t grace_ms) {
    if (std::exchange(draining_, true)) return;
    worker_->net().post([worker = worker_, grace_ms] { worker->drain(grace_ms); });
  }
  // Drains and waits for the end; the second call does nothing and says the same.
  Leftovers stop(uint64_t grace_ms = 10'000) {
    if (!thread_.joinable()) return leftovers_;
    drain(grace_ms);
    thread_.join();
    leftovers_.connections = metrics_.active_connections.value();
    leftovers_.requests = metrics_.requests_in_flight.value();
    return leftovers_;
  }

 private:
  void run(std::shared_ptr<const proxy::Snapshot> snapshot, int fd, const Options& options,
           std::promise<void>& started) {
    proxy::ProxyWorkerOptions own;
    own.metrics = &metrics_;
    own.log_writer = options.log_writer;
    own.give_back = [this](auto done) {
      const std::lock_guard lock(mutex_);
      given_back_.push_back(std::move(done));
    };
    proxy::ProxyWorker worker(std::move(own));
    worker.publish(std::move(snapshot));
    worker.listen(fd, 0);
    options.on_start(worker);
    worker_ = &worker;
    started.set_value();
    worker.run();
    options.on_stop();
    leftovers_.cut = worker.was_cut();
    leftovers_.exchanges = worker.exchanges().size();
    leftovers_.blocks = worker.net().blocks().in_use();
  }

  proxy::Metrics metrics_;
  uint16_t port_ = 0;
  proxy::ProxyWorker* worker_ = nullptr;  // good until stop()
  bool draining_ = false;
  Leftovers leftovers_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const proxy::Snapshot>> given_back_;  // under mutex_
  std::thread thread_;
};

}  // namespace weir::test
