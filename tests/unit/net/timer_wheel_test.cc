// The wheel against a model: never early, at most a tick late, however far, however often re-armed.
#include "net/timer_wheel.h"

#include <catch2/catch.hpp>

#include <memory>
#include <random>
#include <vector>

namespace weir::net {
namespace {

constexpr uint64_t kTick = TimerWheel::kTickMs;

// Remembers when it fired.
struct Probe {
  explicit Probe(TimerWheel& of)
      : wheel(of), timer(of, this, &Timer::call<Probe, &Probe::on_time>) {}
  void on_time() { fired_at_ms.push_back(wheel.now_ms()); }
  TimerWheel& wheel;
  std::vector<uint64_t> fired_at_ms;
  Timer timer;
};

// As the loop does it: sleeps until the wheel wants to be woken.
void run_until(TimerWheel& wheel, uint64_t end_ms) {
  for (;;) {
    const uint64_t at_ms = wheel.next_wakeup_ms();
    if (at_ms == 0 || at_ms > end_ms) break;
    REQUIRE(at_ms > wheel.now_ms());
    wheel.advance(at_ms);
  }
  wheel.advance(end_ms);
}

TEST_CASE("a timer knows what is left of its time") {
  TimerWheel wheel(1000);
  Probe probe(wheel);
  CHECK(probe.timer.left_ms() == 0);
  probe.timer.arm_ms(100);
  CHECK(probe.timer.left_ms() == 100);
  wheel.set_now_ms(1060);
  CHECK(probe.timer.left_ms() == 40);
  wheel.set_now_ms(1200);  // due, not fired yet
  CHECK(probe.timer.left_ms() == 0);
}

TEST_CASE("a timer fires once, never early, at most a tick late, on every level") {
  for (const uint64_t delay_ms :
       {0u,         1u,         7u,         8u,         9u,           503u,         511u,
        512u,       513u,       4'096u,     32'767u,    32'768u,      32'769u,      100'000u,
        2'097'151u, 2'097'152u, 2'097'160u, 3'600'000u, 134'217'000u, 134'217'728u, 400'000'000u}) {
    for (const uint64_t start_ms : {uint64_t{1}, uint64_t{4'095}, uint64_t{1'000'003}}) {
      CAPTURE(delay_ms, start_ms);
      TimerWheel wheel(start_ms);
      Probe probe(wheel);
      probe.timer.arm_ms(delay_ms);
      run_until(wheel, start_ms + delay_ms + 10 * kTick);
      REQUIRE(probe.fired_at_ms.size() == 1);
      CHECK(probe.fired_at_ms[0] >= start_ms + delay_ms);
      CHECK(probe.fired_at_ms[0] <= start_ms + delay_ms + kTick);
      CHECK_FALSE(probe.timer.armed());
      CHECK(wheel.next_wakeup_ms() == 0);
    }
  }
}

TEST_CASE("a deadline that moves on with every request fires at its last place only") {
  TimerWheel wheel(1000);
  Probe probe(wheel);
  for (uint64_t now_ms = 1000; now_ms < 5000; now_ms += 100) {
    run_until(wheel, now_ms);
    probe.timer.arm_ms(300);
  }
  CHECK(probe.fired_at_ms.empty());
  run_until(wheel, 10'000);
  REQUIRE(probe.fired_at_ms.size() == 1);
  CHECK(probe.fired_at_ms[0] >= 5200);
  CHECK(probe.fired_at_ms[0] <= 5200 + kTick);
}

TEST_CASE("an earlier deadline replaces a later one and wakes the loop for it") {
  TimerWheel wheel(0);
  int notified = 0;
  wheel.on_earlier([](void* count) { ++*static_cast<int*>(count); }, &notified);
  Probe probe(wheel);
  probe.timer.arm_ms(60'000);
  CHECK(notified == 1);
  probe.timer.arm_ms(80'000);  // later: nobody needs to know yet
  CHECK(notified == 1);
  probe.timer.arm_ms(40);
  CHECK(notified == 2);
  CHECK(wheel.next_wakeup_ms() == 40);
  run_until(wheel, 100'000);
  CHECK(probe.fired_at_ms == std::vector<uint64_t>{40});
}

TEST_CASE("a cancelled timer, and one that died, never fires") {
  TimerWheel wheel(0);
  Probe cancelled(wheel);
  auto dead = std::make_unique<Probe>(wheel);
  Probe alive(wheel);
  cancelled.timer.arm_ms(50);
  dead->timer.arm_ms(50);
  alive.timer.arm_ms(50);
  cancelled.timer.cancel();
  dead.reset();
  run_until(wheel, 1000);
  CHECK(cancelled.fired_at_ms.empty());
  CHECK(alive.fired_at_ms.size() == 1);
}

// Two timers of one slot: whichever runs first ends the other; each re-arms itself.
struct Rival {
  explicit Rival(TimerWheel& wheel) : timer(wheel, this, &Timer::call<Rival, &Rival::on_time>) {}
  void on_time() {
    ++fired;
    other->timer.cancel();
    timer.arm_ms(0);
  }
  Rival* other = nullptr;
  int fired = 0;
  Timer timer;
};

TEST_CASE("callbacks may cancel others and arm themselves: for a later tick, not in a loop") {
  TimerWheel wheel(0);
  Rival first(wheel);
  Rival second(wheel);
  first.other = &second;
  second.other = &first;
  first.timer.arm_ms(16);
  second.timer.arm_ms(16);
  wheel.advance(16);
  CHECK(first.fired + second.fired == 1);
  wheel.advance(16 + kTick);
  CHECK(first.fired + second.fired == 2);
}

TEST_CASE("a wheel that nobody advanced for long fires all that is due, once") {
  TimerWheel wheel(0);
  std::vector<std::unique_ptr<Probe>> probes;
  for (uint64_t delay_ms = 0; delay_ms < 2'000'000; delay_ms += 9'973) {
    probes.push_back(std::make_unique<Probe>(wheel));
    probes.back()->timer.arm_ms(delay_ms);
  }
  wheel.advance(3'000'000);
  for (const auto& probe : probes) CHECK(probe->fired_at_ms.size() == 1);
  CHECK(wheel.next_wakeup_ms() == 0);
}

TEST_CASE("random arming, cancelling and waiting agrees with a model") {
  constexpr size_t kTimers = 200;
  constexpr int kSteps = 20'000;
  std::mt19937_64 random(7);
  uint64_t now_ms = 12'345;
  TimerWheel wheel(now_ms);
  std::vector<std::unique_ptr<Probe>> probes;
  std::vector<uint64_t> deadline_ms(kTimers, 0);  // the model: 0 = not armed
  for (size_t i = 0; i < kTimers; ++i) probes.push_back(std::make_unique<Probe>(wheel));

  for (int step = 0; step < kSteps; ++step) {
    const size_t i = random() % kTimers;
    const uint64_t magnitude = uint64_t{1} << (random() % 23);
    switch (random() % 4) {
      case 0:
        probes[i]->timer.cancel();
        deadline_ms[i] = 0;
        break;
      case 1:
        now_ms += random() % (magnitude / 64 + 2);
        run_until(wheel, now_ms);
        for (size_t k = 0; k < kTimers; ++k) {
          Probe& probe = *probes[k];
          if (probe.fired_at_ms.empty()) {  // not later than a tick
            REQUIRE((deadline_ms[k] == 0 || deadline_ms[k] + kTick > now_ms));
            continue;
          }
          REQUIRE(probe.fired_at_ms.size() == 1);
          REQUIRE(deadline_ms[k] != 0);
          REQUIRE(probe.fired_at_ms[0] >= deadline_ms[k]);
          REQUIRE(probe.fired_at_ms[0] <= deadline_ms[k] + kTick);
          probe.fired_at_ms.clear();
          deadline_ms[k] = 0;
        }
        break;
      default: {
        const uint64_t delay_ms = random() % magnitude;
        probes[i]->timer.arm_ms(delay_ms);
        deadline_ms[i] = now_ms + delay_ms;
        break;
      }
    }
  }
}

}  // namespace
}  // namespace weir::net
