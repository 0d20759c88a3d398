#include "filters/cache/tier.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace weir::filters::cache {

std::shared_ptr<const TierView> Tier::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

bool Tier::learn(TierView view) {
  auto known = std::make_shared<const TierView>(std::move(view));
  const std::lock_guard lock(mutex_);
  view_ = std::move(known);
  return !untold_.empty();
}

void Tier::begin_writes(std::span<const std::string> marks) {
  const std::lock_guard lock(mutex_);
  written_.insert(marks.begin(), marks.end());
}

bool Tier::end_writes(std::span<const std::string> marks, bool told) {
  bool too_many = false;
  const std::lock_guard lock(mutex_);
  for (const std::string& mark : marks) {
    const bool waits = !told && !untold_.contains(mark);
    if (waits && untold_.size() < kUntoldMax) {
      untold_.insert(mark);
      continue;
    }
    too_many = too_many || waits;
    const auto at = written_.find(mark);
    if (at != written_.end()) written_.erase(at);
  }
  distrusts_ |= too_many;
  return !too_many;
}

std::vector<std::string> Tier::take_untold(size_t most) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> taken;
  while (taken.size() < most && !untold_.empty()) {
    taken.push_back(std::move(untold_.extract(untold_.begin()).value()));
  }
  return taken;
}

bool Tier::is_written(const std::string& mark) const {
  const std::lock_guard lock(mutex_);
  return written_.contains(mark);
}

void Tier::distrust() {
  const std::lock_guard lock(mutex_);
  distrusts_ = true;
}

bool Tier::trusts(uint64_t asked_ms, uint64_t now_ms) {
  // A reply may be as old as a call may take.
  constexpr uint64_t kLateMs = 10'000;
  const std::lock_guard lock(mutex_);
  if (std::exchange(distrusts_, false)) trusted_from_ms_ = now_ms + kLateMs;
  return asked_ms > trusted_from_ms_;
}

// Never destroyed, as the store.
Tier& tier() {
  static Tier& one = *new Tier;
  return one;
}

}  // namespace weir::filters::cache
