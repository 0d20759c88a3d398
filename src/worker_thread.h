// One thread with its worker, as the main thread sees it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "proxy/log_writer.h"
#include "proxy/metrics.h"
#include "proxy/proxy_worker.h"
#include "proxy/snapshot.h"
#include "sockets.h"

namespace weir {

// What a worker is told of one configuration: the part of it that is its own.
struct WorkerOrders {
  struct Socket {
    int fd;  // the worker's own from now on
    uint32_t slot;
    bool inherited;
  };
  std::shared_ptr<const proxy::Snapshot> snapshot;
  std::vector<uint32_t> slots;  // of snapshot->listeners
  std::vector<Socket> sockets;
};

// Of `plan`, for the worker `index` of those that serve clients, and for the admin's.
WorkerOrders orders_of(const SocketSet::Plan& plan, std::shared_ptr<const proxy::Snapshot> snapshot,
                       size_t index);
WorkerOrders admin_orders_of(const SocketSet::Plan& plan,
                             std::shared_ptr<const proxy::Snapshot> snapshot);

// Main thread only, but for what says otherwise. The worker lives on its thread only, from start()
// until it has drained; join() before the end.
class WorkerThread {
 public:
  struct Options {
    uint32_t index = 0;
    proxy::LogWriter* log_writer = nullptr;  // null: no access log; outlives the thread
    // Both on the worker's thread.
    std::function<void(std::shared_ptr<const proxy::Snapshot>)> give_back;
    std::function<void()> on_ended;
  };
  explicit WorkerThread(Options options) : options_(std::move(options)) {}

  void start(WorkerOrders orders);  // returns when it serves
  void publish(WorkerOrders orders);
  void drain(uint64_t grace_ms);
  // Asks for a sign of life; false when the last one has not come yet. An ended one is well.
  bool is_alive();
  // Hands the lines of the access log that it holds to the writer, in its next turn; then calls
  // `done` on its thread. False, and no call, when it is ending: it does so by itself.
  bool flush_log(std::function<void()> done);
  // Any thread. False: the worker is ending, and `message` is not run.
  bool post(std::function<void(proxy::ProxyWorker&)> message);
  void join() { thread_.join(); }
  void abandon() { thread_.detach(); }  // the process ends under it: nobody will join()

  bool ended() const { return ended_.load(); }
  bool was_cut() const { return was_cut_; }       // after join()
  proxy::Metrics& metrics() { return metrics_; }  // any thread

 private:
  void set_worker(proxy::ProxyWorker* worker);

  const Options options_;
  proxy::Metrics metrics_;
  std::mutex mutex_;
  proxy::ProxyWorker* worker_ = nullptr;  // under the mutex; null: it takes no messages
  std::atomic<bool> ended_{false};
  std::atomic<bool> answered_{true};  // the last is_alive()
  bool was_cut_ = false;
  std::thread thread_;
};

}  // namespace weir
