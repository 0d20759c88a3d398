#include "upstream/adaptive.h"

#include <algorithm>
#include <cmath>

namespace weir::upstream {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr double kSmoothing = 0.2;
constexpr double kBackOff = 0.9;       // where a tenth of the answers did not come in time
constexpr uint32_t kProbeWindows = 3;  // two without the crowd

double least(double a, double b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

}  // namespace

double AdaptiveLaw::base_us() const { return least(present_us_, past_us_); }

void AdaptiveLaw::remember(uint64_t now_us, double mean_us) {
  if (began_us_ == 0) began_us_ = now_us;
  present_us_ = least(present_us_, mean_us);
  if (before_probe_ != 0) {
    if (++probe_windows_ < kProbeWindows) return;
    limit_ = before_probe_;
    before_probe_ = 0;
    return;
  }
  if (now_us - began_us_ < kMemoryUs) return;
  began_us_ = now_us;
  past_us_ = present_us_;
  present_us_ = 0;
  before_probe_ = limit_;
  probe_windows_ = 0;
}

uint32_t AdaptiveLaw::update(uint64_t now_us, const Window& window, uint32_t highest) {
  const double most = std::max<double>(highest, 1);
  const double lowest = std::min(kLowest, most);
  if (window.answers > 0) {
    remember(now_us, static_cast<double>(window.total_us) / static_cast<double>(window.answers));
  }
  if (window.failures * 10 > window.answers) {
    limit_ *= kBackOff;
  } else if (window.answers > 0 && before_probe_ == 0) {
    const double recent_us =
        static_cast<double>(window.total_us) / static_cast<double>(window.answers);
    const double gradient = std::clamp(kTolerance * base_us() / std::max(recent_us, 1.0), 0.5, 1.0);
    const double wanted = limit_ * gradient + std::sqrt(limit_);
    const bool unused = window.in_flight * 2.0 < limit_;
    if (!unused || wanted < limit_) limit_ += (wanted - limit_) * kSmoothing;
  }
  limit_ = std::clamp(limit_, lowest, most);
  const double now = before_probe_ == 0 ? limit_ : std::max(lowest, before_probe_ / 2);
  return static_cast<uint32_t>(now);
}

bool AdaptiveLimit::note(uint64_t now_us, uint64_t took_us, bool failed, uint32_t in_flight) {
  if (failed) {
    failures_.fetch_add(1, kRelaxed);
  } else {
    total_us_.fetch_add(took_us, kRelaxed);
    answers_.fetch_add(1, kRelaxed);
  }
  if (now_us < window_ends_us_.load(kRelaxed)) return false;
  if (answers_.load(kRelaxed) + failures_.load(kRelaxed) < AdaptiveLaw::kAnswersMin) return false;
  if (computing_.exchange(true, std::memory_order_acquire)) return false;
  // Answers that come meanwhile are of this window or of the next, their latency perhaps of the
  // other: one of many.
  AdaptiveLaw::Window window;
  window.answers = answers_.exchange(0, kRelaxed);
  window.total_us = total_us_.exchange(0, kRelaxed);
  window.failures = failures_.exchange(0, kRelaxed);
  window.in_flight = in_flight;
  const uint32_t before = limit();
  const uint32_t now = law_.update(now_us, window, highest_.load(kRelaxed));
  limit_.store(now, kRelaxed);
  window_ends_us_.store(now_us + AdaptiveLaw::kWindowUs, kRelaxed);
  computing_.store(false, std::memory_order_release);
  return now > before;
}

}  // namespace weir::upstream
