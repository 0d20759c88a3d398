// Why Redis cannot be asked, or did not answer as it should. Values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::net {

enum class RedisReason : uint8_t {
  kNone,
  kName,       // its host name has no address
  kConnect,    // no connection
  kTls,        // no TLS, or a certificate that cannot be trusted
  kTimeout,    // no answer in time
  kClosed,     // it closed the connection
  kProtocol,   // its answer is none of Redis
  kAuth,       // NOAUTH, WRONGPASS, NOPERM
  kReadOnly,   // a replica: READONLY, MASTERDOWN
  kLoading,    // LOADING
  kBusy,       // BUSY: a script of somebody's runs for too long
  kMemory,     // OOM: full, and may throw nothing away
  kDisk,       // MISCONF, NOREPLICAS: it refuses writes that it could lose
  kWrongType,  // WRONGTYPE: somebody else's value is under the key
  kOverload,   // too many calls wait already
  kOther,
};
inline constexpr size_t kRedisReasons = static_cast<size_t>(RedisReason::kOther) + 1;

const char* redis_reason_word(RedisReason reason);  // the `reason` label: "timeout"
const char* redis_reason_text(RedisReason reason);  // for people: "no answer in time"

// Of an error reply. Those of commands that a script runs are found, too, as Redis 5 to 7 word
// them.
RedisReason classify_redis_error(std::string_view text);
// The script is not known (any more): SCRIPT FLUSH, a restart, another server.
bool is_missing_script(std::string_view text);

}  // namespace weir::net
