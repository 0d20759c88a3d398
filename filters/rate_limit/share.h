// A limit without its store: what each instance may admit for itself, so that all of them together
// admit what the limit says. Pure.
#pragma once

#include <cstdint>

#include "filters/rate_limit/rule.h"

namespace weir::filters::rate_limit {

// The rule by which one of so many instances counts. A token bucket has the same tolerance in time,
// in which fewer requests fit.
Rule share_of(const Rule& rule, uint32_t instances);

// What that instance has counted, as `decision` of a look at it says, for the store that is back:
// of a token bucket time ahead in us, of a window a count of all instances.
uint64_t known_use(const Rule& rule, const Rule& share, uint32_t instances,
                   const Decision& decision);

}  // namespace weir::filters::rate_limit
