#include "filters/rate_limit/leases.h"

#include <algorithm>

#include "base/check.h"

namespace weir::filters::rate_limit {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr unsigned kTokensShift = 44;
constexpr uint64_t kEndMask = (uint64_t{1} << kTokensShift) - 1;
constexpr uint32_t kTokensMax = (1u << 20) - 1;

constexpr uint64_t kSpanUs = 100'000;  // in which requests are counted
constexpr uint32_t kCountMax = 0xffff;
constexpr uint64_t kAskUs = 20'000;    // how long nobody else asks
constexpr uint64_t kLeaseUs = 20'000;  // of the key's requests, and of its rule

// Requests of a key in the present span and in the one before.
struct Heat {
  uint32_t span = 0;
  uint32_t now = 0;
  uint32_t before = 0;

  static Heat at(uint64_t word, uint64_t now_us) {
    Heat heat = {static_cast<uint32_t>(word >> 32), static_cast<uint32_t>(word >> 16 & kCountMax),
                 static_cast<uint32_t>(word & kCountMax)};
    const auto span = static_cast<uint32_t>(now_us / kSpanUs);
    if (heat.span == span) return heat;
    return {span, 0, heat.span + 1 == span ? heat.now : 0};
  }
  uint64_t word() const { return uint64_t{span} << 32 | uint64_t{now} << 16 | before; }
  bool is_cold() const { return now == 0 && before == 0; }
};

// What the rule gives in that time.
uint64_t share_of(const Rule& rule, uint64_t us) {
  if (rule.algorithm == Algorithm::kTokenBucket) return us * 1000 / rule.interval_ns;
  return static_cast<uint64_t>(static_cast<double>(rule.quota) * static_cast<double>(us) * 1000 /
                               static_cast<double>(rule.window_ns));
}

uint64_t time_until(const std::atomic<uint64_t>& end_us, uint64_t now_us) {
  const uint64_t at_us = end_us.load(kRelaxed);
  return at_us > now_us ? at_us - now_us : 0;
}

}  // namespace

Leases::Leases(size_t slots) : mask_(slots - 1), slots_(std::make_unique<Slot[]>(slots)) {
  WEIR_CHECK(slots >= 2 && (slots & mask_) == 0);
}

Leases::Slot* Leases::find(uint64_t key) const {
  for (const uint64_t at : {key & mask_, (key >> 32) & mask_}) {
    if (slots_[at].key.load(std::memory_order_acquire) == key) return &slots_[at];
  }
  return nullptr;
}

Leases::Slot* Leases::find_or_claim(uint64_t key, uint64_t now_us) {
  if (Slot* slot = find(key)) return slot;
  for (const uint64_t at : {key & mask_, (key >> 32) & mask_}) {
    Slot& slot = slots_[at];
    uint64_t before = slot.key.load(kRelaxed);
    if (before != 0 && !Heat::at(slot.heat.load(kRelaxed), now_us).is_cold()) continue;
    // First nobody's: what Redis says late of the key before must not be taken for this one's.
    if (before != 0 && !slot.key.compare_exchange_strong(before, 0)) continue;
    clear(slot);
    uint64_t nobody = 0;
    if (slot.key.compare_exchange_strong(nobody, key, std::memory_order_release, kRelaxed)) {
      return &slot;
    }
  }
  return nullptr;
}

void Leases::clear(Slot& slot) {
  slot.lease.store(0, kRelaxed);
  slot.refusal_believed_until_us.store(0, kRelaxed);
  slot.blocked_until_us.store(0, kRelaxed);
  slot.asking_until_us.store(0, kRelaxed);
}

void Leases::forget(uint64_t key) {
  if (Slot* const slot = find(key)) clear(*slot);
}

void Leases::note(uint64_t key, uint64_t now_us) {
  Slot* const slot = find_or_claim(key, now_us);
  if (slot == nullptr) return;
  Heat heat = Heat::at(slot->heat.load(kRelaxed), now_us);
  heat.now = std::min(heat.now + 1, kCountMax);
  slot->heat.store(heat.word(), kRelaxed);  // two at once may count for one
}

uint32_t Leases::want(uint64_t key, const Rule& rule, uint64_t now_us) {
  const uint64_t of_rule = share_of(rule, kLeaseUs);
  if (of_rule < 2) return 1;
  Slot* const slot = find(key);
  if (slot == nullptr) return 1;
  const uint64_t of_key = Heat::at(slot->heat.load(kRelaxed), now_us).before * kLeaseUs / kSpanUs;
  const auto tokens = static_cast<uint32_t>(std::min({of_rule, of_key, uint64_t{kTokensMax}}));
  if (tokens < 2) return 1;
  uint64_t asking_until_us = slot->asking_until_us.load(kRelaxed);
  if (asking_until_us > now_us) return 1;
  const bool is_mine =
      slot->asking_until_us.compare_exchange_strong(asking_until_us, now_us + kAskUs, kRelaxed);
  return is_mine ? tokens : 1;
}

bool Leases::take(uint64_t key, uint64_t now_us) {
  Slot* const slot = find(key);
  if (slot == nullptr) return false;
  uint64_t lease = slot->lease.load(kRelaxed);
  do {
    if (lease >> kTokensShift == 0 || (lease & kEndMask) <= now_us / 1000) return false;
  } while (
      !slot->lease.compare_exchange_weak(lease, lease - (uint64_t{1} << kTokensShift), kRelaxed));
  return true;
}

void Leases::put_back(uint64_t key, uint64_t now_us) {
  Slot* const slot = find(key);
  if (slot == nullptr) return;
  uint64_t lease = slot->lease.load(kRelaxed);
  do {
    const bool is_full = lease >> kTokensShift == kTokensMax;
    if (is_full || (lease & kEndMask) <= now_us / 1000) return;
  } while (
      !slot->lease.compare_exchange_weak(lease, lease + (uint64_t{1} << kTokensShift), kRelaxed));
}

void Leases::add(uint64_t key, uint32_t tokens, const Decision& decision, uint64_t now_us) {
  Slot* const slot = find(key);
  if (slot == nullptr) return;
  slot->remaining.store(decision.remaining, kRelaxed);
  slot->more_at_us.store(now_us + decision.wait_ns / 1000, kRelaxed);
  slot->asking_until_us.store(0, kRelaxed);
  const uint64_t end_ms = (now_us / 1000 + kGoodForMs) & kEndMask;
  uint64_t lease = slot->lease.load(kRelaxed);
  uint64_t next = 0;
  do {
    const bool is_good = (lease & kEndMask) > now_us / 1000;
    // What is left of the one before goes on for another term: that must not pile up.
    const uint64_t left = is_good ? std::min<uint64_t>(lease >> kTokensShift, tokens) : 0;
    const uint64_t all = std::min<uint64_t>(left + tokens, kTokensMax);
    next = all << kTokensShift | end_ms;
  } while (!slot->lease.compare_exchange_weak(lease, next, kRelaxed));
}

Leases::Standing Leases::standing(uint64_t key, uint64_t now_us) const {
  const Slot* const slot = find(key);
  if (slot == nullptr) return {};
  return {slot->remaining.load(kRelaxed), time_until(slot->more_at_us, now_us)};
}

uint64_t Leases::refused_for_us(uint64_t key, uint64_t now_us) const {
  const Slot* const slot = find(key);
  if (slot == nullptr || time_until(slot->refusal_believed_until_us, now_us) == 0) return 0;
  return time_until(slot->more_at_us, now_us);
}

void Leases::note_refusal(uint64_t key, uint64_t for_us, uint64_t now_us) {
  Slot* const slot = find(key);
  if (slot == nullptr) return;
  slot->more_at_us.store(now_us + for_us, kRelaxed);
  slot->refusal_believed_until_us.store(now_us + kBelievedMs * 1000, kRelaxed);
}

uint64_t Leases::blocked_for_us(uint64_t key, uint64_t now_us) const {
  const Slot* const slot = find(key);
  return slot == nullptr ? 0 : time_until(slot->blocked_until_us, now_us);
}

void Leases::note_block(uint64_t key, uint64_t until_us) {
  if (Slot* const slot = find(key)) slot->blocked_until_us.store(until_us, kRelaxed);
}

}  // namespace weir::filters::rate_limit
