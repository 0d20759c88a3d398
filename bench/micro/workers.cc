#include "workers.h"

#include <barrier>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

namespace weir::micro {

namespace {

// So many workers in threads of their own, which wait for rounds.
class Team {
 public:
  Team(const Scenario& scenario, uint32_t workers)
      : world_(scenario), ns_(workers), gate_(static_cast<std::ptrdiff_t>(workers) + 1) {
    for (uint32_t i = 0; i < workers; ++i) {
      threads_.emplace_back([this, i] { work(i); });
      made_.acquire();
    }
  }
  ~Team() {
    over_ = true;
    gate_.arrive_and_wait();
    for (std::thread& thread : threads_) thread.join();
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // All of them at once, so many requests each. Nanoseconds of CPU time per request.
  double round(uint64_t requests) {
    requests_ = requests;
    gate_.arrive_and_wait();
    gate_.arrive_and_wait();
    return std::accumulate(ns_.begin(), ns_.end(), 0.0) / static_cast<double>(ns_.size());
  }

 private:
  void work(uint32_t worker) {
    Bench bench(world_, worker);
    bench.play();
    made_.release();
    for (gate_.arrive_and_wait(); !over_; gate_.arrive_and_wait()) {
      const double begin_ns = thread_cpu_ns();
      bench.measured(requests_);
      ns_[worker] = (thread_cpu_ns() - begin_ns) / static_cast<double>(requests_);
      gate_.arrive_and_wait();
    }
  }

  World world_;
  std::vector<double> ns_;  // by worker
  uint64_t requests_ = 0;
  bool over_ = false;
  std::barrier<> gate_;
  std::binary_semaphore made_{0};
  std::vector<std::thread> threads_;
};

}  // namespace

void run_workers(const Scenario& scenario, uint64_t requests, int rounds, std::string_view only) {
  if (!only.empty() && only != "workers") return;
  constexpr uint32_t kSizes[] = {1, 2, 4};
  Team teams[] = {Team(scenario, kSizes[0]), Team(scenario, kSizes[1]), Team(scenario, kSizes[2])};
  std::vector<double> ns[std::size(kSizes)];
  std::vector<double> ratios[std::size(kSizes)];
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < std::size(kSizes); ++i) {
      ns[i].push_back(teams[i].round(requests));
      ratios[i].push_back(ns[i].back() / ns[0].back());
    }
  }
  for (size_t i = 0; i < std::size(kSizes); ++i) {
    const std::string name = "workers, " + std::to_string(kSizes[i]);
    const double middle = median(ns[i]);
    std::printf("%-14s %9.0f %9.0f   x %.3f\n", name.c_str(), middle, ns[i].front(),
                median(ratios[i]));
  }
}

}  // namespace weir::micro
