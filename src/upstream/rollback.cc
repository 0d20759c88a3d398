#include "upstream/rollback.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace weir::upstream {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr size_t kUpstreamsMax = 32;
constexpr uint64_t kLookMs = 100;

// So few are chance, whatever share of the requests they are.
constexpr uint32_t kErrorsMin = 5;
// What the network and the clock may add.
constexpr double kLatencyMarginUs = 1000;

constexpr uint64_t kStepBits = 3;  // eight steps to an octave

uint64_t step_begin_us(size_t step) {
  constexpr size_t kWhole = 2u << kStepBits;  // the first two octaves are told to the microsecond
  if (step < kWhole) return step;
  const size_t octave = step >> kStepBits;
  const uint64_t within = step & ((1u << kStepBits) - 1);
  return ((uint64_t{1} << kStepBits) + within) << (octave - 1);
}

double rate(uint32_t part, uint32_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

size_t latency_step(uint64_t latency_us) {
  const auto width = static_cast<uint64_t>(std::bit_width(latency_us));
  if (width <= kStepBits + 1) return latency_us;
  const uint64_t octave = width - kStepBits;
  const uint64_t within = (latency_us >> (octave - 1)) & ((1u << kStepBits) - 1);
  return std::min<size_t>((octave << kStepBits) + within, LatencyCounts<uint32_t>::kSteps - 1);
}

double latency_quantile_us(const LatencyCounts<uint32_t>& counts, double quantile) {
  uint64_t total = 0;
  for (const uint32_t count : counts.steps) total += count;
  double left = quantile * static_cast<double>(total);
  for (size_t step = 0; step < counts.steps.size() && total > 0; ++step) {
    const double count = counts.steps[step];
    if (count > 0 && left <= count) {
      const auto begin = static_cast<double>(step_begin_us(step));
      const auto end = static_cast<double>(step_begin_us(step + 1));
      return begin + (end - begin) * left / count;
    }
    left -= count;
  }
  return 0;
}

void Rollback::Sum::add(const Sum& other) {
  answers += other.answers;
  errors += other.errors;
  left += other.left;
  for (size_t i = 0; i < latency.steps.size(); ++i) latency.steps[i] += other.latency.steps[i];
}

void Rollback::Sum::subtract(const Sum& other) {
  answers -= other.answers;
  errors -= other.errors;
  left -= other.left;
  for (size_t i = 0; i < latency.steps.size(); ++i) latency.steps[i] -= other.latency.steps[i];
}

Rollback::Rollback(std::string split, std::vector<std::string> upstreams, RollbackConfig config)
    : split_(std::move(split)),
      upstreams_(std::move(upstreams)),
      config_(config),
      part_ms_(std::max<uint64_t>(1, config.window_ms / kParts)),
      totals_(std::make_unique<Totals[]>(upstreams_.size())),
      windows_(upstreams_.size()) {
  WEIR_CHECK(!upstreams_.empty() && upstreams_.size() <= kUpstreamsMax);
}

void Rollback::note(size_t upstream, bool error, uint64_t latency_us, uint64_t now_ms) {
  Totals& totals = totals_[upstream];
  totals.answers.fetch_add(1, kRelaxed);
  if (error) totals.errors.fetch_add(1, kRelaxed);
  totals.latency.steps[latency_step(latency_us)].fetch_add(1, kRelaxed);
  look_when_due(now_ms);
}

void Rollback::note_left(size_t upstream, uint64_t waited_us, uint64_t now_ms) {
  Totals& totals = totals_[upstream];
  totals.left.fetch_add(1, kRelaxed);
  totals.latency.steps[latency_step(waited_us)].fetch_add(1, kRelaxed);
  look_when_due(now_ms);
}

void Rollback::look_when_due(uint64_t now_ms) {
  uint64_t due_ms = next_look_ms_.load(kRelaxed);
  if (now_ms < due_ms) return;
  if (next_look_ms_.compare_exchange_strong(due_ms, now_ms + kLookMs, kRelaxed)) look(now_ms);
}

void Rollback::begin_anew() {
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < windows_.size(); ++i) {
    take_counts(i);  // they are of earlier times
    windows_[i].parts = {};
    windows_[i].sum = {};
  }
  rolled_back_.store(0, kRelaxed);
}

void Rollback::look(uint64_t now_ms) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  move_to(std::max(part_, now_ms / part_ms_));
  for (size_t i = 0; i < windows_.size(); ++i) take_counts(i);
  judge();
}

void Rollback::move_to(uint64_t part) {
  const uint64_t steps = std::min<uint64_t>(part - part_, kParts);
  for (Window& window : windows_) {
    for (uint64_t i = 1; i <= steps; ++i) {
      Sum& oldest = window.parts[(part - steps + i) % kParts];
      window.sum.subtract(oldest);
      oldest = {};
    }
  }
  part_ = part;
}

// What came since the last look counts as of now.
void Rollback::take_counts(size_t upstream) {
  const Totals& totals = totals_[upstream];
  Window& window = windows_[upstream];
  Sum now;
  now.answers = totals.answers.load(kRelaxed);
  now.errors = totals.errors.load(kRelaxed);
  now.left = totals.left.load(kRelaxed);
  for (size_t i = 0; i < now.latency.steps.size(); ++i) {
    now.latency.steps[i] = totals.latency.steps[i].load(kRelaxed);
  }
  Sum since = now;
  since.subtract(window.last);
  window.last = now;
  window.parts[part_ % kParts].add(since);
  window.sum.add(since);
}

void Rollback::judge() {
  for (size_t i = 1; i < windows_.size(); ++i) {
    if (is_rolled_back(i)) continue;
    std::string why = more_errors(i);
    if (why.empty()) why = more_latency(i);
    if (!why.empty()) take_back(i, why);
  }
}

// Empty: it is no worse than it may be.
std::string Rollback::more_errors(size_t upstream) const {
  const Sum& base = windows_.front().sum;
  const Sum& canary = windows_[upstream].sum;
  if (config_.error_rate_over == 0 || canary.errors < kErrorsMin) return {};
  if (std::min(base.answers, canary.answers) < config_.min_requests) return {};
  const double excess = rate(canary.errors, canary.answers) - rate(base.errors, base.answers);
  if (excess <= config_.error_rate_over) return {};
  return fmt::format("{} of {} answers were 5xx, {} of {} of {}", canary.errors, canary.answers,
                     base.errors, base.answers, upstreams_.front());
}

std::string Rollback::more_latency(size_t upstream) const {
  const Sum& base = windows_.front().sum;
  const Sum& canary = windows_[upstream].sum;
  const uint32_t known = std::min(base.answers + base.left, canary.answers + canary.left);
  if (config_.p95_over == 0 || known < config_.min_requests) return {};
  const double p95_us = latency_quantile_us(canary.latency, 0.95);
  const double base_p95_us = latency_quantile_us(base.latency, 0.95);
  if (p95_us <= base_p95_us * (1 + config_.p95_over)) return {};
  if (p95_us <= base_p95_us + kLatencyMarginUs) return {};
  return fmt::format("its p95 was {:.1f} ms, that of {} {:.1f} ms", p95_us / 1000,
                     upstreams_.front(), base_p95_us / 1000);
}

void Rollback::take_back(size_t upstream, const std::string& why) {
  rolled_back_.fetch_or(1u << upstream, kRelaxed);
  log_warn("split {}: upstream {} is rolled back: {}; its users go to {} until the split changes",
           split_, upstreams_[upstream], why, upstreams_.front());
}

}  // namespace weir::upstream
