// Deadlines of one worker: a hierarchical wheel of 4 x 64 slots with a tick of 8 ms. Arming later
// than before only stores the new time: the timer looks again when its old slot comes up, so a
// deadline that moves with every request costs one store. Never fires early; at most one tick late.
#pragma once

#include <array>
#include <cstdint>

#include "base/intrusive_list.h"

namespace weir::net {

class TimerWheel;

// An intrusive member of whoever waits. The callback is bound at construction; the destructor
// cancels. Thread-confined. May be armed or cancelled from inside any timer's callback, its own
// included.
class Timer {
 public:
  using Callback = void (*)(void* owner);
  Timer(TimerWheel& wheel, void* owner, Callback callback)
      : wheel_(wheel), owner_(owner), callback_(callback) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Binds a member function: Timer(wheel, this, &Timer::call<X, &X::on_timeout>).
  template <typename T, void (T::*Method)()>
  static void call(void* owner) {
    (static_cast<T*>(owner)->*Method)();
  }

  void arm_ms(uint64_t delay_ms);
  void cancel() { deadline_ms_ = 0; }
  bool armed() const { return deadline_ms_ != 0; }
  uint64_t left_ms() const;  // until the deadline; 0 when it has passed or there is none

 private:
  friend class TimerWheel;
  TimerWheel& wheel_;
  void* owner_;
  Callback callback_;
  uint64_t deadline_ms_ = 0;  // what was asked for; 0 = not armed
  uint64_t slot_tick_ = 0;    // where it is linked
  ListHook hook_;
};

class TimerWheel {
 public:
  static constexpr uint64_t kTickMs = 8;
  explicit TimerWheel(uint64_t now_ms) : now_ms_(now_ms), tick_(now_ms / kTickMs) {}

  // Fires everything that is due. Time never goes backwards.
  void advance(uint64_t now_ms);
  uint64_t now_ms() const { return now_ms_; }
  // The frozen time of this turn moves on without firing anything.
  void set_now_ms(uint64_t now_ms) {
    if (now_ms > now_ms_) now_ms_ = now_ms;
  }
  // When advance() must be called again: a time at or before the next deadline. 0: never.
  uint64_t next_wakeup_ms() const;
  // The same, for whoever arms a clock by it: on_earlier() tells of deadlines before this one. Ask
  // again when timers may have died since: a promise to a dead timer would hide later ones.
  uint64_t promise_wakeup_ms();
  // Called when a deadline earlier than next_wakeup_ms() was linked.
  void on_earlier(void (*notify)(void*), void* context) {
    notify_ = notify;
    notify_context_ = context;
  }

 private:
  friend class Timer;
  using Slot = IntrusiveList<Timer, &Timer::hook_>;
  static constexpr int kLevels = 4;
  static constexpr int kSlotBits = 6;
  static constexpr uint64_t kSlots = 1u << kSlotBits;

  void link(Timer& timer, uint64_t earliest_tick);
  void enter_tick();
  void fire(Slot& due);

  std::array<std::array<Slot, kSlots>, kLevels> slots_;
  uint64_t now_ms_;
  uint64_t tick_;             // everything up to this tick has fired
  uint64_t wakeup_tick_ = 0;  // earliest tick that next_wakeup_ms() promised; 0 = none
  void (*notify_)(void*) = nullptr;
  void* notify_context_ = nullptr;
};

}  // namespace weir::net
