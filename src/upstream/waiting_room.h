// The queues of one worker, one for each upstream that anybody has waited for: what joins
// queue.h's to the worker's clock, timers and mailbox.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "net/timer_wheel.h"
#include "upstream/cluster.h"
#include "upstream/queue.h"

namespace weir::net {
class Worker;
}

namespace weir::upstream {

// Owner: its ProxyWorker, as long as the loop runs. Thread-confined.
class WaitingRoom {
 public:
  explicit WaitingRoom(net::Worker& worker) : worker_(worker) {}
  ~WaitingRoom();

  // False: the queue is full. The waiter hears when it is its turn, or that it was refused.
  bool join(const Cluster& cluster, Waiter& waiter, bool again);

 private:
  // How often those that wait look for what nobody tells of: a server that has come back. What
  // pending_timeout bounds is kept to one tick of the timer wheel.
  static constexpr uint64_t kTickMs = 100;

  class Line final : public Bell {
   public:
    Line(net::Worker& worker, Gate& gate);
    bool join(Waiter& waiter, uint64_t timeout_ms, bool again);

   private:
    void ring() override;
    void answer_bell();
    void on_tick();
    void arm();

    net::Worker& worker_;
    Gate& gate_;
    WaitQueue queue_;
    net::Timer tick_;
    std::atomic<bool> rung_{false};  // any thread: a message is on its way
    bool telling_ = false;
  };

  net::Worker& worker_;
  std::vector<std::unique_ptr<Line>> lines_;  // by Cluster::index
};

}  // namespace weir::upstream
