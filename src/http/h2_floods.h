// How much of what costs a peer nothing and us something one HTTP/2 connection may send: frames
// that carry no message, and streams that are opened and left. A token bucket per kind; real work
// earns tokens, so that a busy client is never taken for a flood. Thread-confined.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::http {

enum class H2Flood : uint8_t {
  kReset,  // streams reset by the peer, or that it made us reset
  kPing,
  kSettings,
  kWindowUpdate,
  kPriority,    // PRIORITY and PRIORITY_UPDATE
  kEmptyFrame,  // DATA without a byte and without an end
  kCount,
};

// The word of the `reason` label and the log.
const char* flood_word(H2Flood kind);

class H2FloodGuard {
 public:
  H2FloodGuard();

  // One more of `kind`. False: too many.
  bool take(H2Flood kind, uint64_t now_ms);
  // A DATA frame of either direction: it may be followed by windows and probes.
  void earn_by_data();
  // An answer was sent whole: who gets many may also leave many.
  void earn_by_answer();

 private:
  struct Bucket {
    uint32_t tokens;
    uint64_t since_ms;
  };
  std::array<Bucket, static_cast<size_t>(H2Flood::kCount)> buckets_;
};

}  // namespace weir::http
