// What /health, /health/live and /health/ready say. Nothing here asks anybody: it reads what
// requests have taught the workers, so that a thousand probes cost the servers nothing.
#pragma once

#include <string>
#include <vector>

#include "proxy/status_source.h"
#include "upstream/cluster.h"

namespace weir::admin {

enum class Health : uint8_t { kHealthy, kDegraded, kUnhealthy };
const char* health_word(Health health);

struct ServerHealth {
  const upstream::Server* server;
  bool up;             // it may get requests
  const char* state;   // "up", "down", "drain", "ejected"
  std::string reason;  // empty when there is nothing to say
};
ServerHealth server_health(const upstream::Server& server, uint64_t now_ms);

// Healthy: every server is up, none of them is degraded, and there is no panic. Unhealthy: none is
// up, nor a panic to use them all the same. A server whose time-out is over counts as up: only
// traffic can prove it, and who asks may be holding traffic back until it is.
struct ClusterHealth {
  Health health = Health::kUnhealthy;
  std::string reason;  // of a panic, or of a servers_file or srv that is not followed
  std::vector<ServerHealth> servers;
};
ClusterHealth cluster_health(const upstream::Cluster& cluster, uint64_t now_ms);

struct JsonAnswer {
  int status = 200;
  std::string body;
};
// The worst of: unhealthy (503) when an upstream has no server, degraded (200) when one has lost
// some, or one of mirrors all.
JsonAnswer health_json(proxy::StatusSource& source);
JsonAnswer live_json(proxy::StatusSource& source);   // 200, whatever the servers do
JsonAnswer ready_json(proxy::StatusSource& source);  // 503 before the first config and in a drain

}  // namespace weir::admin
