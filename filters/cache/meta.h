// What the filter keeps beside the bytes of a stored answer. The store copies it and looks at
// nothing but keep_until_ms (sweep()) and stored_at_ms (how old the oldest is).
#pragma once

#include <cstddef>
#include <cstdint>

#include "http/accept_encoding.h"
#include "http/freshness.h"

namespace weir::filters::cache {

// The codings in which one answer may be kept side by side.
using http::Encoding;
using http::kEncodings;

// Plain values. Times are Unix times.
struct Meta {
  static constexpr uint64_t kUnknown = UINT64_MAX;

  uint64_t stored_at_ms = 0;   // when the answer came
  uint64_t keep_until_ms = 0;  // of no use to anybody after it; sweep() drops it then. 0: forever
  http::Lifetime lifetime;
  uint64_t length_bytes = kUnknown;  // of the body, while it is still coming
  uint16_t status = 0;
  bool etag_made = false;  // by us: the origin does not know it
};

}  // namespace weir::filters::cache
