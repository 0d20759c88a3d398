#include "upstream/retry.h"

#include <algorithm>

namespace weir::upstream {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kField = (uint64_t{1} << 20) - 1;
constexpr uint64_t kOneRetry = uint64_t{1} << 20;
constexpr uint64_t kOneRequest = uint64_t{1} << 40;

uint64_t slot_of(uint64_t now_ms) { return now_ms / RetryBudget::kSlotMs & kField; }
uint64_t retries_of(uint64_t word) { return word >> 20 & kField; }
uint64_t requests_of(uint64_t word) { return word >> 40; }

// The word as it counts in `slot`: what is left from another one is nothing.
uint64_t in_slot(uint64_t word, uint64_t slot) { return (word & kField) == slot ? word : slot; }

}  // namespace

bool RetryConfig::covers(const Error& error) const {
  switch (error.kind) {
    case ErrorKind::kConnect:
    case ErrorKind::kTls:
    case ErrorKind::kCertificate: return (reasons & kConnect) != 0;
    case ErrorKind::kReset: return (reasons & kReset) != 0;
    case ErrorKind::kTimeout:
      if (error.retry == Retry::kNothingSent) return (reasons & kConnect) != 0;
      // A connection that does not answer its PINGs is broken; else the server is slow.
      return (reasons & (error.retry == Retry::kIfIdempotent ? kReset : kTimeout)) != 0;
    // What came is no answer: as bad as the status that the client would get for it.
    case ErrorKind::kMalformed: return lists(502);
    default: return false;
  }
}

uint64_t RetryConfig::backoff_max_ms(uint32_t attempts_before) const {
  constexpr uint64_t kGrowthMax = 10;
  if (attempts_before < 2) return 0;
  const uint32_t doublings = std::min(attempts_before - 2, 4u);
  return backoff_ms * std::min(uint64_t{1} << doublings, kGrowthMax);
}

void RetryBudget::note_request(uint64_t now_ms) {
  const uint64_t slot = slot_of(now_ms);
  Word& word = words_[slot % 2];
  uint64_t seen = word.load(kRelaxed);
  while ((seen & kField) != slot) {
    if (word.compare_exchange_weak(seen, slot + kOneRequest, kRelaxed)) return;
  }
  word.fetch_add(kOneRequest, kRelaxed);
}

bool RetryBudget::take(uint64_t now_ms, double share) {
  const uint64_t slot = slot_of(now_ms);
  const uint64_t slot_before = (slot - 1) & kField;
  const uint64_t before = in_slot(words_[slot_before % 2].load(kRelaxed), slot_before);
  Word& word = words_[slot % 2];
  uint64_t seen = word.load(kRelaxed);
  for (;;) {
    const uint64_t now = in_slot(seen, slot);
    const double requests = static_cast<double>(requests_of(now) + requests_of(before));
    const uint64_t granted = retries_of(now) + retries_of(before);
    const bool left =
        granted < limits::kRetriesFree || static_cast<double>(granted) + 1 <= share * requests;
    if (!left || retries_of(now) == kField) return false;
    if (word.compare_exchange_weak(seen, now + kOneRetry, kRelaxed)) return true;
  }
}

}  // namespace weir::upstream
