#include "filters/rate_limit/table.h"

#include <atomic>
#include <bit>
#include <utility>

#include "base/check.h"

namespace weir::filters::rate_limit {

namespace {

using Atomic = std::atomic_ref<uint64_t>;

uint64_t load(uint64_t& from) { return Atomic(from).load(std::memory_order_acquire); }
void store(uint64_t& to, uint64_t value) { Atomic(to).store(value, std::memory_order_release); }

}  // namespace

Table::Table(size_t slots, proxy::LimitStats& stats)
    : memory_(std::calloc(slots / kWays + 1, sizeof(Set)), &std::free),
      sets_per_shard_(slots / kWays / kShards),
      stats_(stats) {
  WEIR_CHECK(std::has_single_bit(slots) && slots >= kSlotsMin && memory_ != nullptr);
  const auto at = reinterpret_cast<uintptr_t>(memory_.get());
  sets_ = reinterpret_cast<Set*>((at + alignof(Set) - 1) & ~(alignof(Set) - 1));
}

// The tag is as good as random: its bits say all of it.
Table::Place Table::place_of(uint64_t tag) const {
  const size_t mask = sets_per_shard_ - 1;
  const size_t shard = tag >> 58;
  const size_t first = tag & mask;
  size_t second = (tag >> 29) & mask;
  if (second == first) second = (first + 1) & mask;
  Set* const sets = sets_ + shard * sets_per_shard_;
  return {sets + first, sets + second, shard};
}

Table::Slot Table::find(const Place& place, uint64_t tag) {
  for (Set* set : {place.first, place.second}) {
    for (size_t i = 0; i < kWays; ++i) {
      if (load(set->tags[i]) == tag) return {&set->tags[i], &set->words[i]};
    }
  }
  return {};
}

// The slot may be taken over by another key at any time. Its taker writes tag 0, the new word, the
// new tag, in this order. So whoever reads the word first and finds the tag as it was has a word of
// his own key; and his exchange fails when the taker has been there since. (Only if the new word
// were the old one to the nanosecond would it hit the other key, which then has used one more.)
Table::Answer Table::take(uint64_t tag, const Rule& rule, uint64_t now_ns) {
  tag += tag == 0;
  const Place place = place_of(tag);
  for (;;) {
    const Slot slot = find(place, tag);
    if (slot.tag == nullptr) {
      const Taken taken = rate_limit::take(rule, 0, now_ns);
      if (!insert(place, tag, taken.word, now_ns)) continue;
      return {taken.decision, taken.word};
    }
    uint64_t word = load(*slot.word);
    if (load(*slot.tag) != tag) continue;
    const Taken taken = rate_limit::take(rule, word & ~kAskedAgain, now_ns);
    const uint64_t next = taken.word | kAskedAgain;
    if (next == word ||
        Atomic(*slot.word).compare_exchange_strong(word, next, std::memory_order_acq_rel)) {
      return {taken.decision, taken.word};
    }
  }
}

Decision Table::look(uint64_t tag, const Rule& rule, uint64_t now_ns) const {
  tag += tag == 0;
  const Slot slot = find(place_of(tag), tag);
  uint64_t word = slot.tag == nullptr ? 0 : load(*slot.word);
  if (word != 0 && load(*slot.tag) != tag) word = 0;
  return rate_limit::take(rule, word & ~kAskedAgain, now_ns).decision;
}

void Table::give_back(uint64_t tag, const Rule& rule, uint64_t receipt, uint64_t now_ns) {
  tag += tag == 0;
  const Place place = place_of(tag);
  for (;;) {
    const Slot slot = find(place, tag);
    if (slot.tag == nullptr) return;  // forgotten, with what it had used
    uint64_t word = load(*slot.word);
    if (load(*slot.tag) != tag) continue;
    const uint64_t next =
        rate_limit::give_back(rule, word & ~kAskedAgain, receipt, now_ns) | (word & kAskedAgain);
    if (next == word ||
        Atomic(*slot.word).compare_exchange_strong(word, next, std::memory_order_acq_rel)) {
      return;
    }
  }
}

void Table::forget(uint64_t tag) {
  tag += tag == 0;
  const Place place = place_of(tag);
  for (;;) {
    const Slot slot = find(place, tag);
    if (slot.tag == nullptr) return;
    uint64_t word = load(*slot.word);
    if (load(*slot.tag) != tag) continue;
    if (Atomic(*slot.word).compare_exchange_strong(word, 0, std::memory_order_acq_rel)) return;
  }
}

// False: another thread was quicker.
bool Table::insert(const Place& place, uint64_t tag, uint64_t word, uint64_t now_ns) {
  std::lock_guard lock(shards_[place.shard].mutex);
  if (find(place, tag).tag != nullptr) return false;
  const Slot slot = choose(place, now_ns);
  if (load(*slot.tag) == 0) {
    stats_.keys.fetch_add(1, std::memory_order_relaxed);
  } else if (forgotten_at_ns(load(*slot.word)) > now_ns) {
    stats_.evictions.fetch_add(1, std::memory_order_relaxed);
  }
  store(*slot.tag, 0);
  store(*slot.word, word);
  store(*slot.tag, tag);
  return true;
}

Table::Slot Table::choose(const Place& place, uint64_t now_ns) {
  std::array<Slot, 2 * kWays> slots;
  std::array<size_t, 2> free = {};
  for (size_t i = 0; i < slots.size(); ++i) {
    Set* const set = i < kWays ? place.first : place.second;
    slots[i] = {&set->tags[i % kWays], &set->words[i % kWays]};
    free[i / kWays] += load(*slots[i].tag) == 0;
  }
  // Of the set that has more of them: so both fill evenly, and hardly any key finds both full.
  if (free[0] + free[1] > 0) {
    size_t i = free[1] > free[0] ? kWays : 0;
    while (load(*slots[i].tag) != 0) ++i;
    return slots[i];
  }
  const Slot* best = nullptr;
  uint64_t best_rank = UINT64_MAX;
  bool all_again = true;
  for (const Slot& slot : slots) {
    const uint64_t word = load(*slot.word);
    const uint64_t at = forgotten_at_ns(word);
    const bool again = (word & kAskedAgain) != 0 && at > now_ns;
    all_again &= again;
    const uint64_t rank = at | (again ? uint64_t{1} << 63 : 0);
    if (rank >= best_rank) continue;
    best = &slot;
    best_rank = rank;
  }
  if (all_again) {
    for (const Slot& slot : slots) Atomic(*slot.word).fetch_and(~kAskedAgain);
  }
  return *best;
}

}  // namespace weir::filters::rate_limit
