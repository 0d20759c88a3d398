#include "net/helpers.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/cpus.h"
#include "base/limits.h"
#include "net/worker.h"

namespace weir::net {

void MailSlot::post(std::function<void(Worker&)> message) {
  std::lock_guard lock(mutex_);
  if (worker_ == nullptr) return;
  worker_->post([worker = worker_, message = std::move(message)] { message(*worker); });
}

void MailSlot::close() {
  std::lock_guard lock(mutex_);
  worker_ = nullptr;
}

struct Helpers::Shared {
  explicit Shared(size_t max) : queue_max(max) {}

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return stop || !queue.empty(); });
      if (stop) return;
      std::function<void()> work = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      work();
      work = nullptr;
      lock.lock();
    }
  }

  const size_t queue_max;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> queue;  // under the mutex
  bool stop = false;                        // under the mutex
  std::vector<std::thread> threads;
};

Helpers::Helpers(uint32_t threads, size_t queue_max)
    : shared_(std::make_unique<Shared>(queue_max)) {
  // Signals are for the main thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (uint32_t i = 0; i < threads; ++i) {
    shared_->threads.emplace_back([shared = shared_.get()] {
      // Of this thread alone, on Linux: on a machine that is busy, connections come first.
      constexpr int kBehindWorkers = 10;
      setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kBehindWorkers);
      shared->run();
    });
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Helpers::~Helpers() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
  }
  shared_->wake.notify_all();
  for (std::thread& thread : shared_->threads) thread.join();
}

bool Helpers::submit(std::function<void()> work) {
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->queue.size() >= shared_->queue_max) return false;
    shared_->queue.push_back(std::move(work));
  }
  shared_->wake.notify_one();
  return true;
}

Helpers& helpers() {
  static Helpers process(std::clamp<uint32_t>(usable_cpus() / 2, 1, 4), limits::kErrandsWaiting);
  return process;
}

Errand::Errand(Worker& worker, User& user)
    : worker_(worker),
      user_(user),
      deadline_(worker.timers(), this, &Timer::call<Errand, &Errand::on_deadline>) {}

bool Errand::start(Helpers& by, std::function<uint32_t()> work, uint64_t deadline_ms) {
  WEIR_CHECK(id_.generation == 0);
  id_ = worker_.errands().insert(*this);
  if (id_.generation == 0) return false;
  wanted_ = std::make_shared<std::atomic<bool>>(true);
  const bool taken =
      by.submit([to = worker_.mail_slot(), id = id_, wanted = wanted_, work = std::move(work)] {
        if (!wanted->load(std::memory_order_relaxed)) return;
        to->post([id, result = work()](Worker& worker) { deliver(worker, id, result); });
      });
  if (!taken) {
    end();
    return false;
  }
  deadline_.arm_ms(deadline_ms);
  return true;
}

void Errand::end() {
  if (id_.generation == 0) return;
  worker_.errands().erase(id_);
  id_ = {};
  wanted_->store(false, std::memory_order_relaxed);
  deadline_.cancel();
}

void Errand::deliver(Worker& worker, Id id, uint32_t result) {
  Errand* const errand = worker.errands().find(id);
  if (errand == nullptr) return;
  errand->end();
  errand->user_.on_errand_done(result);
}

void Errand::on_deadline() {
  end();
  user_.on_errand_late();
}

}  // namespace weir::net
