// What Redis does for the cache's second tier. Each script is one step for everybody else, and asks
// Redis's clock.
//
// A value is good as long as nothing that could be about it has happened since its server was
// asked: no write to its URL, which leaves its time in the mark of the URL, and no purge, which
// stands in the list of purges (proxy/purge_log.h) behind the one that was the last then. A mark
// that is not there, or a list that is not the same, is no proof: then the value is good for
// nothing.
#pragma once

#include <string>
#include <string_view>

#include "net/redis_config.h"

namespace weir::filters::cache {

// KEYS: the value, the mark of its URL, the list of purges. ARGV: the most bytes that the value may
// have to be of use; another instance may have other bounds.
// Reply: a TierState, Redis's time in ms, number and name of the last purge; then the value or the
// names of Vary; behind a value the purges that came later.
extern const net::RedisScript kTierGetScript;
enum class TierState : uint8_t {
  kNone,
  kValue,
  kOutdated,
  kForeign,  // nothing of this version of weir
  kVaries,   // what stands there is told apart further
};
inline constexpr size_t kTierReplyFixed = 4;
// Beside the value, in bytes.
inline constexpr size_t kTierReplyRestBytes = 66 * 1024;

// KEYS: the value, the mark of its URL, and where the names of Vary are to stand. ARGV: the value,
// when its server was asked, for how many ms it is good; the names of Vary, or nothing.
extern const net::RedisScript kTierSetScript;

// KEYS: marks of URLs that were written to.
extern const net::RedisScript kTierWrittenScript;

// ---- keys ----

// Of what has this primary key, or one variant of it.
std::string tier_key(std::string_view prefix, std::string_view primary);
std::string tier_key(std::string_view prefix, std::string_view primary, std::string_view vary,
                     std::string_view secondary);
// Of a URL without its query, as keys begin with it.
std::string tier_mark_key(std::string_view prefix, std::string_view url);
std::string_view tier_url_of(std::string_view primary);

}  // namespace weir::filters::cache
