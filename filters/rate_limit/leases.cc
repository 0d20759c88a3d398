#include "filters/rate_limit/leases.h"

#include <algorithm>

#include "base/check.h"

namespace weir::filters::rate_limit {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr unsigned kTokensShift = 44;
constexpr uint64_t kEndMask = (uint64_t{1} << kTokensShift) - 1;
constexpr uint32_t kTokensMax = (1u << 20) - 1;

constexpr uint64_t kSpanUs = 100'000;          // in which requests are counted ...
constexpr uint64_t kSteadySpanUs = 1'000'000;  // ... and where they are few
constexpr uint32_t kCountMax = 0xffff;
constexpr uint64_t kAskMs = 20;        // how long nobody else asks
constexpr uint64_t kLeaseUs = 20'000;  // of a very busy key's requests, and of its rule
constexpr uint32_t kHoldFrom = 20;     // tokens of a lease: a thousand a second
constexpr uint64_t kHoldsOfBurst = 8;  // as much as comes free in so many, a bucket has to hold

// Requests of a key in the present span and in the one before.
struct Heat {
  uint32_t span = 0;
  uint32_t now = 0;
  uint32_t before = 0;

  static Heat at(uint64_t word, uint64_t span_us, uint64_t now_us) {
    Heat heat = {static_cast<uint32_t>(word >> 32), static_cast<uint32_t>(word >> 16 & kCountMax),
                 static_cast<uint32_t>(word & kCountMax)};
    const auto span = static_cast<uint32_t>(now_us / span_us);
    if (heat.span == span) return heat;
    return {span, 0, heat.span + 1 == span ? heat.now : 0};
  }
  uint64_t word() const { return uint64_t{span} << 32 | uint64_t{now} << 16 | before; }
  bool is_cold() const { return now == 0 && before == 0; }
};

// Two at once may count for one.
void count(std::atomic<uint64_t>& word, uint64_t span_us, uint64_t now_us) {
  Heat heat = Heat::at(word.load(kRelaxed), span_us, now_us);
  heat.now = std::min(heat.now + 1, kCountMax);
  word.store(heat.word(), kRelaxed);
}

uint32_t low_ms(uint64_t now_us) { return static_cast<uint32_t>(now_us / 1000); }

uint64_t tokens_at(uint64_t lease, uint64_t now_us) {
  return (lease & kEndMask) > now_us / 1000 ? lease >> kTokensShift : 0;
}

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

bool Leases::is_in_use(const Slot& slot, uint64_t now_us) {
  return !Heat::at(slot.heat.load(kRelaxed), kSpanUs, now_us).is_cold() ||
         tokens_at(slot.lease.load(kRelaxed), now_us) > 0;
}

Leases::Slot* Leases::find_or_claim(uint64_t key, uint64_t now_us) {
  if (Slot* slot = find(key)) return slot;
  for (const uint64_t at : {key & mask_, (key >> 32) & mask_}) {
    Slot& slot = slots_[at];
    uint64_t before = slot.key.load(kRelaxed);
    if (before != 0 && is_in_use(slot, now_us)) continue;
    // First nobody's: what Redis says late of the key before must not be taken for this one's.
    if (before != 0 && !slot.key.compare_exchange_strong(before, 0)) continue;
    clear(slot);
    slot.heat.store(0, kRelaxed);
    slot.steady.store(0, kRelaxed);
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
  slot.asking_until_ms.store(0, kRelaxed);
  slot.remaining.store(0, kRelaxed);
}

void Leases::forget(uint64_t key) {
  if (Slot* const slot = find(key)) clear(*slot);
}

void Leases::note(uint64_t key, uint64_t now_us) {
  Slot* const slot = find_or_claim(key, now_us);
  if (slot == nullptr) return;
  count(slot->heat, kSpanUs, now_us);
  count(slot->steady, kSteadySpanUs, now_us);
}

Leases::Want Leases::want(uint64_t key, const Rule& rule, uint32_t instances, uint64_t now_us) {
  Slot* const slot = find(key);
  if (slot == nullptr) return {};
  const uint64_t of_key =
      Heat::at(slot->heat.load(kRelaxed), kSpanUs, now_us).before * kLeaseUs / kSpanUs;
  uint64_t tokens = std::min({share_of(rule, kLeaseUs), of_key, uint64_t{kTokensMax}});
  uint64_t good_for_ms = kGoodForMs;
  // A block that began elsewhere is to hold here as well.
  if (tokens < 2 && rule.block_ns == 0) {
    const uint64_t half = Heat::at(slot->steady.load(kRelaxed), kSteadySpanUs, now_us).before / 2;
    const uint64_t spare = slot->remaining.load(kRelaxed) / (kSmallLeases * instances);
    tokens = std::min(half, spare);
    good_for_ms = kSmallGoodForMs;
  }
  if (tokens < 2) return {};
  uint32_t asking_until_ms = slot->asking_until_ms.load(kRelaxed);
  // By the difference: the low bits begin anew after 50 days.
  const uint32_t left_ms = asking_until_ms - low_ms(now_us);
  if (left_ms != 0 && left_ms <= kAskMs) return {};
  const bool is_mine = slot->asking_until_ms.compare_exchange_strong(
      asking_until_ms, low_ms(now_us + kAskMs * 1000), kRelaxed);
  return is_mine ? Want{static_cast<uint32_t>(tokens), good_for_ms} : Want{};
}

uint64_t Leases::hold_us(const Rule& rule, const Want& want) {
  if (want.good_for_ms != kGoodForMs || want.tokens < kHoldFrom) return 0;
  if (rule.algorithm == Algorithm::kFixedWindow) return kHoldUs;
  return std::min(kHoldUs, rule.tolerance_ns / 1000 / kHoldsOfBurst);
}

void Leases::set_more_at(Slot& slot, uint64_t at_us, uint64_t now_us) {
  const uint64_t held_us = time_until(slot.more_at_us, now_us);
  if (held_us <= kHoldUs && now_us + held_us > at_us) return;
  slot.more_at_us.store(at_us, kRelaxed);
}

bool Leases::take(uint64_t key, uint64_t now_us) {
  Slot* const slot = find(key);
  if (slot == nullptr) return false;
  uint64_t lease = slot->lease.load(kRelaxed);
  do {
    if (tokens_at(lease, now_us) == 0) return false;
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

void Leases::add(uint64_t key, uint32_t tokens, uint64_t good_for_ms, const Decision& decision,
                 uint64_t now_us) {
  Slot* const slot = find(key);
  if (slot == nullptr) return;
  slot->remaining.store(
      static_cast<uint32_t>(decision.remaining - std::min<uint64_t>(decision.remaining, tokens)),
      kRelaxed);
  set_more_at(*slot, now_us + decision.wait_ns / 1000, now_us);
  if (tokens == 0) return;
  slot->asking_until_ms.store(0, kRelaxed);
  const uint64_t end_ms = (now_us / 1000 + good_for_ms) & kEndMask;
  uint64_t lease = slot->lease.load(kRelaxed);
  uint64_t next = 0;
  do {
    // What is left of the one before goes on for another term: that must not pile up.
    const uint64_t left = std::min<uint64_t>(tokens_at(lease, now_us), tokens);
    const uint64_t all = std::min<uint64_t>(left + tokens, kTokensMax);
    next = all << kTokensShift | end_ms;
  } while (!slot->lease.compare_exchange_weak(lease, next, kRelaxed));
}

Leases::Standing Leases::standing(uint64_t key, uint64_t now_us) const {
  const Slot* const slot = find(key);
  if (slot == nullptr) return {};
  return {slot->remaining.load(kRelaxed) + tokens_at(slot->lease.load(kRelaxed), now_us),
          time_until(slot->more_at_us, now_us)};
}

uint64_t Leases::refused_for_us(uint64_t key, uint64_t now_us) const {
  const Slot* const slot = find(key);
  if (slot == nullptr || time_until(slot->refusal_believed_until_us, now_us) == 0) return 0;
  return time_until(slot->more_at_us, now_us);
}

void Leases::note_refusal(uint64_t key, uint64_t for_us, uint64_t now_us) {
  Slot* const slot = find(key);
  if (slot == nullptr) return;
  set_more_at(*slot, now_us + for_us, now_us);
  slot->refusal_believed_until_us.store(now_us + kBelievedMs * 1000, kRelaxed);
}

uint64_t Leases::blocked_for_us(uint64_t key, uint64_t now_us) const {
  const Slot* const slot = find(key);
  return slot == nullptr ? 0 : time_until(slot->blocked_until_us, now_us);
}

void Leases::note_block(uint64_t key, uint64_t until_us) {
  Slot* const slot = find(key);
  if (slot == nullptr) return;
  slot->blocked_until_us.store(until_us, kRelaxed);
  if (until_us != 0) slot->lease.store(0, kRelaxed);
}

}  // namespace weir::filters::rate_limit
