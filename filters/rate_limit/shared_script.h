// What Redis does for a shared limit. Everything of one request is one call, so it is one step for
// everybody else.
#pragma once

#include "net/redis_config.h"

namespace weir::filters::rate_limit {

// KEYS: one per limit. ARGV: "take" or "back", then seven words for each limit: b (token bucket) or
// w (fixed window); the interval or the window; the tolerance or the quota; the block; how many are
// wanted, or given back; what is known to be used at least (time ahead, or a count); of "back", the
// stamp of the take. Times are in microseconds.
//
// "take": four numbers for each limit. Given (0: refused, -1: it would have admitted, and another
// one refuses: nobody is charged); time ahead or count; time until the window ends, or of a refusal
// until it is worth a try; the stamp, or of a refusal whether it is a block (1). "back" gives
// nothing.
inline constexpr int kWordsPerLimit = 7;
inline constexpr int kNumbersPerLimit = 4;
extern const net::RedisScript kSharedScript;

}  // namespace weir::filters::rate_limit
