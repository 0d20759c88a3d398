#include "filters/auth/key_source.h"

#include <map>
#include <utility>

#include "base/limits.h"

namespace weir::filters::auth {

std::shared_ptr<KeySource> KeySource::of(const std::string& place) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<KeySource>> known;
  const std::lock_guard lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<KeySource>& entry = known[place];
  std::shared_ptr<KeySource> source = entry.lock();
  if (source == nullptr) entry = source = std::make_shared<KeySource>();
  return source;
}

KeySource::Turn KeySource::ask(Need need, uint64_t now_ms) {
  if (need == Need::kFresh && now_ms < due_ms_.load(std::memory_order_relaxed)) return Turn::kGoOn;
  const std::lock_guard lock(mutex_);
  const bool old_ones_do = need == Need::kFresh && ring_.keys() != nullptr;
  if (fetching_) return old_ones_do ? Turn::kGoOn : Turn::kWait;
  if (need == Need::kNewKid && now_ms < new_kid_at_ms_) return Turn::kGoOn;
  if (need == Need::kFresh && now_ms < due_ms_.load(std::memory_order_relaxed)) return Turn::kGoOn;
  fetching_ = true;
  if (need == Need::kNewKid) new_kid_at_ms_ = now_ms + limits::kJwksAgainMs;
  return Turn::kFetch;
}

void KeySource::fetched(std::shared_ptr<const KeySet> keys, std::string_view text, uint64_t now_ms,
                        uint64_t refresh_ms) {
  const std::lock_guard lock(mutex_);
  ring_.replace(std::move(keys), text);
  due_ms_.store(now_ms + refresh_ms, std::memory_order_relaxed);
  fetching_ = false;
}

void KeySource::failed(uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  // Without any keys nobody passes, and so it is tried sooner.
  const bool none = ring_.keys() == nullptr;
  due_ms_.store(now_ms + (none ? limits::kJwksFirstAgainMs : limits::kJwksAgainMs),
                std::memory_order_relaxed);
  fetching_ = false;
}

// Not at once, where there are keys: whoever sends tokens and leaves would have the issuer asked as
// often.
void KeySource::left(Need need, uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const uint64_t again_ms = now_ms + limits::kJwksFirstAgainMs;
  if (need == Need::kNewKid) {
    new_kid_at_ms_ = again_ms;
  } else if (ring_.keys() != nullptr) {
    due_ms_.store(again_ms, std::memory_order_relaxed);
  }
  fetching_ = false;
}

}  // namespace weir::filters::auth
