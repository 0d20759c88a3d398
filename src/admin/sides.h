// What /status says of routes whose requests go to more than one upstream: splits and mirrors.
#pragma once

#include "admin/json.h"
#include "admin/totals.h"
#include "proxy/snapshot.h"

namespace weir::admin {

// Lists, in the order of the configuration. Counts are those of the route's name.
Json splits_json(const proxy::Snapshot& snapshot, const Workers& workers);
Json mirrors_json(const proxy::Snapshot& snapshot, const Workers& workers);

}  // namespace weir::admin
