#include "upstream/outlier.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "upstream/health.h"

namespace weir::upstream {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// An ejection lasts twice as long as the one before, up to 2^3 times `eject`.
constexpr uint32_t kDoublingsMax = 3;

AnswerCounts counts_of(const EndpointState& state) {
  return {state.answers.load(kRelaxed), state.errors.load(kRelaxed), state.slow.load(kRelaxed)};
}

bool is_ejected(const EndpointState& state) {
  return (state.barriers.load(kRelaxed) & kEjected) != 0;
}

void set_free(EndpointState& state) {
  state.barriers.fetch_and(~static_cast<uint32_t>(kEjected), kRelaxed);
  state.ejected_until_ms.store(0, kRelaxed);
}

double share(uint64_t part, uint64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void AnswerWindow::move_to(uint64_t part) {
  const uint64_t steps = std::min<uint64_t>(part - part_, kParts);
  for (uint64_t i = 0; i < steps; ++i) {
    AnswerCounts& oldest = parts_[++part_ % kParts];
    sum_.answers -= oldest.answers;
    sum_.errors -= oldest.errors;
    sum_.slow -= oldest.slow;
    oldest = {};
  }
  part_ = part;
}

void AnswerWindow::add(const AnswerCounts& total, uint64_t now_ms, uint64_t window_ms) {
  const uint64_t part = now_ms / std::max<uint64_t>(1, window_ms / kParts);
  if (!begun_) {
    begun_ = true;
    last_ = total;
    part_ = part;
  }
  if (part < part_) {  // a reload has made the window longer
    forget();
    part_ = part;
  }
  if (part > part_ + kParts) {
    parts_ = {};
    sum_ = {};
    part_ = part;
  }
  move_to(part);
  const auto count = [](uint64_t& here, uint64_t& sum, uint64_t now, uint64_t before) {
    here += now - before;
    sum += now - before;
  };
  AnswerCounts& here = parts_[part_ % kParts];
  count(here.answers, sum_.answers, total.answers, last_.answers);
  count(here.errors, sum_.errors, total.errors, last_.errors);
  count(here.slow, sum_.slow, total.slow, last_.slow);
  last_ = total;
}

void AnswerWindow::forget() {
  parts_ = {};
  sum_ = {};
}

void OutlierJudge::take(std::shared_ptr<const Cluster> cluster) {
  cluster_ = std::move(cluster);
  std::unordered_map<const EndpointState*, Record> kept;
  for (const Server& server : cluster_->servers) {
    if (server.backup) continue;
    const auto known = records_.find(server.state.get());
    if (known == records_.end()) {
      kept.try_emplace(server.state.get()).first->second.state = server.state;
    } else {
      kept.insert(records_.extract(known));
    }
  }
  end();  // of those that are left
  records_ = std::move(kept);
}

void OutlierJudge::end() {
  for (auto& [key, record] : records_) set_free(*record.state);
  records_.clear();
}

OutlierJudge::Fault OutlierJudge::fault_of(const AnswerCounts& counts) const {
  const OutlierConfig& config = *cluster_->outlier;
  if (counts.answers < config.min_requests) return Fault::kNone;
  if (config.error_rate > 0 && share(counts.errors, counts.answers) >= config.error_rate) {
    return Fault::kErrors;
  }
  // The median: one slow page of many is the page's fault.
  if (config.latency_ms > 0 && counts.slow * 2 > counts.answers) return Fault::kLatency;
  return Fault::kNone;
}

bool OutlierJudge::look(uint64_t now_ms) {
  bool changed = false;
  size_t servers = 0;
  size_t ejected = 0;
  std::vector<Suspect> suspects;
  for (const Server& server : cluster_->servers) {
    if (server.backup) continue;
    ++servers;
    Record& record = records_.find(server.state.get())->second;
    record.window.add(counts_of(*server.state), now_ms, cluster_->outlier->window_ms);
    if (is_ejected(*server.state)) {
      if (end_ejection(server, record, now_ms)) {
        changed = true;
      } else {
        ++ejected;
      }
      continue;
    }
    if (record.times > 0 && now_ms - record.ended_ms >= record.sentence_ms) record.times = 0;
    const AnswerCounts& counts = record.window.sum();
    const Fault fault = fault_of(counts);
    if (fault == Fault::kNone) continue;
    suspects.push_back(
        {&server, &record, fault, share(counts.errors + counts.slow, counts.answers)});
  }
  std::stable_sort(suspects.begin(), suspects.end(),
                   [](const Suspect& a, const Suspect& b) { return a.badness > b.badness; });
  const auto allowed =
      static_cast<size_t>(cluster_->outlier->max_ejected * static_cast<double>(servers));
  for (const Suspect& suspect : suspects) {
    if (ejected >= allowed) break;
    if (is_ejected(*suspect.server->state)) continue;  // listed twice
    eject(suspect, now_ms);
    ++ejected;
    changed = true;
  }
  return changed;
}

bool OutlierJudge::end_ejection(const Server& server, Record& record, uint64_t now_ms) const {
  if (now_ms < server.state->ejected_until_ms.load(kRelaxed)) return false;
  record.window.forget();
  record.ended_ms = now_ms;
  begin_slow_start(server, now_ms);
  set_free(*server.state);
  log_info("upstream {}: server {} is back after its ejection", cluster_->name, server.address);
  return true;
}

void OutlierJudge::eject(const Suspect& suspect, uint64_t now_ms) const {
  EndpointState& state = *suspect.server->state;
  Record& record = *suspect.record;
  const AnswerCounts& counts = record.window.sum();
  record.sentence_ms = cluster_->outlier->eject_ms << std::min(record.times, kDoublingsMax);
  ++record.times;
  state.ejected_until_ms.store(now_ms + record.sentence_ms, kRelaxed);
  state.barriers.fetch_or(kEjected, kRelaxed);
  if (suspect.fault == Fault::kErrors) {
    state.ejections_for_errors.fetch_add(1, kRelaxed);
    log_warn("upstream {}: server {} is ejected for {} ms: {} of {} answers were errors",
             cluster_->name, suspect.server->address, record.sentence_ms, counts.errors,
             counts.answers);
  } else {
    state.ejections_for_latency.fetch_add(1, kRelaxed);
    log_warn("upstream {}: server {} is ejected for {} ms: {} of {} answers took over {} ms",
             cluster_->name, suspect.server->address, record.sentence_ms, counts.slow,
             counts.answers, cluster_->outlier->latency_ms);
  }
  record.window.forget();
}

}  // namespace weir::upstream
