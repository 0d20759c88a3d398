// The admin listener is an ordinary listener that serves an ordinary snapshot; its routes are
// handlers that read a StatusSource; what is refused stands in access.h. Pages: /metrics, /health,
// /health/live, /health/ready, /status, /config, /reload, /maintenance, /cache, /cache/purge,
// /rate_limits/reset, /upstreams/NAME/servers/ADDRESS, and / which lists them.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/snapshot.h"
#include "proxy/status_source.h"

namespace weir::admin {

// Of a unix socket: owner and group may ask, which is what stands for a token there.
inline constexpr uint32_t kSocketMode = 0660;

// The snapshot of the worker that serves config.address. With a token in `config` every page wants
// "Authorization: Bearer TOKEN" but /health/live and /health/ready: probes of an orchestrator hold
// no secret, and learn none there. `source` must outlive the snapshot; its methods are called on
// the thread that runs the handlers.
std::shared_ptr<const proxy::Snapshot> make_admin_snapshot(proxy::StatusSource& source,
                                                           const proxy::AdminConfig& config);

}  // namespace weir::admin
