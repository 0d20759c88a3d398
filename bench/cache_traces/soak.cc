#include "soak.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "filters/cache/store.h"

namespace weir::bench {

namespace {

using namespace filters::cache;

constexpr uint64_t kMemory = 256 << 20;

struct Phase {
  const char* name;
  double mean_log;  // of sizes, which are log-normal
  double deviation;
  bool sized;  // the length is known before
};
constexpr Phase kPhases[] = {
    {"mixed, about 8 KB", 9.0, 1.6, true},    {"tiny, about 100 B", 4.6, 0.7, true},
    {"large, about 700 KB", 13.5, 0.6, true}, {"mixed, length not known", 9.0, 1.6, false},
    {"small, about 1 KB", 6.9, 0.8, true},    {"mixed, wide", 9.0, 2.4, false},
};

uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t size = 0;
  uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

double seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class Soak {
 public:
  explicit Soak(uint64_t bytes_per_phase)
      : bytes_per_phase_(bytes_per_phase),
        bytes_(16 << 20, 'x'),
        before_(resident_bytes()),
        store_({.memory_bytes = kMemory}) {}

  void run(const Phase& phase) {
    std::lognormal_distribution<> sizes(phase.mean_log, phase.deviation);
    longest_ = longest_cpu_ = 0;
    uint64_t done = 0;
    uint64_t objects = 0;
    uint64_t resident_most = 0;
    uint64_t used_least = UINT64_MAX;
    uint64_t next_look = 0;
    double in_store = 0;
    const uint64_t evicted = store_.stats().evictions;
    while (done < bytes_per_phase_) {
      const uint64_t size =
          std::clamp<uint64_t>(static_cast<uint64_t>(sizes(random_)), 1, 16 << 20);
      const double begin = seconds();
      put(size, phase.sized);
      in_store += seconds() - begin;
      done += size;
      ++objects;
      if (done < next_look) continue;
      next_look = done + (4 << 20);
      resident_most = std::max(resident_most, resident_bytes() - before_);
      if (done > bytes_per_phase_ / 2) used_least = std::min(used_least, store_.stats().bytes);
    }
    const double mib = 1 << 20;
    std::printf(
        "| %s | %.1f GB, %llu | %.1f MiB | %.1f MiB | %.2f ms (CPU %.2f ms) | %.2f us |"
        " %llu |\n",
        phase.name, static_cast<double>(done) / 1e9, static_cast<unsigned long long>(objects),
        static_cast<double>(resident_most) / mib, static_cast<double>(used_least) / mib,
        longest_ * 1e3, longest_cpu_ * 1e3, in_store / static_cast<double>(objects) * 1e6,
        static_cast<unsigned long long>(store_.stats().evictions - evicted));
    std::fflush(stdout);
  }

 private:
  template <typename Call>
  void timed(Call call) {
    const double begin = seconds();
    const double begin_cpu = cpu_seconds();
    call();
    longest_cpu_ = std::max(longest_cpu_, cpu_seconds() - begin_cpu);
    longest_ = std::max(longest_, seconds() - begin);
  }

  // As the filter would: pieces as they come from a socket.
  void put(uint64_t size, bool sized) {
    Writer writer = store_.begin("https://bench.example/soak/" + std::to_string(++number_));
    Answer answer;
    answer.head = std::string_view(bytes_).substr(0, 300);
    if (sized) answer.expected_bytes = size;
    Room room = Room::kOk;
    timed([&] { room = writer.start(answer); });
    for (uint64_t left = size; room == Room::kOk && left > 0;) {
      const uint64_t piece = std::min<uint64_t>(left, 64 * 1024);
      timed([&] { room = writer.append(std::string_view(bytes_).substr(0, piece)); });
      left -= piece;
    }
    if (room == Room::kOk) timed([&] { writer.finish(); });
  }

  const uint64_t bytes_per_phase_;
  const std::string bytes_;
  const uint64_t before_;
  Store store_;
  std::mt19937_64 random_{1};
  uint64_t number_ = 0;
  double longest_ = 0;
  double longest_cpu_ = 0;
};

}  // namespace

void run_soak(uint64_t gigabytes) {
  std::printf(
      "256 MiB; every phase pushes distinct objects through, one after the other\n\n"
      "| sizes | pushed, objects | resident, most | used, least | longest call |"
      " per object | evicted |\n| --- | --- | --- | --- | --- | --- | --- |\n");
  Soak soak(gigabytes * 1'000'000'000 / std::size(kPhases));
  for (const Phase& phase : kPhases) soak.run(phase);
}

}  // namespace weir::bench
