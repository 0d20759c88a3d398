// Queues of several workers at one gate, with real loops: no wake-up is lost between them.
#include "upstream/waiting_room.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "net/worker.h"

namespace weir::upstream {
namespace {

Cluster limited(ClusterState& state, uint32_t places, uint32_t max_pending) {
  Cluster cluster;
  cluster.name = state.name;
  cluster.state = std::shared_ptr<ClusterState>(&state, [](ClusterState*) {});
  cluster.breaker.on = true;
  cluster.breaker.max_connections = places;
  cluster.breaker.max_pending = max_pending;
  cluster.breaker.pending_timeout_ms = 60'000;
  state.gate.configure(cluster.breaker);
  return cluster;
}

// What an exchange does, many times over: gets a place, holds it for a turn of the loop, leaves.
class Visitor final : public Waiter::User {
 public:
  Visitor(net::Worker& worker, WaitingRoom& room, const Cluster& cluster, int visits,
          std::atomic<int>& inside, std::atomic<int>& most, std::atomic<int>& done)
      : worker_(worker),
        room_(room),
        cluster_(cluster),
        visits_(visits),
        inside_(inside),
        most_(most),
        done_(done),
        waiter_(*this) {}

  void come() {
    if (!cluster_.state->gate.anybody_waits() && cluster_.state->gate.enter()) return stay();
    if (!room_.join(cluster_, waiter_, false)) std::abort();
  }

 private:
  void on_turn() override {
    if (!cluster_.state->gate.enter()) return;
    waiter_.leave();
    stay();
  }
  void on_refused(Refusal) override { std::abort(); }
  void stay() {
    const int now = ++inside_;
    int most = most_.load();
    while (now > most && !most_.compare_exchange_weak(most, now)) {
    }
    worker_.post([this] { go(); });
  }
  void go() {
    --inside_;
    cluster_.state->gate.leave();
    if (--visits_ > 0) return come();
    ++done_;
  }

  net::Worker& worker_;
  WaitingRoom& room_;
  const Cluster& cluster_;
  int visits_;
  std::atomic<int>& inside_;
  std::atomic<int>& most_;
  std::atomic<int>& done_;
  Waiter waiter_;
};

TEST_CASE("waiting room: no wake-up is lost between workers", "[threads]") {
  constexpr int kWorkers = 4;
  constexpr int kVisitors = 8;  // of each
  constexpr int kVisits = 300;
  constexpr int kPlaces = 3;
  ClusterState state("app", 0);
  const Cluster cluster = limited(state, kPlaces, kWorkers * kVisitors);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  const auto began = std::chrono::steady_clock::now();
  for (int w = 0; w < kWorkers; ++w) {
    threads.emplace_back([&, w] {
      net::Worker worker(static_cast<uint32_t>(w));
      WaitingRoom room(worker);
      std::vector<std::unique_ptr<Visitor>> visitors;
      worker.post([&] {
        for (int v = 0; v < kVisitors; ++v) {
          visitors.push_back(
              std::make_unique<Visitor>(worker, room, cluster, kVisits, inside, most, done));
          visitors.back()->come();
        }
      });
      // Bells may ring here until the last visitor of all workers has gone.
      std::thread ender([&] {
        while (done.load() < kWorkers * kVisitors) {
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        worker.post([&] { worker.stop(); });
      });
      worker.run();
      ender.join();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(done == kWorkers * kVisitors);
  CHECK(most <= kPlaces);
  CHECK(state.gate.in_flight() == 0);
  CHECK(state.gate.pending() == 0);
  // A lost wake-up would cost a tick of 100 ms each time: a few in 9,600 would be seen here.
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(30));
}

// The places are all on one worker, who waits is on the other: the tick is switched off by leaving
// before it comes.
TEST_CASE("waiting room: a place that one worker frees wakes who waits on another", "[threads]") {
  struct Guest final : Waiter::User {
    Guest(Gate& gate, std::promise<void>& served) : gate_(gate), served_(served), waiter(*this) {}
    void on_turn() override {
      if (!gate_.enter()) return;
      waiter.leave();
      served_.set_value();
    }
    void on_refused(Refusal) override { std::abort(); }
    Gate& gate_;
    std::promise<void>& served_;
    Waiter waiter;
  };
  ClusterState state("app", 0);
  const Cluster cluster = limited(state, 1, 10);
  for (int round = 0; round < 50; ++round) {
    REQUIRE(state.gate.enter());
    std::promise<net::Worker*> joined;
    std::promise<void> served;
    std::thread thread([&] {
      net::Worker worker(1);
      WaitingRoom room(worker);
      Guest guest(state.gate, served);
      worker.post([&] {
        room.join(cluster, guest.waiter, false);
        joined.set_value(&worker);
      });
      worker.run();
    });
    net::Worker* worker = joined.get_future().get();
    state.gate.leave();
    served.get_future().wait();
    CHECK(state.gate.pending() == 0);
    worker->post([worker] { worker->stop(); });
    thread.join();
    state.gate.leave();
  }
}

}  // namespace
}  // namespace weir::upstream
