#include "admin/status.h"

#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "admin/health.h"
#include "admin/json.h"
#include "admin/maintenance.h"
#include "admin/reload.h"
#include "admin/sides.h"
#include "admin/totals.h"
#include "base/blocks.h"
#include "net/clock.h"
#include "proxy/limit_stats.h"
#include "version.h"

namespace weir::admin {
namespace {

using proxy::Metrics;

Json workers_json(const Workers& workers) {
  Json list = Json::array();
  for (const Metrics* worker : workers) {
    list.push_back(Json::object(
        {{"active_connections", worker->active_connections.value()},
         {"requests_in_flight", worker->requests_in_flight.value()},
         {"loop_lag_ms",
          static_cast<double>(worker->loop_lag_us.load(std::memory_order_relaxed)) / 1000},
         {"access_log_dropped", worker->access_log_dropped.value()}}));
  }
  return list;
}

// The address is the socket's: the kernel chose its port, or a service manager all of it.
Json listeners_json(proxy::StatusSource& source, const proxy::Snapshot& snapshot) {
  Json list = Json::array();
  const std::vector<net::SocketAddress> bound = source.bound_listeners(snapshot);
  for (size_t i = 0; i < snapshot.listeners.size(); ++i) {
    const proxy::ListenerConfig& listener = snapshot.listeners[i];
    const net::SocketAddress& address = i < bound.size() ? bound[i] : listener.address;
    list.push_back(Json::object({{"name", listener.name},
                                 {"address", address.text()},
                                 {"max_connections", listener.max_connections}}));
  }
  return list;
}

Json upstreams_json(const proxy::Snapshot& snapshot, uint64_t now_ms) {
  Json upstreams = Json::object();
  for (const auto& cluster : snapshot.clusters) {
    const ClusterHealth health = cluster_health(*cluster, now_ms);
    Json servers = Json::array();
    for (const ServerHealth& entry : health.servers) {
      const upstream::Server& server = *entry.server;
      const upstream::EndpointState& state = *server.state;
      Json addresses = Json::array();
      if (const auto known = state.addresses()) {
        for (const net::SocketAddress& address : *known) addresses.push_back(address.text());
      }
      servers.push_back(
          Json::object({{"address", server.address},
                        {"addresses", std::move(addresses)},
                        {"state", entry.state},
                        {"reason", entry.reason},
                        {"in_flight", state.in_flight.load(std::memory_order_relaxed)},
                        {"fails", state.fails.load(std::memory_order_relaxed)},
                        {"weight", server.weight},
                        {"backup", server.backup}}));
    }
    Json& upstream = upstreams[cluster->name] =
        Json::object({{"status", health_word(health.health)}, {"servers", std::move(servers)}});
    const upstream::Gate& gate = cluster->state->gate;
    if (cluster->breaker.on) upstream["pending"] = gate.pending();
    if (cluster->breaker.adaptive) upstream["concurrency_limit"] = gate.adaptive_limit();
  }
  return upstreams;
}

struct RouteCounts {
  uint64_t requests = 0;
  uint64_t by_class[6] = {};  // [5] counts 5xx; [0] what is outside 100..599
};

std::map<uint32_t, RouteCounts> count_routes(const Workers& workers) {
  std::map<uint32_t, RouteCounts> routes;
  for (const auto& [packed, value] : total(workers, &Metrics::requests)) {
    const Metrics::Key key = Metrics::unpack(packed);
    RouteCounts& counts = routes[key.id];
    counts.requests += value;
    const int status_class = key.status / 100;
    counts.by_class[status_class >= 1 && status_class <= 5 ? status_class : 0] += value;
  }
  return routes;
}

Json rate_limits_json(const Workers& workers) {
  const std::vector<std::string> names = proxy::limit_names().names();
  Json limits = Json::object();
  for (const auto& [packed, value] : total(workers, &Metrics::rate_limits)) {
    const proxy::LimitKey key = proxy::unpack_limit(packed);
    if (key.label < names.size()) limits[names[key.label]][proxy::limit_word(key.result)] = value;
  }
  const proxy::LimitStats& stats = proxy::limit_stats();
  return Json::object({{"limits", std::move(limits)},
                       {"keys", stats.keys.load(std::memory_order_relaxed)},
                       {"waiting", stats.delayed.load(std::memory_order_relaxed)}});
}

double quantile_ms(const HistogramTotal& histogram, double quantile) {
  return std::round(histogram.quantile_seconds(quantile) * 1e6) / 1e3;
}

Json routes_json(const Workers& workers) {
  const std::vector<std::string> names = proxy::labels().names();
  const auto durations = total(workers, &Metrics::request_duration);
  Json list = Json::array();
  for (const auto& [id, counts] : count_routes(workers)) {
    if (id >= names.size()) continue;
    Json route = Json::object({{"route", names[id]}, {"requests", counts.requests}});
    for (const int status_class : {2, 3, 4, 5}) {
      route[std::to_string(status_class) + "xx"] = counts.by_class[status_class];
    }
    const auto duration = durations.find(id);
    if (duration != durations.end()) {
      route["p50_ms"] = quantile_ms(duration->second, 0.50);
      route["p95_ms"] = quantile_ms(duration->second, 0.95);
      route["p99_ms"] = quantile_ms(duration->second, 0.99);
    }
    list.push_back(std::move(route));
  }
  return list;
}

}  // namespace

std::string status_json(proxy::StatusSource& source) {
  const Workers workers = source.worker_metrics();
  const std::shared_ptr<const proxy::Snapshot> snapshot = source.snapshot();
  const proxy::ReloadStats reloads = source.reloads();
  const uint64_t log_dropped =
      total(workers, &Metrics::access_log_dropped) + source.log_dropped_lines();
  const bool loaded = snapshot != nullptr;
  const Json reloads_json = Json::object({{"ok", reloads.succeeded},
                                          {"failed", reloads.failed},
                                          {"last_unix_s", reloads.last_unix_s}});
  return to_line(Json::object({
      {"version", kVersion},
      {"commit", kCommit},
      {"uptime_s", source.uptime_s()},
      {"draining", source.draining()},
      {"reloads", reloads_json},
      {"last_reload", receipt_json(source.reload_receipt().get())},
      {"buffers_bytes", BlockBudget::used_bytes()},
      {"access_log_dropped", log_dropped},
      {"listeners", loaded ? listeners_json(source, *snapshot) : Json::array()},
      {"workers", workers_json(workers)},
      {"upstreams", loaded ? upstreams_json(*snapshot, net::monotonic_ms()) : Json::object()},
      {"routes", routes_json(workers)},
      {"splits", loaded ? splits_json(*snapshot, workers) : Json::array()},
      {"mirrors", loaded ? mirrors_json(*snapshot, workers) : Json::array()},
      {"maintenance", loaded ? maintenances_json(*snapshot) : Json::array()},
      {"rate_limits", rate_limits_json(workers)},
  }));
}

}  // namespace weir::admin
