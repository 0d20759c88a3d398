// How many requests an upstream gets at once, over all workers, and how many may wait for a place.
// A Gate counts; who waits is in the workers' queues (queue.h).
//
// No wake-up is lost. A worker whose queue ceases to be empty (1) counts its waiter in pending_,
// (2) hangs its bell up, under the mutex, and (3) rings for whoever has waited longest, maybe
// itself. Who frees a place (a) lowers a count and (b) reads pending_ by a read-modify-write; if
// anybody waits it (c) looks at the bells under the mutex and rings the one with the oldest waiter.
// Read-modify-writes of one atomic have one order: if (b) comes before (1), then (3) happens after
// (a), and who is rung sees the free place. If (1) comes before (b), then (c) follows: under the
// mutex it comes either after (2), and finds the bell, or before, and then again (3) happens after
// (a). A queue that was not empty hangs already, so (c) finds a bell. Who is rung and finds nobody
// in its queue, or has served one, rings again, until somebody finds no place: he is woken by the
// next place that becomes free. What cannot be seen here (a server that comes back) is looked for
// by each queue's tick, which rings in the same way.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "upstream/adaptive.h"

namespace weir::upstream {

struct BreakerConfig {
  bool on = false;               // there is a circuit_breaker, or concurrency: adaptive
  bool adaptive = false;         // a limit learned from latency, below max_connections
  uint32_t max_connections = 0;  // requests at once, tunnels included; 0 = any number
  uint32_t max_pending = 200;    // that wait for a place; 0 = nobody waits
  uint64_t pending_timeout_ms = 1000;
};

// One worker's queue, as other workers see it. Its owner takes it off the gate before it ends.
class Bell {
 public:
  static constexpr uint64_t kNobody = UINT64_MAX;

  // Has the queue's worker look whether its first waiter finds a place, in a turn of its own. Any
  // thread; under the gate's mutex: may not call the gate.
  virtual void ring() = 0;

  // The ticket of who has waited longest there. Written by the queue's worker, read by any.
  std::atomic<uint64_t> oldest{kNobody};

 protected:
  ~Bell() = default;
};

// Part of ClusterState: as long-lived as the process. Any thread.
class Gate {
 public:
  // Of the newest configuration; for everybody at once, requests that wait included.
  void configure(const BreakerConfig& config);

  // ---- places ----
  // False: do not even ask for a server.
  bool has_room() const { return in_flight_.load(std::memory_order_relaxed) < limit(); }
  bool enter();  // takes a place; false: there is none
  // A place of an upstream or of one of its servers has become free: EVERY one, or somebody waits
  // for the next tick. After the count was lowered.
  void wake();
  void leave() {
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
    wake();
  }
  // A tunnel keeps its place among max_connections, but says nothing about latency: hours of
  // WebSockets may not use up the adaptive limit.
  void tunnel_began();
  void tunnel_ended() { tunnels_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }

  // ---- who waits ----
  bool anybody_waits() const { return pending_.load(std::memory_order_relaxed) != 0; }
  uint32_t pending() const { return pending_.load(std::memory_order_relaxed); }
  bool may_wait() const { return max_pending_.load(std::memory_order_relaxed) != 0; }
  // Counts one more. False: max_pending wait.
  bool begin_wait();
  void end_wait() { pending_.fetch_sub(1, std::memory_order_acq_rel); }
  // Rising; who has the lower one came first, on whatever worker.
  uint64_t ticket() { return next_ticket_.fetch_add(1, std::memory_order_relaxed); }
  void hang_up(Bell& bell);
  void take_off(Bell& bell);

  // ---- concurrency: adaptive ----
  bool adaptive() const { return adaptive_on_.load(std::memory_order_relaxed); }
  // How long a server took to answer a whole request; `failed`: it did not, for want of time.
  void note_answer(uint64_t now_us, uint64_t took_us, bool failed);
  uint32_t adaptive_limit() const { return learned_.limit(); }

 private:
  uint64_t limit() const;

  // One cache line: what each request of a limited upstream touches.
  alignas(64) std::atomic<uint32_t> in_flight_{0};
  std::atomic<uint32_t> tunnels_{0};  // of these
  std::atomic<uint32_t> pending_{0};
  std::atomic<uint32_t> max_connections_{0};
  std::atomic<uint32_t> max_pending_{0};
  std::atomic<bool> adaptive_on_{false};
  std::atomic<uint64_t> next_ticket_{1};  // 0 is for retries: before everybody
  std::mutex mutex_;
  std::vector<Bell*> bells_;  // under mutex_; of queues that are not empty
  AdaptiveLimit learned_;
};

}  // namespace weir::upstream
