// Outlier detection: a server whose answers are worse than those of others is ejected for a while.
// Workers only count; one thread (the Checker's) judges, so that max_ejected holds exactly.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "upstream/cluster.h"

namespace weir::upstream {

// An answer's head has come, or a try has failed (status 0). Any thread.
inline void note_answer(const Cluster& cluster, const Server& server, int status,
                        uint64_t latency_us) {
  if (!cluster.outlier) return;
  constexpr auto kRelaxed = std::memory_order_relaxed;
  EndpointState& state = *server.state;
  state.answers.fetch_add(1, kRelaxed);
  if (status == 0 || status >= 500) state.errors.fetch_add(1, kRelaxed);
  const uint64_t late_us = cluster.outlier->latency_ms * 1000;
  if (late_us != 0 && latency_us > late_us) state.slow.fetch_add(1, kRelaxed);
}

// A try was given up after so long without an answer: what is not late by now might have been in
// time.
inline void note_late(const Cluster& cluster, const Server& server, uint64_t waited_us) {
  if (!cluster.outlier || cluster.outlier->latency_ms == 0) return;
  if (waited_us > cluster.outlier->latency_ms * 1000) note_answer(cluster, server, 200, waited_us);
}

struct AnswerCounts {
  uint64_t answers = 0;
  uint64_t errors = 0;
  uint64_t slow = 0;
};

// The answers of one server within the last window, in tenths of it.
class AnswerWindow {
 public:
  // `total`: since ever. Often: what came since the last call counts as of now.
  void add(const AnswerCounts& total, uint64_t now_ms, uint64_t window_ms);
  const AnswerCounts& sum() const { return sum_; }
  // What has been counted so far says nothing of what comes.
  void forget();

 private:
  static constexpr size_t kParts = 10;
  void move_to(uint64_t part);

  std::array<AnswerCounts, kParts> parts_;
  AnswerCounts sum_;   // of them
  AnswerCounts last_;  // the total at the last call
  uint64_t part_ = 0;  // the present one, since time began
  bool begun_ = false;
};

// One cluster's, over reloads. Thread: the Checker's.
class OutlierJudge {
 public:
  // What is known of servers that stay is kept; the others' ejections end.
  // REQUIRES: cluster->outlier.
  void take(std::shared_ptr<const Cluster> cluster);
  // Ejects who deserves it and ends what is over. Often. True: something has changed.
  bool look(uint64_t now_ms);
  // Outlier detection ends: so do all ejections.
  void end();

 private:
  enum class Fault : uint8_t { kNone, kErrors, kLatency };
  struct Record {
    std::shared_ptr<EndpointState> state;
    AnswerWindow window;
    uint32_t times = 0;        // ejected, without a long enough good time in between
    uint64_t sentence_ms = 0;  // of the last one
    uint64_t ended_ms = 0;     // when that was over
  };
  struct Suspect {
    const Server* server;
    Record* record;
    Fault fault;
    double badness;
  };
  Fault fault_of(const AnswerCounts& counts) const;
  bool end_ejection(const Server& server, Record& record, uint64_t now_ms) const;
  void eject(const Suspect& suspect, uint64_t now_ms) const;

  std::shared_ptr<const Cluster> cluster_;
  std::unordered_map<const EndpointState*, Record> records_;
};

}  // namespace weir::upstream
