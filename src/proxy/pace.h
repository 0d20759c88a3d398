// Whether a client is too slow, by what it has sent or taken over a time: timeouts.send and
// min_rate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "proxy/snapshot.h"

namespace weir::proxy {

// How long a sender may take from now on when `bytes` of it have come and `left_ms` of what it had
// were left: its bytes buy it time at min_rate, up to `longest_ms`. It is late when it is silent
// for that long, or slower than the rate for so long that all it had in hand is spent.
inline uint64_t credited_ms(const ListenerTimeouts& timeouts, uint64_t left_ms, size_t bytes,
                            uint64_t longest_ms) {
  const uint64_t rate = timeouts.min_rate_bytes_per_s;
  if (rate == 0) return longest_ms;
  // Rounded up: the smallest piece is worth something.
  return std::min(longest_ms, left_ms + (bytes * 1000 + rate - 1) / rate);
}

// Of a client that does not take what was written to it. How much of it has arrived is only asked
// for when that lasts: a system call per full socket would be too many.
class SendPace {
 public:
  // Writing has come to a stop. Returns when to look for the first time.
  uint64_t begin_ms(const ListenerTimeouts& timeouts) {
    mark_ = kUnmarked;
    return timeouts.send_ms / kMarkShare;
  }

  // The look, when that time is over: `arrived` counts up. Null: it goes on, look again after
  // `again_ms`; else what to say of the client.
  const char* judge(uint64_t arrived, const ListenerTimeouts& timeouts, uint64_t& again_ms) {
    const uint64_t window_ms = timeouts.send_ms - timeouts.send_ms / kMarkShare;
    if (mark_ == kUnmarked) {
      mark_ = arrived;
      again_ms = window_ms;
      return nullptr;
    }
    const uint64_t moved = arrived - std::min(arrived, mark_);
    if (moved == 0) return "client reads nothing";
    if (moved * 1000 < timeouts.min_rate_bytes_per_s * window_ms) return "client reads too slowly";
    mark_ = arrived;
    again_ms = timeouts.send_ms;
    return nullptr;
  }

 private:
  static constexpr uint64_t kUnmarked = UINT64_MAX;
  // A client that takes nothing is first looked at after this share of timeouts.send.
  static constexpr uint64_t kMarkShare = 8;
  uint64_t mark_ = kUnmarked;  // what had arrived at the last look
};

}  // namespace weir::proxy
