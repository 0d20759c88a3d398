#include "net/timer_wheel.h"

#include <algorithm>

namespace weir::net {

void Timer::arm_ms(uint64_t delay_ms) {
  deadline_ms_ = std::max<uint64_t>(wheel_.now_ms_ + delay_ms, 1);
  const uint64_t due_tick = (deadline_ms_ + TimerWheel::kTickMs - 1) / TimerWheel::kTickMs;
  if (hook_.linked() && slot_tick_ <= due_tick) return;  // looks again when its slot comes up
  hook_.unlink();
  wheel_.link(*this, wheel_.tick_ + 1);
}

uint64_t Timer::left_ms() const {
  return deadline_ms_ > wheel_.now_ms_ ? deadline_ms_ - wheel_.now_ms_ : 0;
}

// A slot of level n spans 64^n ticks; a timer is linked on the lowest level that reaches it, in no
// slot before `earliest_tick`.
void TimerWheel::link(Timer& timer, uint64_t earliest_tick) {
  uint64_t due = (timer.deadline_ms_ + kTickMs - 1) / kTickMs;
  due = std::max(due, earliest_tick);
  const uint64_t distance = due - tick_;
  int level = 0;
  while (level < kLevels - 1 && distance >= (kSlots << (kSlotBits * level))) ++level;
  const uint64_t reach = (kSlots << (kSlotBits * (kLevels - 1))) - 1;
  if (distance > reach) due = tick_ + reach;  // further than the wheel: looked at again on the way
  timer.slot_tick_ = due;
  slots_[level][(due >> (kSlotBits * level)) & (kSlots - 1)].push_back(timer);
  const uint64_t visible = level == 0 ? due : (due >> (kSlotBits * level)) << (kSlotBits * level);
  if (wakeup_tick_ == 0 || visible < wakeup_tick_) {
    wakeup_tick_ = visible;
    if (notify_ != nullptr) notify_(notify_context_);
  }
}

void TimerWheel::fire(Slot& slot) {
  // Detached first: callbacks may arm and cancel whatever they like.
  Slot due;
  due.take_all(slot);
  while (Timer* timer = due.pop_front()) {
    if (timer->deadline_ms_ == 0) continue;
    if (timer->deadline_ms_ > now_ms_) {
      link(*timer, tick_ + 1);
      continue;
    }
    timer->deadline_ms_ = 0;
    timer->callback_(timer->owner_);
  }
}

void TimerWheel::enter_tick() {
  ++tick_;
  for (int level = kLevels - 1; level >= 1; --level) {
    const uint64_t span_mask = (uint64_t{1} << (kSlotBits * level)) - 1;
    if ((tick_ & span_mask) != 0) continue;
    Slot moved;
    moved.take_all(slots_[level][(tick_ >> (kSlotBits * level)) & (kSlots - 1)]);
    while (Timer* timer = moved.pop_front()) {
      if (timer->deadline_ms_ != 0) link(*timer, tick_);  // due right now: fired below
    }
  }
  fire(slots_[0][tick_ & (kSlots - 1)]);
}

void TimerWheel::advance(uint64_t now_ms) {
  set_now_ms(now_ms);
  const uint64_t target = now_ms_ / kTickMs;
  while (tick_ < target) {
    const uint64_t next = next_wakeup_ms() / kTickMs;
    if (next == 0 || next > target) {
      tick_ = target;  // nothing is linked in between
      break;
    }
    if (next > tick_ + 1) tick_ = next - 1;
    enter_tick();
  }
  promise_wakeup_ms();
}

uint64_t TimerWheel::promise_wakeup_ms() {
  const uint64_t at_ms = next_wakeup_ms();
  wakeup_tick_ = at_ms / kTickMs;
  return at_ms;
}

uint64_t TimerWheel::next_wakeup_ms() const {
  uint64_t best = 0;
  for (int level = 0; level < kLevels; ++level) {
    const int shift = kSlotBits * level;
    const uint64_t here = tick_ >> shift;
    for (uint64_t step = 1; step <= kSlots; ++step) {
      const uint64_t at = (here + step) << shift;
      if (best != 0 && at >= best) break;
      auto& slot = const_cast<Slot&>(slots_[level][(here + step) & (kSlots - 1)]);
      if (!slot.empty()) {
        best = at;
        break;
      }
    }
  }
  return best * kTickMs;
}

}  // namespace weir::net
