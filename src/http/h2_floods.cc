#include "http/h2_floods.h"

#include <algorithm>

namespace weir::http {
namespace {

struct Bound {
  const char* word;
  uint32_t burst;
  uint32_t per_second;
  uint32_t earned_by_data;
};

constexpr std::array<Bound, static_cast<size_t>(H2Flood::kCount)> kBounds = {{
    // A browser that leaves a page cancels what it had asked for: some hundred streams at once.
    {"reset_flood", 256, 33, 0},
    // gRPC measures its bandwidth by a ping for every piece of data.
    {"ping_flood", 512, 33, 1},
    {"settings_flood", 32, 1, 0},
    // Two windows for every piece, and what a client opens at the start.
    {"window_update_flood", 1024, 100, 4},
    {"priority_flood", 1024, 100, 0},
    {"empty_frame_flood", 128, 10, 0},
}};

}  // namespace

const char* flood_word(H2Flood kind) { return kBounds[static_cast<size_t>(kind)].word; }

H2FloodGuard::H2FloodGuard() : buckets_() {
  for (size_t i = 0; i < kBounds.size(); ++i) buckets_[i].tokens = kBounds[i].burst;
}

bool H2FloodGuard::take(H2Flood kind, uint64_t now_ms) {
  const Bound& bound = kBounds[static_cast<size_t>(kind)];
  Bucket& bucket = buckets_[static_cast<size_t>(kind)];
  if (bucket.since_ms == 0) bucket.since_ms = now_ms;
  const uint64_t earned = (now_ms - bucket.since_ms) * bound.per_second / 1000;
  if (earned > 0) {
    bucket.tokens = static_cast<uint32_t>(std::min<uint64_t>(bound.burst, bucket.tokens + earned));
    bucket.since_ms = now_ms;
  }
  if (bucket.tokens == 0) return false;
  --bucket.tokens;
  return true;
}

void H2FloodGuard::earn_by_data() {
  for (size_t i = 0; i < kBounds.size(); ++i) {
    buckets_[i].tokens = std::min(kBounds[i].burst, buckets_[i].tokens + kBounds[i].earned_by_data);
  }
}

void H2FloodGuard::earn_by_answer() {
  constexpr auto kIndex = static_cast<size_t>(H2Flood::kReset);
  buckets_[kIndex].tokens = std::min(kBounds[kIndex].burst, buckets_[kIndex].tokens + 1);
}

}  // namespace weir::http
