// What this process knows of its busiest shared keys without asking: tokens that Redis has charged
// already, a few milliseconds' worth of them, and refusals that still hold. All other keys ask
// Redis each time, and are exact.
//
// One table for all workers, of a fixed size, without locks. A key has one of two slots as long as
// it is asked for; a slot that rests goes to the next key that comes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "filters/rate_limit/rule.h"

namespace weir::filters::rate_limit {

// Any thread. Times are of the monotonic clock.
class Leases {
 public:
  // `slots`: a power of two.
  explicit Leases(size_t slots);

  // How long a lease is good, from when it was last added to; of what was left by then no more goes
  // on than was added. What is left in the end is lost. So in no time a fleet admits more than was
  // charged in it and two leases of each instance.
  static constexpr uint64_t kGoodForMs = 50;

  // One token of the key's lease. False: there is none.
  bool take(uint64_t key, uint64_t now_us);
  void put_back(uint64_t key, uint64_t now_us);
  // From Redis, which has so many more by what it has decided for the one that asked.
  void add(uint64_t key, uint32_t tokens, const Decision& decision, uint64_t now_us);
  struct Standing {
    uint64_t remaining = 0;
    uint64_t wait_us = 0;
  };
  Standing standing(uint64_t key, uint64_t now_us) const;  // as of the last add()

  // A request of the key is about to ask Redis. For how many tokens: 1, or more where the key is
  // busy, its rule is fast, and nobody else asks for them: a lease is at most kGoodForMs of either.
  uint32_t want(uint64_t key, const Rule& rule, uint64_t now_us);
  // Every request of a key counts for that.
  void note(uint64_t key, uint64_t now_us);

  // How long nothing is to be had, by what Redis has said; 0: unknown. Who gives a request back, or
  // changes what is in Redis, can make that shorter: so a refusal is believed for kBelievedMs.
  static constexpr uint64_t kBelievedMs = 1000;
  uint64_t refused_for_us(uint64_t key, uint64_t now_us) const;
  void note_refusal(uint64_t key, uint64_t for_us, uint64_t now_us);
  // How long the key is blocked: for times in which Redis cannot be asked. 0: it is not.
  uint64_t blocked_for_us(uint64_t key, uint64_t now_us) const;
  void note_block(uint64_t key, uint64_t until_us);

  void forget(uint64_t key);  // all of that

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> key{0};    // 0: free
    std::atomic<uint64_t> lease{0};  // tokens in 20 bits, the ms of its end in 44
    std::atomic<uint64_t> heat{0};   // a tenth of a second in 32 bits, requests in it, and before
    std::atomic<uint64_t> remaining{0};
    std::atomic<uint64_t> more_at_us{0};  // than remains
    std::atomic<uint64_t> refusal_believed_until_us{0};
    std::atomic<uint64_t> blocked_until_us{0};
    std::atomic<uint64_t> asking_until_us{0};  // somebody asks for a lease
  };
  Slot* find(uint64_t key) const;
  Slot* find_or_claim(uint64_t key, uint64_t now_us);
  static void clear(Slot& slot);  // but whose it is, and how busy

  const size_t mask_;
  const std::unique_ptr<Slot[]> slots_;
};

}  // namespace weir::filters::rate_limit
