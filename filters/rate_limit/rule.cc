#include "filters/rate_limit/rule.h"

#include <algorithm>

namespace weir::filters::rate_limit {

namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kClocksApartNs = 1'000'000'000;

// Bits of a word: 63 the key is blocked, 62 it is of a fixed window, 0 kAskedAgain. Between them a
// time in ns, or a time in ms (40 bits) and a count (21).
constexpr uint64_t kBlocked = uint64_t{1} << 63;
constexpr uint64_t kWindow = uint64_t{1} << 62;
constexpr unsigned kTimeShift = 1;
constexpr unsigned kCountShift = 1;
constexpr unsigned kEndShift = 22;
constexpr uint64_t kCountMask = Rule::kWindowQuotaMax;

constexpr uint64_t low_62(uint64_t word) { return word & (kWindow - 1); }
constexpr uint64_t time_ns(uint64_t word) { return low_62(word) >> kTimeShift; }
constexpr uint64_t time_word(uint64_t ns) { return ns << kTimeShift; }
constexpr uint64_t end_ms(uint64_t word) { return low_62(word) >> kEndShift; }
constexpr uint64_t count_of(uint64_t word) { return (word >> kCountShift) & kCountMask; }
constexpr uint64_t window_word(uint64_t end, uint64_t count) {
  return kWindow | end << kEndShift | count << kCountShift;
}

Decision refusal(const Rule& rule, uint64_t wait_ns) {
  return {Result::kRefused, true, rule.quota, 0, wait_ns};
}

Taken take_token(const Rule& rule, uint64_t word, uint64_t now) {
  const uint64_t full_ns = rule.window_ns;
  uint64_t tat = time_ns(word);
  if ((word & kBlocked) != 0) {
    if (tat > now + rule.block_ns + kClocksApartNs) {
      tat = now + rule.block_ns;
      word = kBlocked | time_word(tat);
    }
    if (tat > now) return {word, refusal(rule, tat - now)};
    tat = tat - rule.block_ns + full_ns;  // it was empty when the block began
  } else if (tat > now + full_ns + kClocksApartNs) {
    tat = now + full_ns;
    word = time_word(tat);
  }
  const uint64_t start = std::max(tat, now);
  const uint64_t ahead = start - now;
  if (ahead > rule.tolerance_ns) {
    if (rule.block_ns == 0) {
      return {time_word(tat), refusal(rule, std::min(ahead, full_ns) - rule.tolerance_ns)};
    }
    return {kBlocked | time_word(now + rule.block_ns), refusal(rule, rule.block_ns)};
  }
  const uint64_t after = ahead + rule.interval_ns;
  const uint64_t used = (after + rule.interval_ns - 1) / rule.interval_ns;
  return {time_word(start + rule.interval_ns),
          {Result::kAllowed, true, used, rule.quota - used, after - (used - 1) * rule.interval_ns}};
}

Taken take_of_window(const Rule& rule, uint64_t word, uint64_t now) {
  const uint64_t now_ms = now / kNsPerMs;
  const uint64_t longest_ms = std::max(rule.window_ns, rule.block_ns) / kNsPerMs;
  uint64_t end = end_ms(word);
  uint64_t count = count_of(word);
  if (end > now_ms + longest_ms + kClocksApartNs / kNsPerMs) end = now_ms + longest_ms;
  if ((word & kBlocked) != 0 && end > now_ms) {
    return {kBlocked | window_word(end, count), refusal(rule, (end - now_ms) * kNsPerMs)};
  }
  if (end <= now_ms) {
    end = now_ms + rule.window_ns / kNsPerMs;
    count = 0;
  }
  if (count >= rule.quota) {
    uint64_t blocked = 0;
    if (rule.block_ns != 0) {
      end = std::max(end, now_ms + rule.block_ns / kNsPerMs);
      blocked = kBlocked;
    }
    return {blocked | window_word(end, count), refusal(rule, (end - now_ms) * kNsPerMs)};
  }
  ++count;
  return {window_word(end, count),
          {Result::kAllowed, true, count, rule.quota - count, (end - now_ms) * kNsPerMs}};
}

}  // namespace

Rule Rule::token_bucket(uint64_t count, uint64_t per_ms, uint64_t burst, uint64_t block_ms) {
  Rule rule;
  rule.algorithm = Algorithm::kTokenBucket;
  rule.quota = burst + 1;
  rule.interval_ns = std::max<uint64_t>((per_ms * kNsPerMs + count / 2) / count, 1);
  rule.tolerance_ns = burst * rule.interval_ns;
  rule.window_ns = rule.tolerance_ns + rule.interval_ns;
  // A shorter block would end before there is anything to be had.
  rule.block_ns = block_ms == 0 ? 0 : std::max(block_ms * kNsPerMs, rule.interval_ns);
  return rule;
}

Rule Rule::fixed_window(uint64_t quota, uint64_t window_ms, uint64_t block_ms) {
  Rule rule;
  rule.algorithm = Algorithm::kFixedWindow;
  rule.quota = quota;
  rule.window_ns = window_ms * kNsPerMs;
  rule.block_ns = block_ms * kNsPerMs;
  return rule;
}

Taken take(const Rule& rule, uint64_t word, uint64_t now_ns) {
  return rule.algorithm == Algorithm::kTokenBucket ? take_token(rule, word, now_ns)
                                                   : take_of_window(rule, word, now_ns);
}

uint64_t give_back(const Rule& rule, uint64_t word, uint64_t receipt, uint64_t now_ns) {
  if ((word & kBlocked) != 0) return word;  // a block stays, whatever it was begun by
  if (rule.algorithm == Algorithm::kTokenBucket) {
    const uint64_t tat = time_ns(word);
    if (time_ns(receipt) <= now_ns || tat <= now_ns) return word;
    return time_word(std::max(tat - std::min(tat, rule.interval_ns), now_ns));
  }
  const uint64_t count = count_of(word);
  if (end_ms(word) != end_ms(receipt) || count == 0) return word;
  return window_word(end_ms(word), count - 1);
}

uint64_t forgotten_at_ns(uint64_t word) {
  return (word & kWindow) != 0 ? end_ms(word) * kNsPerMs : time_ns(word);
}

}  // namespace weir::filters::rate_limit
