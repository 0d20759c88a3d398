// Who waits for a place at an upstream, on one worker: first come, first served, and what is too
// old is shed while the queue does not get shorter.
//
// Shedding is CoDel's (RFC 8289) but for its clock. As there, a queue is bad when its delay stands:
// when for an interval even the oldest has waited longer than the target without a break. A burst
// that drains is none of it. But CoDel drops by interval / sqrt(count), which is made for TCP
// senders that slow down when they lose. Clients do not: at three times a capacity of 1,000/s that
// clock takes 40 s until it drops as many as come. So here each newcomer replaces the oldest, if
// that one is over the target: the queue sheds exactly as fast as it must, is never empty because
// of it, and a burst without newcomers loses nobody.
#pragma once

#include <cstdint>

#include "base/intrusive_list.h"
#include "upstream/breaker.h"

namespace weir::upstream {

// Whether a queue's delay stands. Driven; thread-confined.
class StandingDelay {
 public:
  static constexpr uint64_t kIntervalUs = 100'000;

  // A twentieth of what one may wait at all, but no less than what a loop's hiccups take.
  static uint64_t target_us(uint64_t pending_timeout_ms) {
    const uint64_t share_us = pending_timeout_ms * 1000 / 20;
    return share_us < 5'000 ? 5'000 : share_us;
  }

  // How long the oldest has waited by now, whenever that may have changed.
  void observe(uint64_t now_us, uint64_t delay_us, uint64_t target_us);
  void observe_empty() { above_since_us_ = 0, standing_ = false; }
  bool standing() const { return standing_; }

 private:
  uint64_t above_since_us_ = 0;  // 0: it was below of late
  bool standing_ = false;        // until it is below half of the target: it hovers at the target
};

enum class Refusal : uint8_t { kQueueFull, kPendingTimeout, kShed };

class WaitQueue;

// A member of whoever waits. Leaves the queue when destroyed. Thread-confined.
class Waiter {
 public:
  // Whose it is. Calls come in a turn of the worker, never from inside WaitQueue::join().
  class User {
   public:
    // Try again: on success, or when there is nobody left to wait for, leave(). Who does not stays
    // the first.
    virtual void on_turn() = 0;
    virtual void on_refused(Refusal why) = 0;  // it has left the queue

   protected:
    ~User() = default;
  };

  explicit Waiter(User& user) : user_(user) {}
  ~Waiter() { leave(); }
  void leave();
  bool waiting() const { return hook_.linked(); }
  bool on_turn() const { return on_turn_; }
  uint64_t since_us() const { return since_us_; }  // of the present or last wait

 private:
  friend class WaitQueue;
  User& user_;
  WaitQueue* queue_ = nullptr;  // null: in none, or refused and not told yet
  ListHook hook_;
  uint64_t ticket_ = 0;
  uint64_t since_us_ = 0;
  uint64_t timeout_us_ = 0;
  bool on_turn_ = false;
};

// One worker's queue for one upstream. Time is its caller's. Thread-confined, but for the bell.
class WaitQueue {
 public:
  // `bell`: its owner's; both outlive every waiter.
  WaitQueue(Gate& gate, Bell& bell) : gate_(gate), bell_(bell) {}
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  // `again`: it had a place before (a retry), and goes before those that had none. False: the
  // queue is full.
  bool join(Waiter& waiter, uint64_t now_us, uint64_t timeout_ms, bool again);
  // Somebody was shed and is to hear of it: call tell_refused() behind the stack.
  bool has_refused() { return !refused_.empty(); }
  void tell_refused();
  // The bell has rung: gives the first his turn. Has the next one rung if he took it.
  void serve(uint64_t now_us);
  // Refuses who has waited for too long.
  void expire(uint64_t now_us);
  bool empty() { return retries_.empty() && fresh_.empty(); }
  // Until the first may have waited for too long; REQUIRES: not empty.
  uint64_t left_us(uint64_t now_us);

 private:
  friend class Waiter;
  using List = IntrusiveList<Waiter, &Waiter::hook_>;

  Waiter* first() { return retries_.empty() ? fresh_.front() : retries_.front(); }
  void remove(Waiter& waiter);
  void show_oldest();
  void observe(uint64_t now_us);
  void make_room_for_newcomer(uint64_t now_us, uint64_t target_us);
  static bool expired(const Waiter* waiter, uint64_t now_us) {
    return waiter != nullptr && now_us - waiter->since_us_ >= waiter->timeout_us_;
  }

  Gate& gate_;
  Bell& bell_;
  List retries_;
  List fresh_;
  List refused_;  // shed, and not told yet
  StandingDelay delay_;
};

}  // namespace weir::upstream
