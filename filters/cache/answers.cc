#include "filters/cache/answers.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "filters/cache/purge_keys.h"
#include "filters/cache/purges.h"
#include "filters/cache/tier.h"

namespace weir::filters::cache {

namespace {

// Answers that one sweep looks at: within a millisecond.
constexpr size_t kSweepBudget = 2'000;

uint64_t unix_ms() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

uint64_t age_ms(uint64_t now_ms, uint64_t stored_at_ms) {
  return now_ms - std::min(now_ms, stored_at_ms);
}

std::vector<proxy::AnswerLine> lines_of(std::vector<SurveyLine>& lines, uint64_t now_ms) {
  std::vector<proxy::AnswerLine> out;
  for (SurveyLine& line : lines) {
    out.push_back({std::move(line.key), std::move(line.secondary), line.hits, line.bytes,
                   age_ms(now_ms, line.stored_at_ms), line.status});
  }
  return out;
}

class Answers final : public proxy::AnswerStore {
 public:
  proxy::AnswerStats stats() override {
    const StoreStats from = store().stats();
    proxy::AnswerStats stats;
    stats.memory_bytes = store().memory_bytes();
    stats.bytes = from.bytes;
    stats.mapped_bytes = from.mapped_bytes;
    stats.growing_bytes = from.growing_bytes;
    stats.objects = from.objects;
    stats.keys = from.entries;
    if (from.objects > 0) stats.oldest_age_ms = age_ms(unix_ms(), from.oldest_stored_at_ms);
    stats.hits = from.hits;
    stats.misses = from.misses;
    stats.insertions = from.insertions;
    stats.evictions = from.evictions;
    stats.expirations = from.expirations;
    stats.purged = from.purged + outdated_.load(std::memory_order_relaxed);
    const TierStats& tier_stats = tier().stats;
    stats.tier_hits = tier_stats.hits.load(std::memory_order_relaxed);
    stats.tier_misses = tier_stats.misses.load(std::memory_order_relaxed);
    stats.tier_bad = tier_stats.bad.load(std::memory_order_relaxed);
    stats.tier_writes = tier_stats.writes.load(std::memory_order_relaxed);
    stats.tier_skipped = tier_stats.skipped.load(std::memory_order_relaxed);
    return stats;
  }

  proxy::TopAnswers top(size_t n) override {
    Survey survey = store().survey(n);
    const uint64_t now_ms = unix_ms();
    return {lines_of(survey.by_hits, now_ms), lines_of(survey.by_bytes, now_ms)};
  }

  uint64_t purge(const proxy::PurgeOrder& order, const proxy::Snapshot& snapshot) override {
    using What = proxy::PurgeOrder::What;
    const Purge how = order.soft ? Purge::kSoft : Purge::kRemove;
    uint64_t hits = 0;
    switch (order.what) {
      case What::kUrl:
        for (const std::string& key : keys_of_url(order.text, snapshot)) {
          hits += purge_url(store(), key, how);
        }
        break;
      case What::kPrefix: {
        const std::string prefix = key_prefix(order.text);
        if (!prefix.empty()) hits = purge_prefix(store(), prefix, how);
        break;
      }
      case What::kTag: hits = purge_tag(store(), order.text, how); break;
      case What::kAll:
        hits = store().stats().objects;
        purge_all(store(), how);
        if (order.soft) outdated_.fetch_add(hits, std::memory_order_relaxed);
        break;
    }
    return hits;
  }

  void outdate_all() override { purge_all(store(), Purge::kSoft); }
  void sweep() override { store().sweep(unix_ms(), kSweepBudget); }
  bool unused() override { return store().stats().insertions == 0; }

 private:
  static Store& store() {
    Store* const made = cache::store();
    WEIR_CHECK(made != nullptr);
    return *made;
  }

  std::atomic<uint64_t> outdated_{0};  // by soft purges of all, which the store does not count
};

}  // namespace

// Never destroyed, as the store.
proxy::AnswerStore& answers() {
  static Answers& all = *new Answers;
  return all;
}

}  // namespace weir::filters::cache
