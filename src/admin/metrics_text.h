// The text of /metrics. Names and labels: config/README.md, section metrics. No label's value comes
// from traffic, so the number of series is bounded by the config.
#pragma once

#include <string>

#include "proxy/status_source.h"

namespace weir::admin {

// Prometheus exposition format 0.0.4. Also starts a new period of weir_worker_loop_lag_seconds,
// which holds the longest iteration since the last call.
std::string metrics_text(proxy::StatusSource& source);

}  // namespace weir::admin
