// What a route sends to a second upstream as well, so that one can be tried out with real traffic.
// Nobody waits for its answers: shadow.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "upstream/cluster.h"

namespace weir::proxy {

// Immutable; belongs to a config snapshot.
struct Mirror {
  std::shared_ptr<const upstream::Cluster> cluster;
  double sample = 1;                  // share of the requests
  uint64_t max_body_bytes = 1 << 20;  // what has more is not mirrored
  uint64_t timeout_ms = 30'000;       // from the choice of a server to the end of its answer
};

// What became of a request that was to be mirrored.
enum class MirrorResult : uint8_t {
  kSame,        // both answers have the same status
  kDifferent,   // they have not
  kFailed,      // no answer came
  kSkipped,     // not sent: no server, no room, too large a body, or its end never came
  kUncompared,  // sent, but the client, or weir, left before both had their status
};
inline constexpr MirrorResult kMirrorResults[] = {MirrorResult::kSame, MirrorResult::kDifferent,
                                                  MirrorResult::kFailed, MirrorResult::kSkipped,
                                                  MirrorResult::kUncompared};
const char* mirror_result_word(MirrorResult result);

// The field that tells a server, in a request that is mirrored to it, that nobody will see the
// answer. Host and path say nothing of it: the shadow is to do what the real one does.
inline constexpr std::string_view kMirrorMark = "X-Weir-Mirror";

}  // namespace weir::proxy
