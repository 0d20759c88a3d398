// Errands: work on other threads, and who hears of its end.
#include "net/helpers.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "net/worker.h"

namespace weir::net {
namespace {

constexpr uint64_t kLongMs = 60'000;

// Work waits at it until it is opened.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void wait_for_one() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int waiting_ = 0;
};

struct Asker final : Errand::User {
  explicit Asker(Worker& on) : worker(on), errand(on, *this) {}
  void on_errand_done(uint32_t told) override {
    CHECK(worker.on_thread());
    result = told;
    uv_stop(worker.loop());
  }
  void on_errand_late() override {
    late = true;
    uv_stop(worker.loop());
  }
  Worker& worker;
  Errand errand;
  std::optional<uint32_t> result;
  bool late = false;
};

TEST_CASE("errand: its result comes to the worker that asked", "[threads]") {
  Helpers helpers(2, 16);
  Worker worker(0);
  Asker asker(worker);
  const auto self = std::this_thread::get_id();
  for (uint32_t i = 0; i < 20; ++i) {
    asker.result.reset();
    REQUIRE(asker.errand.start(
        helpers, [i, self] { return std::this_thread::get_id() == self ? 1000u : i; }, kLongMs));
    while (!asker.result) worker.run();
    CHECK(asker.result == i);
  }
  CHECK(worker.errands().size() == 0);
}

TEST_CASE("errand: a queue that is full takes nothing more", "[threads]") {
  Gate gate;
  Worker worker(0);
  std::vector<std::unique_ptr<Asker>> askers;
  Helpers helpers(1, 2);
  const auto start = [&](auto work) {
    askers.push_back(std::make_unique<Asker>(worker));
    return askers.back()->errand.start(helpers, work, kLongMs);
  };
  const auto wait = [&gate] {
    gate.pass();
    return 1u;
  };
  CHECK(start(wait));
  gate.wait_for_one();
  CHECK(start(wait));
  CHECK(start(wait));
  CHECK_FALSE(start(wait));
  CHECK(worker.errands().size() == 3);
  gate.open();
  while (worker.errands().size() != 0) worker.run();
  CHECK(askers[2]->result == 1u);
  CHECK_FALSE(askers[3]->result);
}

TEST_CASE("errand: nobody hears of it once it has ended, and what waits is not done", "[threads]") {
  Gate gate;
  std::atomic<int> done = 0;
  Worker worker(0);
  {
    Helpers helpers(1, 8);
    Asker first(worker);
    REQUIRE(first.errand.start(
        helpers,
        [&gate] {
          gate.pass();
          return 1u;
        },
        kLongMs));
    gate.wait_for_one();
    {
      Asker second(worker);
      REQUIRE(second.errand.start(
          helpers, [&done] { return static_cast<uint32_t>(++done); }, kLongMs));
    }
    first.errand.end();
    first.errand.end();
    gate.open();
    Asker last(worker);
    REQUIRE(last.errand.start(
        helpers, [] { return 3u; }, kLongMs));
    while (!last.result) worker.run();
    CHECK_FALSE(first.result);
    CHECK(done == 0);
  }
  CHECK(worker.errands().size() == 0);
}

TEST_CASE("errand: one that takes too long is late, and its result is nobody's", "[threads]") {
  Gate gate;
  Helpers helpers(1, 8);
  Worker worker(0);
  Asker asker(worker);
  REQUIRE(asker.errand.start(
      helpers,
      [&gate] {
        gate.pass();
        return 1u;
      },
      20));
  while (!asker.late) worker.run();
  gate.open();
  Asker last(worker);
  REQUIRE(last.errand.start(
      helpers, [] { return 2u; }, kLongMs));
  while (!last.result) worker.run();
  CHECK_FALSE(asker.result);
}

TEST_CASE("errand: a worker may end before its errands", "[threads]") {
  Gate gate;
  Helpers helpers(1, 8);
  std::shared_ptr<MailSlot> slot;
  {
    Worker worker(0);
    slot = worker.mail_slot();
    Asker asker(worker);
    REQUIRE(asker.errand.start(
        helpers,
        [&gate] {
          gate.pass();
          return 1u;
        },
        kLongMs));
    gate.wait_for_one();
  }
  gate.open();
  slot->post([](Worker&) { FAIL("nobody is there"); });
}

}  // namespace
}  // namespace weir::net
