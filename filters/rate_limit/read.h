// `rate_limits`: the section of the file, read.
#pragma once

#include "base/options.h"
#include "filters/rate_limit/limit.h"

namespace weir::filters::rate_limit {

// Null entries are limits with errors, so that naming them is no second one.
// `has_redis`: limits may be shared, and are.
Limits read_limits(const options::Node& section, options::Problems& problems,
                   bool has_redis = false);

// Once the routes are read: a limit that nobody names limits nothing.
void warn_of_unused(const options::Node& section, const Limits& limits,
                    options::Problems& problems);

}  // namespace weir::filters::rate_limit
