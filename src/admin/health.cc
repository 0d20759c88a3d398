#include "admin/health.h"

#include <algorithm>
#include <memory>

#include "admin/json.h"
#include "net/clock.h"
#include "upstream/health.h"
#include "version.h"

namespace weir::admin {
namespace {

ServerHealth server_health(const upstream::Server& server, uint64_t now_ms) {
  if (!server.state->has_address()) return {&server, false, "the name does not resolve"};
  switch (upstream::standing(server, now_ms)) {
    case upstream::Standing::kUp: return {&server, true, ""};
    case upstream::Standing::kTrialDue: return {&server, true, "back on trial after max_fails"};
    case upstream::Standing::kDown: break;
  }
  return {&server, false, "max_fails"};
}

Json to_json(const ClusterHealth& cluster) {
  Json servers = Json::array();
  for (const ServerHealth& entry : cluster.servers) {
    servers.push_back(Json::object({{"address", entry.server->address},
                                    {"state", entry.up ? "up" : "down"},
                                    {"reason", entry.reason},
                                    {"last_check", nullptr},  // of active checks
                                    {"latency_ms", nullptr}}));
  }
  return Json::object({{"status", health_word(cluster.health)}, {"servers", std::move(servers)}});
}

}  // namespace

const char* health_word(Health health) {
  switch (health) {
    case Health::kHealthy: return "healthy";
    case Health::kDegraded: return "degraded";
    case Health::kUnhealthy: break;
  }
  return "unhealthy";
}

ClusterHealth cluster_health(const upstream::Cluster& cluster, uint64_t now_ms) {
  ClusterHealth result;
  size_t up = 0;
  for (const upstream::Server& server : cluster.servers) {
    result.servers.push_back(server_health(server, now_ms));
    if (result.servers.back().up) ++up;
  }
  if (up == cluster.servers.size())
    result.health = Health::kHealthy;
  else if (up > 0)
    result.health = Health::kDegraded;
  return result;
}

JsonAnswer health_json(proxy::StatusSource& source) {
  const std::shared_ptr<const proxy::Snapshot> snapshot = source.snapshot();
  Health worst = snapshot == nullptr ? Health::kUnhealthy : Health::kHealthy;
  Json upstreams = Json::object();
  if (snapshot != nullptr) {
    const uint64_t now_ms = net::monotonic_ms();
    for (const auto& cluster : snapshot->clusters) {
      const ClusterHealth health = cluster_health(*cluster, now_ms);
      worst = std::max(worst, health.health);
      upstreams[cluster->name] = to_json(health);
    }
  }
  const Json body = Json::object({{"status", health_word(worst)},
                                  {"version", kVersion},
                                  {"uptime_s", source.uptime_s()},
                                  {"checks", Json::object()},
                                  {"upstreams", std::move(upstreams)}});
  return {worst == Health::kUnhealthy ? 503 : 200, to_line(body)};
}

JsonAnswer live_json(proxy::StatusSource& source) {
  return {200, to_line(Json::object({{"status", "alive"}, {"uptime_s", source.uptime_s()}}))};
}

JsonAnswer ready_json(proxy::StatusSource& source) {
  const auto answer = [](int status, const char* word) {
    return JsonAnswer{status, to_line(Json::object({{"status", word}}))};
  };
  if (source.draining()) return answer(503, "shutting-down");
  if (source.snapshot() == nullptr) return answer(503, "starting");
  return answer(200, "ready");
}

}  // namespace weir::admin
