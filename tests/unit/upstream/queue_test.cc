// First come, first served; bounds; and shedding, with a clock that is turned by hand.
#include "upstream/queue.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace weir::upstream {
namespace {

constexpr uint64_t kMsUs = 1000;
constexpr uint64_t kStartUs = 1'000'000;

struct CountingBell final : Bell {
  void ring() override { ++rings; }
  int rings = 0;
};

// A request that waits, takes a place when it can, and writes down what became of it.
struct Guest final : Waiter::User {
  Guest(Gate& gate, std::string& log, std::string name)
      : gate_(gate), log_(log), name_(std::move(name)), waiter(*this) {}
  void on_turn() override {
    if (!gate_.enter()) return;
    waiter.leave();
    log_ += name_;
  }
  void on_refused(Refusal why) override { log_ += name_ + (why == Refusal::kShed ? "-" : "!"); }

  Gate& gate_;
  std::string& log_;
  const std::string name_;
  Waiter waiter;
};

struct World {
  explicit World(uint32_t places = 1, uint32_t max_pending = 10) {
    BreakerConfig config;
    config.on = true;
    config.max_connections = places;
    config.max_pending = max_pending;
    gate.configure(config);
    while (gate.enter()) {
    }
  }
  Guest& guest(const std::string& name) {
    guests.push_back(std::make_unique<Guest>(gate, log, name));
    return *guests.back();
  }
  bool join(const std::string& name, uint64_t now_us, uint64_t timeout_ms = 1000,
            bool again = false) {
    return queue.join(guest(name).waiter, now_us, timeout_ms, again);
  }

  Gate gate;
  CountingBell bell;
  WaitQueue queue{gate, bell};
  std::string log;
  std::deque<std::unique_ptr<Guest>> guests;
};

TEST_CASE("queue: first come, first served, one for each place") {
  World world;
  for (const char* name : {"a", "b", "c"}) CHECK(world.join(name, kStartUs));
  CHECK(world.gate.pending() == 3);
  world.queue.serve(kStartUs);
  CHECK(world.log.empty());  // no place: he stays the first
  world.bell.rings = 0;
  for (const char* served : {"a", "ab", "abc"}) {
    world.gate.leave();
    CHECK(world.bell.rings > 0);
    world.queue.serve(kStartUs);
    CHECK(world.log == served);
  }
  CHECK(world.gate.pending() == 0);
  CHECK(world.queue.empty());
}

TEST_CASE("queue: who has served one looks whether there is room for the next") {
  World world(2);
  world.join("a", kStartUs);
  world.join("b", kStartUs);
  world.gate.leave();
  world.gate.leave();
  world.bell.rings = 0;
  world.queue.serve(kStartUs);
  CHECK(world.log == "a");
  CHECK(world.bell.rings == 1);
  world.queue.serve(kStartUs);
  CHECK(world.log == "ab");
}

TEST_CASE("queue: a retry goes before those that had no place yet, behind other retries") {
  World world;
  world.join("a", kStartUs);
  world.join("x", kStartUs, 1000, true);
  world.join("y", kStartUs, 1000, true);
  for (int i = 0; i < 3; ++i) {
    world.gate.leave();
    world.queue.serve(kStartUs);
  }
  CHECK(world.log == "xya");
}

TEST_CASE("queue: max_pending is of all queues of the upstream together") {
  World world(1, 3);
  CountingBell other_bell;
  WaitQueue other(world.gate, other_bell);
  CHECK(world.join("a", kStartUs));
  CHECK(other.join(world.guest("b").waiter, kStartUs, 1000, false));
  CHECK(world.join("c", kStartUs));
  CHECK_FALSE(world.join("d", kStartUs));
  CHECK_FALSE(other.join(world.guest("e").waiter, kStartUs, 1000, false));
  world.guests[1]->waiter.leave();  // its client is gone
  CHECK(other.empty());
  CHECK(world.join("f", kStartUs));
  CHECK(world.gate.pending() == 3);
}

TEST_CASE("queue: the oldest of all workers is rung") {
  World world;
  CountingBell other_bell;
  WaitQueue other(world.gate, other_bell);
  other.join(world.guest("first").waiter, kStartUs, 1000, false);
  world.join("second", kStartUs);
  const int before = world.bell.rings;
  other_bell.rings = 0;
  world.gate.leave();
  CHECK(other_bell.rings == 1);
  CHECK(world.bell.rings == before);
  world.guests[0]->waiter.leave();  // gone before it was its turn:
  other.serve(kStartUs);            // the bell finds nobody, and the next one is rung
  CHECK(world.bell.rings == before + 1);
}

TEST_CASE("queue: nobody waits for longer than his timeout") {
  World world;
  world.join("a", kStartUs, 100);
  world.join("b", kStartUs + 60 * kMsUs, 100);
  world.join("r", kStartUs + 70 * kMsUs, 10, true);
  CHECK(world.queue.left_us(kStartUs + 70 * kMsUs) == 10 * kMsUs);
  world.queue.expire(kStartUs + 99 * kMsUs);
  CHECK(world.log == "r!");
  world.queue.expire(kStartUs + 100 * kMsUs);
  CHECK(world.log == "r!a!");
  CHECK(world.queue.left_us(kStartUs + 100 * kMsUs) == 60 * kMsUs);
  world.queue.expire(kStartUs + 160 * kMsUs);
  CHECK(world.log == "r!a!b!");
  CHECK(world.gate.pending() == 0);
}

TEST_CASE("queue: who dies has left") {
  World world;
  for (const char* name : {"a", "b", "c"}) world.join(name, kStartUs);
  world.guests.pop_front();
  CHECK(world.gate.pending() == 2);
  world.gate.leave();
  world.queue.serve(kStartUs);
  CHECK(world.log == "b");
  world.guests.clear();
  CHECK(world.gate.pending() == 0);
  CHECK(world.queue.empty());
}

// ---- shedding ----

TEST_CASE("standing delay: above the target without a break for an interval") {
  StandingDelay delay;
  constexpr uint64_t kTargetUs = 50 * kMsUs;
  delay.observe(kStartUs, 60 * kMsUs, kTargetUs);
  delay.observe(kStartUs + 99 * kMsUs, 60 * kMsUs, kTargetUs);
  CHECK_FALSE(delay.standing());
  delay.observe(kStartUs + 99 * kMsUs, 49 * kMsUs, kTargetUs);  // a break
  delay.observe(kStartUs + 100 * kMsUs, 60 * kMsUs, kTargetUs);
  CHECK_FALSE(delay.standing());
  delay.observe(kStartUs + 200 * kMsUs, 60 * kMsUs, kTargetUs);
  CHECK(delay.standing());
  delay.observe(kStartUs + 201 * kMsUs, 49 * kMsUs, kTargetUs);  // it hovers at the target
  CHECK(delay.standing());
  delay.observe(kStartUs + 202 * kMsUs, 24 * kMsUs, kTargetUs);
  CHECK_FALSE(delay.standing());
}

TEST_CASE("standing delay: the target is a twentieth of the timeout, 5 ms at least") {
  CHECK(StandingDelay::target_us(1000) == 50 * kMsUs);
  CHECK(StandingDelay::target_us(10) == 5 * kMsUs);
}

TEST_CASE("queue: a burst that nobody adds to loses nobody") {
  World world(1, 100);
  for (int i = 0; i < 50; ++i) world.join("x", kStartUs);
  for (uint64_t ms = 0; ms < 500; ms += 10) {  // it takes ten times the target to drain
    world.gate.leave();
    world.queue.serve(kStartUs + ms * kMsUs);
    world.queue.expire(kStartUs + ms * kMsUs);
  }
  CHECK(world.log == std::string(50, 'x'));
}

TEST_CASE("queue: where the delay stands, a newcomer replaces the oldest") {
  World world(1, 3);
  world.join("a", kStartUs);
  world.join("b", kStartUs);
  world.queue.serve(kStartUs + 60 * kMsUs);  // looks: above the target since now
  CHECK(world.join("c", kStartUs + 150 * kMsUs));
  CHECK_FALSE(world.join("d", kStartUs + 155 * kMsUs));  // full, and not for long enough
  CHECK(world.join("e", kStartUs + 160 * kMsUs));
  CHECK(world.gate.pending() == 3);
  CHECK(world.queue.has_refused());
  CHECK(world.log.empty());  // told behind the newcomer's stack
  world.queue.tell_refused();
  CHECK(world.log == "a-");
  CHECK(world.join("f", kStartUs + 161 * kMsUs));
  world.guests[1]->waiter.leave();  // was shed, and leaves before he is told
  world.queue.tell_refused();
  CHECK(world.log == "a-");
  CHECK_FALSE(world.join("g", kStartUs + 162 * kMsUs));  // c is below the target
}

// An overload in virtual time: `rate` requests per second come, `capacity` are served.
struct Overload {
  std::vector<uint64_t> waits_us;  // of the served
  uint64_t shed = 0;
  uint64_t full = 0;
  uint64_t idle = 0;  // turns at which a place was free and nobody waited
};

Overload overload(uint64_t rate, uint64_t capacity, uint64_t seconds, uint32_t max_pending) {
  struct Client final : Waiter::User {
    explicit Client(Overload& result) : result_(result), waiter(*this) {}
    void on_turn() override {
      served = true;
      waiter.leave();
    }
    void on_refused(Refusal) override { ++result_.shed; }
    Overload& result_;
    bool served = false;
    uint64_t since_us = 0;
    Waiter waiter;
  };
  World world(1, max_pending);
  Overload result;
  std::deque<std::unique_ptr<Client>> clients;
  uint64_t next_arrival_us = kStartUs;
  uint64_t next_free_us = kStartUs;
  while (next_free_us < kStartUs + seconds * 1'000'000) {
    if (next_arrival_us <= next_free_us) {
      clients.push_back(std::make_unique<Client>(result));
      clients.back()->since_us = next_arrival_us;
      if (!world.queue.join(clients.back()->waiter, next_arrival_us, 1000, false)) ++result.full;
      world.queue.tell_refused();
      next_arrival_us += 1'000'000 / rate;
      continue;
    }
    while (!clients.empty() && !clients.front()->waiter.waiting()) clients.pop_front();
    if (clients.empty()) {
      ++result.idle;
    } else {
      world.queue.serve(next_free_us);
      if (clients.front()->served) {
        result.waits_us.push_back(next_free_us - clients.front()->since_us);
      }
    }
    next_free_us += 1'000'000 / capacity;
  }
  return result;
}

TEST_CASE("queue: three times the capacity: servers stay busy and the delay at its target") {
  for (const uint64_t capacity : {200u, 1000u, 5000u}) {
    CAPTURE(capacity);
    Overload result = overload(3 * capacity, capacity, 20, 100'000);
    CHECK(result.idle <= 1);  // before the first one came
    CHECK(result.full == 0);
    CHECK(result.waits_us.size() >= 20 * capacity - 10);
    std::sort(result.waits_us.begin(), result.waits_us.end());
    const uint64_t p50_us = result.waits_us[result.waits_us.size() / 2];
    const uint64_t p99_us = result.waits_us[result.waits_us.size() * 99 / 100];
    CHECK(p50_us <= 55 * kMsUs);
    CHECK(p99_us <= 100 * kMsUs);
  }
}

TEST_CASE("queue: below the capacity nobody is shed") {
  const Overload result = overload(900, 1000, 5, 200);
  CHECK(result.shed == 0);
  CHECK(result.full == 0);
}

}  // namespace
}  // namespace weir::upstream
