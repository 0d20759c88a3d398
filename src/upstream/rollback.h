// The rule that takes a canary back: one that answers worse than the base of its split gets no
// requests any more. Workers count, and whichever of them notices that it is time looks at what all
// of them have counted.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace weir::upstream {

struct RollbackConfig {
  double error_rate_over = 0;  // share of answers above the base's; 0: errors do not matter
  double p95_over = 0;         // of the base's p95; 0: latency does not matter
  uint64_t window_ms = 60'000;
  uint32_t min_requests = 100;  // of the base and of the canary, within the window
};

// Latencies by size, eight steps to an octave, up to two minutes: a quantile is right to some per
// cent. `Count` is an atomic, or a plain number for sums.
template <typename Count>
struct LatencyCounts {
  static constexpr size_t kSteps = 200;
  std::array<Count, kSteps> steps{};
};
size_t latency_step(uint64_t latency_us);
// Interpolated within its step; 0 where nothing was counted.
double latency_quantile_us(const LatencyCounts<uint32_t>& counts, double quantile);

// Of one split, shared by all workers and by all snapshots in which the split is the same.
// Thread: any, but for begin_anew().
class Rollback {
 public:
  // `upstreams`: those of the split, the base first; 32 at most.
  Rollback(std::string split, std::vector<std::string> upstreams, RollbackConfig config);
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;

  // An answer of that upstream, weir's own in its place included. May log, rarely.
  void note(size_t upstream, bool error, uint64_t latency_us, uint64_t now_ms);
  // The client has left before there was an answer: it would have come later than that.
  void note_left(size_t upstream, uint64_t waited_us, uint64_t now_ms);
  bool is_rolled_back(size_t upstream) const {
    return (rolled_back_.load(std::memory_order_relaxed) >> upstream & 1) != 0;
  }
  // The split is new in the configuration, whatever is known of it from earlier times.
  void begin_anew();

 private:
  // Since ever; differences are right even when they have wrapped.
  struct alignas(64) Totals {
    std::atomic<uint32_t> answers{0};
    std::atomic<uint32_t> errors{0};
    std::atomic<uint32_t> left{0};
    LatencyCounts<std::atomic<uint32_t>> latency;
  };
  struct Sum {
    uint32_t answers = 0;
    uint32_t errors = 0;
    uint32_t left = 0;  // clients; counted in `latency`, too
    LatencyCounts<uint32_t> latency;
    void add(const Sum& other);
    void subtract(const Sum& other);
  };
  static constexpr size_t kParts = 10;  // of the window
  struct Window {
    std::array<Sum, kParts> parts;
    Sum sum;   // of them
    Sum last;  // the totals at the last look
  };

  void look_when_due(uint64_t now_ms);
  void look(uint64_t now_ms);
  void move_to(uint64_t part);
  void take_counts(size_t upstream);
  void judge();
  std::string more_errors(size_t upstream) const;
  std::string more_latency(size_t upstream) const;
  void take_back(size_t upstream, const std::string& why);

  const std::string split_;
  const std::vector<std::string> upstreams_;
  const RollbackConfig config_;
  const uint64_t part_ms_;
  const std::unique_ptr<Totals[]> totals_;
  std::atomic<uint32_t> rolled_back_{0};  // a bit for each upstream
  std::atomic<uint64_t> next_look_ms_{0};

  std::mutex mutex_;  // guards what follows: who finds it taken leaves the look to the other
  std::vector<Window> windows_;
  uint64_t part_ = 0;  // the present one, since time began
};

}  // namespace weir::upstream
