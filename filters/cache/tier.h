// The cache's second tier: answers in Redis, for all instances of weir that share it
// (`cache.redis`).
//
// What is not in the store, or not fresh, is asked for in Redis before its server is, by the one
// request that leads a flight (tier_lookup.h), and goes from there into the store as if it had just
// come, but with the age that it has. What was stored fresh is written there (tier_draft.h). Redis
// may fail as it likes: then there is one tier.
//
// What the workers of this process together know of it is here.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

namespace weir::filters::cache {

// Redis as a reply has shown it: what is asked for afterwards is younger than that.
struct TierView {
  uint64_t number = 0;  // of the last purge, and its name
  std::string name;
  int64_t redis_ms = 0;  // its clock, when
  int64_t local_ms = 0;  // ours was
};

struct TierStats {
  std::atomic<uint64_t> hits{0};
  std::atomic<uint64_t> misses{0};  // outdated and bad values are, too
  std::atomic<uint64_t> bad{0};     // values that are none
  std::atomic<uint64_t> writes{0};
  std::atomic<uint64_t> skipped{0};  // too large, or Redis could not be asked
};

// Any thread. One per process: tier().
class Tier {
 public:
  // Of the last reply; null: there was none.
  std::shared_ptr<const TierView> view() const;
  // True: some writes are to be told again, now that Redis answers.
  bool learn(TierView view);

  // ---- writes to URLs, by the keys of their marks, on their way to Redis ----
  // Of those that wait to be told again. Reached: all that is in Redis is distrusted instead, and
  // the other instances have to be told that.
  static constexpr size_t kUntoldMax = 10'000;
  void begin_writes(std::span<const std::string> marks);
  // Not `told`: nobody knows whether Redis has heard of them. False: there were too many.
  bool end_writes(std::span<const std::string> marks, bool told);
  // Those that are to be told again: so many at most, which is_written() knows still.
  std::vector<std::string> take_untold(size_t most);
  bool is_written(const std::string& mark) const;
  // Nobody knows what was written to: nothing is of use that is in Redis now.
  void distrust();
  // Whether what was asked for at `asked_ms` may be used. `now_ms`: both by Redis's clock, just
  // now.
  bool trusts(uint64_t asked_ms, uint64_t now_ms);

  TierStats stats;

 private:
  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<const TierView> view_;
  std::unordered_multiset<std::string> written_;
  std::unordered_set<std::string> untold_;  // of these
  bool distrusts_ = false;
  uint64_t trusted_from_ms_ = 0;
};
Tier& tier();

}  // namespace weir::filters::cache
