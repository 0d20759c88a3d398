// The clock of deadlines: the same one as libuv's, readable off the loop. Any thread.
#pragma once

#include <cstdint>
#include <ctime>

namespace weir::net {

inline uint64_t monotonic_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace weir::net
