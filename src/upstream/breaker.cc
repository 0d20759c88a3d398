#include "upstream/breaker.h"

#include <algorithm>
#include <limits>

#include "base/limits.h"

namespace weir::upstream {

namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcqRel = std::memory_order_acq_rel;
}  // namespace

void Gate::configure(const BreakerConfig& config) {
  max_connections_.store(config.on ? config.max_connections : 0, kRelaxed);
  max_pending_.store(config.on ? config.max_pending : 0, kRelaxed);
  const uint32_t highest =
      config.max_connections != 0 ? config.max_connections : limits::kAdaptiveMax;
  learned_.set_highest(highest);
  adaptive_on_.store(config.on && config.adaptive, kRelaxed);
  wake();
}

uint64_t Gate::limit() const {
  const uint32_t configured = max_connections_.load(kRelaxed);
  uint64_t limit = configured != 0 ? configured : std::numeric_limits<uint64_t>::max();
  if (adaptive()) {
    limit = std::min(limit, uint64_t{learned_.limit()} + tunnels_.load(kRelaxed));
  }
  return limit;
}

bool Gate::enter() {
  const uint64_t most = limit();
  uint32_t now = in_flight_.load(kRelaxed);
  while (now < most) {
    if (in_flight_.compare_exchange_weak(now, now + 1, kRelaxed)) return true;
  }
  return false;
}

void Gate::wake() {
  // Not a load: see the top of breaker.h.
  if (pending_.fetch_add(0, kAcqRel) == 0) return;
  const std::lock_guard lock(mutex_);
  Bell* first = nullptr;
  uint64_t oldest = Bell::kNobody;
  for (Bell* bell : bells_) {
    const uint64_t ticket = bell->oldest.load(kRelaxed);
    if (first != nullptr && ticket >= oldest) continue;
    first = bell;
    oldest = ticket;
  }
  if (first != nullptr) first->ring();
}

void Gate::tunnel_began() {
  tunnels_.fetch_add(1, kRelaxed);
  if (adaptive()) wake();
}

bool Gate::begin_wait() {
  const uint32_t most = max_pending_.load(kRelaxed);
  uint32_t now = pending_.load(kRelaxed);
  while (now < most) {
    if (pending_.compare_exchange_weak(now, now + 1, kAcqRel, kRelaxed)) return true;
  }
  return false;
}

void Gate::hang_up(Bell& bell) {
  const std::lock_guard lock(mutex_);
  bells_.push_back(&bell);
}

void Gate::take_off(Bell& bell) {
  const std::lock_guard lock(mutex_);
  std::erase(bells_, &bell);
}

void Gate::note_answer(uint64_t now_us, uint64_t took_us, bool failed) {
  if (!adaptive()) return;
  if (learned_.note(now_us, took_us, failed, in_flight() - tunnels_.load(kRelaxed))) wake();
}

}  // namespace weir::upstream
