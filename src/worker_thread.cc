#include "worker_thread.h"

#include <future>
#include <utility>

namespace weir {

namespace {

WorkerOrders orders(const SocketSet::Plan& plan, bool admin, size_t index,
                    std::shared_ptr<const proxy::Snapshot> snapshot) {
  WorkerOrders orders = {std::move(snapshot), admin ? plan.admin_slots : plan.slots, {}};
  for (const SocketSet::Opened& opened : plan.opened) {
    if (opened.admin != admin) continue;
    orders.sockets.push_back({opened.fds[index], opened.slot, opened.inherited});
  }
  return orders;
}

void obey(const WorkerOrders& orders, proxy::ProxyWorker& worker) {
  worker.publish(orders.snapshot, orders.slots);
  for (const WorkerOrders::Socket& socket : orders.sockets) {
    worker.listen(socket.fd, socket.slot, socket.inherited);
  }
}

}  // namespace

WorkerOrders orders_of(const SocketSet::Plan& plan, std::shared_ptr<const proxy::Snapshot> snapshot,
                       size_t index) {
  return orders(plan, false, index, std::move(snapshot));
}

WorkerOrders admin_orders_of(const SocketSet::Plan& plan,
                             std::shared_ptr<const proxy::Snapshot> snapshot) {
  return orders(plan, true, 0, std::move(snapshot));
}

void WorkerThread::start(WorkerOrders orders) {
  std::promise<void> started;
  thread_ = std::thread([this, &started, orders = std::move(orders)]() mutable {
    {
      proxy::ProxyWorker own({options_.index, &metrics_, options_.log_writer, options_.give_back});
      obey(orders, own);
      orders = {};
      set_worker(&own);
      started.set_value();  // what was captured by reference ends now
      own.run();
      set_worker(nullptr);
      was_cut_ = own.was_cut();
    }
    ended_.store(true);
    options_.on_ended();
  });
  started.get_future().wait();
}

void WorkerThread::set_worker(proxy::ProxyWorker* worker) {
  const std::lock_guard lock(mutex_);
  worker_ = worker;
}

bool WorkerThread::post(std::function<void(proxy::ProxyWorker&)> message) {
  const std::lock_guard lock(mutex_);
  if (worker_ == nullptr) return false;
  worker_->net().post([to = worker_, message = std::move(message)] { message(*to); });
  return true;
}

void WorkerThread::publish(WorkerOrders orders) {
  post([orders = std::move(orders)](proxy::ProxyWorker& worker) { obey(orders, worker); });
}

void WorkerThread::drain(uint64_t grace_ms) {
  post([grace_ms](proxy::ProxyWorker& worker) { worker.drain(grace_ms); });
}

bool WorkerThread::is_alive() {
  if (!answered_.exchange(false)) return ended();
  post([this](proxy::ProxyWorker&) { answered_.store(true); });
  return true;
}

bool WorkerThread::flush_log(std::function<void()> done) {
  return post([done = std::move(done)](proxy::ProxyWorker& worker) {
    worker.flush_log();
    done();
  });
}

}  // namespace weir
