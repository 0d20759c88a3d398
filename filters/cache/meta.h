// What the filter keeps beside the bytes of a stored answer. The store copies it and looks at
// nothing but keep_until_ms (sweep()) and stored_at_ms (how old the oldest is).
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir::filters::cache {

// The codings in which one answer may be kept side by side.
enum class Encoding : uint8_t { kIdentity, kGzip, kBr, kZstd };
inline constexpr size_t kEncodings = 4;

// A piece of Object's head, by place: views would point into another copy of it. Size 0: none.
struct Piece {
  uint32_t offset = 0;
  uint32_t size = 0;
};

// Plain values. Times are of one clock of the filter's choice, in ms; durations in s as HTTP has
// them (delta-seconds, RFC 9111 1.2.2).
struct Meta {
  enum Flag : uint16_t {
    kMustRevalidate = 1 << 0,  // also proxy-revalidate and s-maxage: never served stale
    kNoCache = 1 << 1,         // stored, but asked for each time
    kHeuristic = 1 << 2,       // the lifetime is a guess (RFC 9111 4.2.2)
    kEtagWeak = 1 << 3,
    kEtagMade = 1 << 4,    // by us: the origin does not know it
    kAuthorized = 1 << 5,  // of a request with Authorization
    kHasLength = 1 << 6,   // the head has a Content-Length
  };

  uint64_t stored_at_ms = 0;   // when the answer came (response_time, RFC 9111 4.2.3)
  uint64_t keep_until_ms = 0;  // of no use to anybody after it; sweep() drops it then. 0: forever
  int64_t date_s = -1;         // Date, seconds since 1970; -1: none
  int64_t modified_s = -1;     // Last-Modified, the same
  uint32_t age_s = 0;          // corrected_initial_age at stored_at_ms
  uint32_t lifetime_s = 0;     // freshness_lifetime
  uint32_t swr_s = 0;          // stale-while-revalidate (RFC 5861 3)
  uint32_t sie_s = 0;          // stale-if-error (RFC 5861 4)
  uint16_t status = 0;
  uint16_t flags = 0;
  Piece etag;      // with its quotes and W/, in the head
  Piece modified;  // Last-Modified as text, in the head
};

}  // namespace weir::filters::cache
