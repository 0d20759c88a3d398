// Keys that are fetched from their issuer: which there are, and when somebody has to ask for them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/log.h"
#include "filters/auth/jwks.h"

namespace weir::filters::auth {

// One per place that keys come from, shared by all workers and by the configurations that name the
// place. Fetched by requests on their way (key_wait.h), one at a time: whoever is told to fetch
// says what came of it. Any thread; times are milliseconds of any clock that all callers share.
class KeySource {
 public:
  static std::shared_ptr<KeySource> of(const std::string& place);

  const KeyRing& ring() const { return ring_; }

  enum class Need : uint8_t {
    kFresh,   // keys, not older than they may be
    kNewKid,  // a token names a key that is not among them
  };
  enum class Turn : uint8_t { kGoOn, kFetch, kWait };  // kWait: somebody fetches; ask again
  Turn ask(Need need, uint64_t now_ms);

  void fetched(std::shared_ptr<const KeySet> keys, std::string_view text, uint64_t now_ms,
               uint64_t refresh_ms);
  // The keys that there are stay.
  void failed(uint64_t now_ms);
  // Whoever was to fetch has left: the next one does.
  void left(Need need, uint64_t now_ms);
  // Somebody else may have the place now, or other keys: they are asked for again.
  void expire() { due_ms_.store(0, std::memory_order_relaxed); }

  LogThrottle& throttle() { return throttle_; }

 private:
  KeyRing ring_;
  std::atomic<uint64_t> due_ms_{0};
  std::mutex mutex_;
  bool fetching_ = false;       // under the mutex
  uint64_t new_kid_at_ms_ = 0;  // under the mutex: not earlier for a kid
  LogThrottle throttle_{10'000};
};

}  // namespace weir::filters::auth
