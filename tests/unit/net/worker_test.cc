// Turns, graves, deferred work, the mailbox: the machinery that the ownership scheme stands on.
#include "net/worker.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace weir::net {
namespace {

// Writes down when it dies; may pretend that libuv holds memory of it.
class Body final : public Mortal {
 public:
  Body(std::string& log, char name) : log_(log), name_(name) {}
  ~Body() override { log_ += name_; }
  void begin_op() { op_started(); }
  void end_op(Worker& worker) { op_done(worker); }

 private:
  std::string& log_;
  const char name_;
};

TEST_CASE("the dead are deleted by the outermost turn, in order, and not before") {
  std::string log;
  Worker worker(0);
  {
    Turn outer(worker);
    {
      Turn inner(worker);
      worker.bury(std::make_unique<Body>(log, 'a'));
      worker.bury(std::make_unique<Body>(log, 'b'));
    }
    CHECK(log.empty());
    worker.defer([&log] { log += '-'; });
  }
  CHECK(log == "-ab");  // deferred work still sees them
}

TEST_CASE("who has an operation under way waits for its end") {
  std::string log;
  Worker worker(0);
  auto owned = std::make_unique<Body>(log, 'a');
  Body* body = owned.get();
  {
    Turn turn(worker);
    body->begin_op();
    body->begin_op();
    worker.bury(std::move(owned));
  }
  CHECK(log.empty());
  {
    Turn turn(worker);
    body->end_op(worker);
  }
  CHECK(log.empty());
  {
    Turn turn(worker);
    body->end_op(worker);
    CHECK(log.empty());
  }
  CHECK(log == "a");
}

TEST_CASE("deferred work may defer: a bounded number of rounds per turn, the rest in later ones") {
  Worker worker(0);
  int rounds = 0;
  struct Again {
    static void run(Worker& of, int& count) {
      if (++count == 100) {
        of.stop();
        return;
      }
      of.defer([&of, &count] { run(of, count); });
    }
  };
  {
    Turn turn(worker);
    worker.defer([&] { Again::run(worker, rounds); });
  }
  CHECK(rounds > 1);
  CHECK(rounds < 100);
  worker.run();
  CHECK(rounds == 100);
}

TEST_CASE("what a destructor defers is not lost") {
  class Heir final : public Mortal {
   public:
    Heir(Worker& worker, bool& done) : worker_(worker), done_(done) {}
    ~Heir() override {
      worker_.defer([&worker = worker_, &done = done_] {
        done = true;
        worker.stop();
      });
    }

   private:
    Worker& worker_;
    bool& done_;
  };
  Worker worker(0);
  bool done = false;
  {
    Turn turn(worker);
    worker.bury(std::make_unique<Heir>(worker, done));
  }
  worker.run();
  CHECK(done);
}

TEST_CASE("messages of many threads run on the worker's, each sender's in order", "[threads]") {
  constexpr int kThreads = 4;
  constexpr int kMessages = 2000;
  Worker worker(0);
  std::vector<std::vector<int>> got(kThreads);
  int left = kThreads * kMessages;
  bool on_thread = true;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kMessages; ++i) {
        worker.post([&, t, i] {
          on_thread = on_thread && worker.on_thread();
          got[static_cast<size_t>(t)].push_back(i);
          if (--left == 0) worker.stop();
        });
      }
    });
  }
  worker.run();
  for (std::thread& thread : threads) thread.join();
  CHECK(on_thread);
  for (const std::vector<int>& one : got) {
    REQUIRE(one.size() == kMessages);
    CHECK(std::is_sorted(one.begin(), one.end()));
  }
}

TEST_CASE("a timer of the loop fires when its worker sleeps, not early") {
  struct Waiter {
    explicit Waiter(Worker& of)
        : worker(of), timer(of.timers(), this, &Timer::call<Waiter, &Waiter::on_time>) {}
    void on_time() {
      fired_at_ms = worker.now_ms();
      worker.stop();
    }
    Worker& worker;
    uint64_t fired_at_ms = 0;
    Timer timer;
  };
  Worker worker(0);
  Waiter waiter(worker);
  uint64_t begun_ms = 0;
  {
    Turn turn(worker);
    begun_ms = worker.now_ms();
    waiter.timer.arm_ms(30);
  }
  worker.run();
  CHECK(waiter.fired_at_ms >= begun_ms + 30);
}

}  // namespace
}  // namespace weir::net
