// What Redis does for a shared limit. Everything of one request is one call, so it is one step for
// everybody else.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/redis_config.h"

namespace weir::net {
class RedisCommand;
}

namespace weir::filters::rate_limit {

// KEYS: one per limit. ARGV: "reset" alone; or "take" or "back", then seven words for each limit: b
// (token bucket) or w (fixed window); the interval or the window; the tolerance or the quota; the
// block; how many are wanted, or given back; what is known to be used at least (time ahead, or a
// count); of "back", the stamp of the take. Times are in microseconds.
//
// "take": four numbers for each limit. Given (0: refused, -1: it would have admitted, and another
// one refuses: nobody is charged); time ahead or count; time until the window ends, or of a refusal
// until it is worth a try; the stamp, or of a refusal whether it is a block (1). "back" and "reset"
// give 1.
inline constexpr int kWordsPerLimit = 7;
inline constexpr int kNumbersPerLimit = 4;
extern const net::RedisScript kSharedScript;

// One of KEYS: "weir:rl:api:0123456789abcdef".
void add_key(net::RedisCommand& command, std::string_view prefix, std::string_view limit,
             uint64_t bucket);

}  // namespace weir::filters::rate_limit
