#include "net/redis_state.h"

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/rng.h"

namespace weir::net {

namespace {

std::string random_name() {
  uint8_t bytes[12];
  RandomPool().fill(bytes, sizeof(bytes));
  std::string name;
  for (const uint8_t byte : bytes) name += fmt::format("{:02x}", byte);
  return name;
}

std::string text_of(RedisReason reason, std::string_view detail) {
  if (detail.empty()) return redis_reason_text(reason);
  return fmt::format("{}: {}", redis_reason_text(reason), detail);
}

}  // namespace

RedisState::RedisState(std::string name) : name_(std::move(name)), instance_(random_name()) {}

void RedisState::note_begun(uint32_t worker) {
  const std::lock_guard lock(mutex_);
  views_[worker] = {};
  look();
}

void RedisState::note_up(uint32_t worker, std::string_view address) {
  const std::lock_guard lock(mutex_);
  views_[worker] = {true, RedisReason::kNone, {}};
  tell(address);
}

void RedisState::note_down(uint32_t worker, RedisReason reason, std::string_view detail) {
  const std::lock_guard lock(mutex_);
  View& view = views_[worker];
  view = {false, reason, std::string(detail)};
  shown_ = view;
  tell({});
}

void RedisState::note_gone(uint32_t worker) {
  const std::lock_guard lock(mutex_);
  views_.erase(worker);
  look();
}

// Whether all are up.
bool RedisState::look() {
  bool all_up = !views_.empty();
  for (const auto& [worker, view] : views_) all_up &= view.up;
  all_up_.store(all_up, std::memory_order_relaxed);
  return all_up;
}

// Down with its first worker, and for each reason once; up with its last one.
void RedisState::tell(std::string_view address) {
  if (look()) {
    if (!told_up_)
      log_info("redis {}: {} {}", name_, ever_up_ ? "back, at" : "in use, at", address);
    ever_up_ = told_up_ = true;
    told_reasons_ = 0;
    return;
  }
  if (!address.empty()) return;  // one of several is back
  told_up_ = false;
  const uint32_t bit = 1u << static_cast<uint32_t>(shown_.reason);
  if ((told_reasons_ & bit) != 0) return;
  told_reasons_ |= bit;
  log_warn("redis {}: not used: {}", name_, text_of(shown_.reason, shown_.detail));
}

RedisState::Status RedisState::status() const {
  const std::lock_guard lock(mutex_);
  Status status;
  status.up = all_up();
  if (status.up) return status;
  status.reason = shown_.reason == RedisReason::kNone ? "not connected yet"
                                                      : text_of(shown_.reason, shown_.detail);
  return status;
}

void RedisState::set_instances(uint32_t count) {
  const uint32_t before = instances();
  instances_.store(count, std::memory_order_relaxed);
  if (before != count) log_info("redis {}: {} instance{}", name_, count, count == 1 ? "" : "s");
}

void RedisState::guess_instances(uint32_t count) {
  uint32_t unknown = 0;
  instances_.compare_exchange_strong(unknown, count, std::memory_order_relaxed);
}

bool RedisState::take_beat(uint64_t now_ms) {
  uint64_t at_ms = beat_at_ms_.load(std::memory_order_relaxed);
  return now_ms >= at_ms && beat_at_ms_.compare_exchange_strong(
                                at_ms, now_ms + limits::kRedisBeatMs, std::memory_order_relaxed);
}

}  // namespace weir::net
