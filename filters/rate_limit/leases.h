// What this process knows of its busier shared keys without asking: tokens that Redis has charged
// already, and refusals that still hold. All other keys ask Redis each time, and are exact.
//
// A lease is of one of two kinds. That of a very busy key is some milliseconds' worth of it and of
// its rule, and soon lost. That of a key that comes several times a second, and has used little of
// a large quota, is half a second's worth of it and a small part of what is left; it is good for
// longer, so that nobody's tokens are lost between two clicks.
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
  static constexpr uint64_t kGoodForMs = 50;           // of a very busy key
  static constexpr uint64_t kSmallGoodForMs = 10'000;  // of the other kind
  // So many small leases are as much as the key has left. Two of each instance are 5 % of it.
  static constexpr uint64_t kSmallLeases = 40;

  // One token of the key's lease. False: there is none.
  bool take(uint64_t key, uint64_t now_us);
  void put_back(uint64_t key, uint64_t now_us);
  // From Redis: so many more than the one for which it has decided that. 0 is none, and leaves what
  // there is.
  void add(uint64_t key, uint32_t tokens, uint64_t good_for_ms, const Decision& decision,
           uint64_t now_us);
  struct Standing {
    uint64_t remaining = 0;
    uint64_t wait_us = 0;
  };
  Standing standing(uint64_t key, uint64_t now_us) const;  // by the last add(), less what was taken

  // A request of the key is about to ask Redis, which so many instances do. For how many tokens: 1,
  // or more where the key is busy, its rule has them, and nobody else asks for them.
  struct Want {
    uint32_t tokens = 1;
    uint64_t good_for_ms = 0;  // what is more than the request's own
  };
  Want want(uint64_t key, const Rule& rule, uint32_t instances, uint64_t now_us);
  // Of a very busy key that was given less than it wanted: how long it is refused without asking,
  // so that what comes free meanwhile is got at once, not token by token. 0 of all others. Nothing
  // is lost by that: a bucket holds more.
  static constexpr uint64_t kHoldUs = 10'000;
  static uint64_t hold_us(const Rule& rule, const Want& want);
  // Every request of a key counts for that.
  void note(uint64_t key, uint64_t now_us);

  // How long nothing is to be had, by what Redis has said; 0: unknown. Who gives a request back, or
  // changes what is in Redis, can make that shorter: so a refusal is believed for kBelievedMs.
  static constexpr uint64_t kBelievedMs = 1000;
  uint64_t refused_for_us(uint64_t key, uint64_t now_us) const;
  // Leaves a longer hold as it is.
  void note_refusal(uint64_t key, uint64_t for_us, uint64_t now_us);
  // How long the key is blocked: for times in which Redis cannot be asked. 0: it is not.
  uint64_t blocked_for_us(uint64_t key, uint64_t now_us) const;
  void note_block(uint64_t key, uint64_t until_us);

  void forget(uint64_t key);  // all of that

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> key{0};     // 0: free
    std::atomic<uint64_t> lease{0};   // tokens in 20 bits, the ms of its end in 44
    std::atomic<uint64_t> heat{0};    // a tenth of a second in 32 bits, requests in it, and before
    std::atomic<uint64_t> steady{0};  // the same of a second
    std::atomic<uint64_t> more_at_us{0};  // than remains
    std::atomic<uint64_t> refusal_believed_until_us{0};
    std::atomic<uint64_t> blocked_until_us{0};
    std::atomic<uint32_t> remaining{0};        // when the lease is used up
    std::atomic<uint32_t> asking_until_ms{0};  // somebody asks for a lease; the low bits of it
  };
  static_assert(sizeof(Slot) == 64);
  Slot* find(uint64_t key) const;
  Slot* find_or_claim(uint64_t key, uint64_t now_us);
  static bool is_in_use(const Slot& slot, uint64_t now_us);
  static void set_more_at(Slot& slot, uint64_t at_us, uint64_t now_us);
  static void clear(Slot& slot);  // but whose it is, and how busy

  const size_t mask_;
  const std::unique_ptr<Slot[]> slots_;
};

}  // namespace weir::filters::rate_limit
