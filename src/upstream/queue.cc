#include "upstream/queue.h"

namespace weir::upstream {

void StandingDelay::observe(uint64_t now_us, uint64_t delay_us, uint64_t target_us) {
  if (delay_us < (standing_ ? target_us / 2 : target_us)) {
    observe_empty();
  } else if (above_since_us_ == 0) {
    above_since_us_ = now_us;
  } else if (now_us - above_since_us_ >= kIntervalUs) {
    standing_ = true;
  }
}

void Waiter::leave() {
  hook_.unlink();  // of those that were refused and not told
  if (queue_ != nullptr) queue_->remove(*this);
}

bool WaitQueue::join(Waiter& waiter, uint64_t now_us, uint64_t timeout_ms, bool again) {
  make_room_for_newcomer(now_us, StandingDelay::target_us(timeout_ms));
  if (!gate_.begin_wait()) return false;
  const bool was_empty = empty();
  waiter.queue_ = this;
  waiter.since_us_ = now_us;
  waiter.timeout_us_ = timeout_ms * 1000;
  waiter.ticket_ = again ? 0 : gate_.ticket();
  (again ? retries_ : fresh_).push_back(waiter);
  show_oldest();
  if (was_empty) {
    gate_.hang_up(bell_);
    gate_.wake();  // a place may have become free before the bell hung there
  }
  return true;
}

// The delay stands: who comes replaces who has waited longest, if that one is over the target.
void WaitQueue::make_room_for_newcomer(uint64_t now_us, uint64_t target_us) {
  Waiter* oldest = fresh_.front();
  if (oldest == nullptr) return delay_.observe_empty();
  const uint64_t waited_us = now_us - oldest->since_us_;
  delay_.observe(now_us, waited_us, target_us);
  if (!delay_.standing() || waited_us < target_us || oldest->on_turn_) return;
  remove(*oldest);
  refused_.push_back(*oldest);
}

void WaitQueue::tell_refused() {
  while (Waiter* waiter = refused_.pop_front()) waiter->user_.on_refused(Refusal::kShed);
}

void WaitQueue::remove(Waiter& waiter) {
  waiter.hook_.unlink();
  waiter.queue_ = nullptr;
  show_oldest();
  if (empty()) gate_.take_off(bell_);
  gate_.end_wait();
}

void WaitQueue::show_oldest() {
  const Waiter* waiter = first();
  bell_.oldest.store(waiter == nullptr ? Bell::kNobody : waiter->ticket_,
                     std::memory_order_relaxed);
}

void WaitQueue::serve(uint64_t now_us) {
  Waiter* waiter = first();
  if (waiter == nullptr) return gate_.wake();  // whom the bell was for has left: the next one
  observe(now_us);
  waiter->on_turn_ = true;
  waiter->user_.on_turn();
  // It may be at its end, but not gone: the turn is not over (rule L7).
  waiter->on_turn_ = false;
  if (!waiter->waiting()) gate_.wake();
}

void WaitQueue::observe(uint64_t now_us) {
  const Waiter* oldest = fresh_.front();
  if (oldest == nullptr) return delay_.observe_empty();
  delay_.observe(now_us, now_us - oldest->since_us_,
                 StandingDelay::target_us(oldest->timeout_us_ / 1000));
}

void WaitQueue::expire(uint64_t now_us) {
  for (List* list : {&retries_, &fresh_}) {
    while (expired(list->front(), now_us)) {
      Waiter& late = *list->front();
      remove(late);
      late.user_.on_refused(Refusal::kPendingTimeout);
    }
  }
}

uint64_t WaitQueue::left_us(uint64_t now_us) {
  uint64_t least_us = UINT64_MAX;
  for (List* list : {&retries_, &fresh_}) {
    const Waiter* waiter = list->front();
    if (waiter == nullptr) continue;
    const uint64_t ends_us = waiter->since_us_ + waiter->timeout_us_;
    const uint64_t left_us = ends_us > now_us ? ends_us - now_us : 0;
    least_us = left_us < least_us ? left_us : least_us;
  }
  return least_us;
}

}  // namespace weir::upstream
