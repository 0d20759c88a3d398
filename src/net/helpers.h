// Threads for work that is too long for a worker's loop and waits for nothing, such as hashing a
// password. One set per process, started by its first errand.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "base/slot_map.h"
#include "net/timer_wheel.h"

namespace weir::net {

class Worker;

// Where other threads leave messages for a worker that may be gone by then: those are dropped. Made
// and closed by its worker; any thread posts.
class MailSlot {
 public:
  explicit MailSlot(Worker& worker) : worker_(&worker) {}
  void post(std::function<void(Worker&)> message);
  void close();

 private:
  std::mutex mutex_;
  Worker* worker_;  // null: gone
};

// Any thread. The destructor waits for what is being done and drops what waits.
class Helpers {
 public:
  Helpers(uint32_t threads, size_t queue_max);
  ~Helpers();
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

  // False: the queue is full, and `work` will never run.
  bool submit(std::function<void()> work);

 private:
  struct Shared;
  const std::unique_ptr<Shared> shared_;
};

// The process's: half its CPUs, four at most, and behind the workers where there are too few.
Helpers& helpers();

// Work that helpers do for somebody on a worker, who hears of its end in a later turn. A member of
// whoever waits; ended or destroyed before, nobody hears anything. Thread: the worker's.
class Errand {
 public:
  class User {
   public:
    // The result of the work.
    virtual void on_errand_done(uint32_t result) = 0;
    // It has taken too long; what becomes of it is not told.
    virtual void on_errand_late() = 0;

   protected:
    ~User() = default;
  };

  Errand(Worker& worker, User& user);
  ~Errand() { end(); }
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

  // `work` runs on another thread and captures values, no pointer to what is a worker's. False: too
  // much is waiting already. REQUIRES: no work is under way.
  bool start(Helpers& by, std::function<uint32_t()> work, uint64_t deadline_ms);
  void end();

 private:
  static void deliver(Worker& worker, Id id, uint32_t result);
  void on_deadline();

  Worker& worker_;
  User& user_;
  Id id_;                                      // in Worker::errands(); generation 0: none
  std::shared_ptr<std::atomic<bool>> wanted_;  // false: work that waits need not be done
  Timer deadline_;
};

}  // namespace weir::net
