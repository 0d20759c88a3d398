#include "admin/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "admin/json.h"
#include "net/clock.h"
#include "net/redis_config.h"
#include "upstream/health.h"
#include "version.h"

namespace weir::admin {
namespace {

std::string or_else(std::string text, const char* otherwise) {
  return text.empty() ? otherwise : text;
}

std::string ejection_text(const upstream::EndpointState& state, uint64_t now_ms) {
  const uint64_t until_ms = state.ejected_until_ms.load(std::memory_order_relaxed);
  return fmt::format("its answers were worse than allowed; {} s more",
                     until_ms > now_ms ? (until_ms - now_ms + 999) / 1000 : 0);
}

// Null: there was no check.
Json time_json(uint64_t unix_ms) { return unix_ms == 0 ? Json() : Json(rfc3339(unix_ms)); }

Json latency_json(uint64_t latency_us) {
  if (latency_us == 0) return nullptr;
  return static_cast<double>(latency_us) / 1000;
}

Json to_json(const ClusterHealth& cluster) {
  Json servers = Json::array();
  for (const ServerHealth& entry : cluster.servers) {
    const upstream::CheckReport report = entry.server->state->check_report();
    servers.push_back(Json::object({{"address", entry.server->address},
                                    {"state", entry.state},
                                    {"reason", entry.reason},
                                    {"last_check", time_json(report.checked_unix_ms)},
                                    {"latency_ms", latency_json(report.latency_us)}}));
  }
  Json out = Json::object({{"status", health_word(cluster.health)}});
  if (!cluster.reason.empty()) out["reason"] = cluster.reason;
  out["servers"] = std::move(servers);
  return out;
}

}  // namespace

ServerHealth server_health(const upstream::Server& server, uint64_t now_ms) {
  const upstream::EndpointState& state = *server.state;
  const uint32_t barriers = state.barriers.load(std::memory_order_relaxed);
  if ((barriers & upstream::kTakenDown) != 0) return {&server, false, "down", "by an operator"};
  if ((barriers & upstream::kDrained) != 0) return {&server, false, "drain", "by an operator"};
  if (!state.has_address()) return {&server, false, "down", "the name does not resolve"};
  if ((barriers & upstream::kCheckFailed) != 0) {
    return {&server, false, "down", or_else(state.check_report().reason, "check")};
  }
  if ((barriers & upstream::kEjected) != 0) {
    return {&server, false, "ejected", ejection_text(state, now_ms)};
  }
  switch (upstream::standing(server, now_ms)) {
    case upstream::Standing::kUp: break;
    case upstream::Standing::kTrialDue:
      return {&server, true, "up", "back on trial after max_fails"};
    case upstream::Standing::kDown: return {&server, false, "down", "max_fails"};
  }
  if (state.degraded.load(std::memory_order_relaxed)) {
    return {&server, true, "up", or_else(state.check_report().reason, "degraded")};
  }
  const double share = upstream::slow_start_share(server, now_ms);
  return {&server, true, "up", share < 1 ? fmt::format("slow start: {:.0f} %", share * 100) : ""};
}

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
  bool sound = true;
  for (const upstream::Server& server : cluster.servers) {
    result.servers.push_back(server_health(server, now_ms));
    if (result.servers.back().up) ++up;
    sound &= !server.state->degraded.load(std::memory_order_relaxed);
  }
  const bool panic = cluster.panic > 0 && cluster.state->panic.load(std::memory_order_relaxed);
  if (panic) {
    result.reason = "panic: too few servers are well, all are used";
  }
  const auto also = [&result](std::string_view reason) {
    result.reason += result.reason.empty() ? "" : "; ";
    result.reason += reason;
  };
  if (!cluster.members_error.empty()) also(cluster.members_error);
  if (cluster.state->members_stuck.load(std::memory_order_relaxed)) {
    also("what its members are now cannot be taken over: the log tells why");
  }
  if (up > 0 && up == cluster.servers.size() && sound && !panic)
    result.health = Health::kHealthy;
  else if (up > 0 || panic)
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
      // A process is not restarted for a mirror.
      worst = std::max(worst, cluster->mirrors_only() ? std::min(health.health, Health::kDegraded)
                                                      : health.health);
      upstreams[cluster->name] = to_json(health);
    }
  }
  Json checks = Json::object();
  if (snapshot != nullptr && snapshot->redis != nullptr) {
    const net::RedisState::Status redis = snapshot->redis->state->status();
    const Health health = redis.up ? Health::kHealthy : Health::kDegraded;
    worst = std::max(worst, health);  // what needs it goes on without
    checks["redis"] = Json::object({{"status", health_word(health)}, {"reason", redis.reason}});
  }
  const Json body = Json::object({{"status", health_word(worst)},
                                  {"version", kVersion},
                                  {"uptime_s", source.uptime_s()},
                                  {"checks", std::move(checks)},
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
