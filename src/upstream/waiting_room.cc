#include "upstream/waiting_room.h"

#include <algorithm>

#include "net/worker.h"

namespace weir::upstream {

WaitingRoom::~WaitingRoom() = default;

bool WaitingRoom::join(const Cluster& cluster, Waiter& waiter, bool again) {
  if (lines_.size() <= cluster.index) lines_.resize(cluster.index + 1);
  std::unique_ptr<Line>& line = lines_[cluster.index];
  if (line == nullptr) line = std::make_unique<Line>(worker_, cluster.state->gate);
  return line->join(waiter, cluster.breaker.pending_timeout_ms, again);
}

WaitingRoom::Line::Line(net::Worker& worker, Gate& gate)
    : worker_(worker),
      gate_(gate),
      queue_(gate, *this),
      tick_(worker.timers(), this, &net::Timer::call<Line, &Line::on_tick>) {}

bool WaitingRoom::Line::join(Waiter& waiter, uint64_t timeout_ms, bool again) {
  const bool joined = queue_.join(waiter, worker_.now_us(), timeout_ms, again);
  if (queue_.has_refused() && !telling_) {
    telling_ = true;
    worker_.defer([this] {
      telling_ = false;
      queue_.tell_refused();
    });
  }
  if (joined && !tick_.armed()) arm();
  return joined;
}

// The line is older than any message to it: it lives until its worker's loop has ended, and the
// bell hangs only while somebody waits here. Messages that come meanwhile are one: who clears the
// flag sees what was free when it was set.
void WaitingRoom::Line::ring() {
  if (rung_.exchange(true, std::memory_order_acq_rel)) return;
  if (worker_.on_thread()) {
    worker_.defer([this] { answer_bell(); });
  } else {
    worker_.post([this] { answer_bell(); });
  }
}

void WaitingRoom::Line::answer_bell() {
  rung_.exchange(false, std::memory_order_acq_rel);
  queue_.serve(worker_.now_us());
}

void WaitingRoom::Line::on_tick() {
  queue_.expire(worker_.now_us());
  if (queue_.empty()) return;
  arm();
  gate_.wake();  // not serve(): a tick that comes in time must not overtake another worker's first
}

void WaitingRoom::Line::arm() {
  const uint64_t left_ms = (queue_.left_us(worker_.now_us()) + 999) / 1000;
  tick_.arm_ms(std::clamp<uint64_t>(left_ms, 1, kTickMs));
}

}  // namespace weir::upstream
