// What rate limits count, where the admin pages find it. Names and labels: config/README.md,
// section metrics.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace weir::proxy {

class Labels;

enum class LimitResult : uint8_t { kAllowed, kRefused, kDelayed, kReturned };

const char* limit_word(LimitResult result);  // the metrics label

// Keys of Metrics::rate_limits.
struct LimitKey {
  uint32_t label;  // of limit_names()
  LimitResult result;
};
constexpr uint64_t limit_key(uint32_t label, LimitResult result) {
  return (uint64_t{label} + 1) << 2 | static_cast<uint64_t>(result);
}
constexpr LimitKey unpack_limit(uint64_t key) {
  return {static_cast<uint32_t>((key >> 2) - 1), static_cast<LimitResult>(key & 3)};
}

// Ids of the names of limits, for the life of the process.
Labels& limit_names();

// Of this process. Any thread.
struct LimitStats {
  std::atomic<uint64_t> keys{0};       // that something is known of
  std::atomic<uint64_t> evictions{0};  // keys forgotten for want of room, though they had used some
  std::atomic<uint64_t> delayed{0};    // requests that wait for their turn now
  // Limits of the present configuration that all instances share, by what decides where Redis
  // cannot be asked: local, open, closed.
  std::array<std::atomic<uint64_t>, 3> shared{};
};
LimitStats& limit_stats();

}  // namespace weir::proxy
