#include "soak.h"

#include <sys/resource.h>
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
  bool sized;          // the length is known before
  unsigned per_mille;  // of all bytes
};
constexpr Phase kPhases[] = {
    {"mixed, about 8 KB", 9.0, 1.6, true, 300},
    {"tiny, about 100 B", 4.6, 0.7, true, 20},
    {"large, about 700 KB", 13.5, 0.6, true, 250},
    {"mixed, length not known", 9.0, 1.6, false, 200},
    {"small, about 1 KB", 6.9, 0.8, true, 60},
    {"mixed, wide", 9.0, 2.4, false, 170},
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

// Of this thread.
double cpu_seconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Of this thread: how often it lost the CPU to others.
long interruptions() {
  rusage usage = {};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

class Soak {
 public:
  explicit Soak(uint64_t bytes)
      : all_bytes_(bytes),
        bytes_(16 << 20, 'x'),
        before_(resident_bytes()),
        store_({.memory_bytes = kMemory}) {}

  void run(const Phase& phase) {
    std::lognormal_distribution<> sizes(phase.mean_log, phase.deviation);
    longest_ = 0;
    long_calls_ = 0;
    interrupted_ = 0;
    const uint64_t wanted = all_bytes_ / 1'000 * phase.per_mille;
    uint64_t done = 0;
    uint64_t objects = 0;
    uint64_t resident_most = 0;
    uint64_t used_least = UINT64_MAX;
    uint64_t next_look = 0;
    double in_store = 0;
    const uint64_t evicted = store_.stats().evictions;
    while (done < wanted) {
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
      if (done > wanted / 2) used_least = std::min(used_least, store_.stats().bytes);
    }
    const double mib = 1 << 20;
    std::printf(
        "| %s | %.1f GB, %llu | %.1f MiB | %.1f MiB | %.2f ms; %llu over 1 ms | %llu | %.2f us |"
        " %llu |\n",
        phase.name, static_cast<double>(done) / 1e9, static_cast<unsigned long long>(objects),
        static_cast<double>(resident_most) / mib, static_cast<double>(used_least) / mib,
        longest_ * 1e3, static_cast<unsigned long long>(long_calls_),
        static_cast<unsigned long long>(interrupted_),
        in_store / static_cast<double>(objects) * 1e6,
        static_cast<unsigned long long>(store_.stats().evictions - evicted));
    std::fflush(stdout);
  }

 private:
  template <typename Call>
  void timed(Call call) {
    const long before = interruptions();
    const double begin = cpu_seconds();
    call();
    const double took = cpu_seconds() - begin;
    if (interruptions() != before) {
      ++interrupted_;
      return;
    }
    longest_ = std::max(longest_, took);
    long_calls_ += took > 1e-3;
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

  const uint64_t all_bytes_;
  const std::string bytes_;
  const uint64_t before_;
  Store store_;
  std::mt19937_64 random_{1};
  uint64_t number_ = 0;
  double longest_ = 0;
  uint64_t long_calls_ = 0;   // over 1 ms
  uint64_t interrupted_ = 0;  // left out of both
};

}  // namespace

void run_soak(uint64_t gigabytes) {
  std::printf(
      "256 MiB; every phase pushes distinct objects through, one after the other\n\n"
      "| sizes | pushed, objects | resident, most | used, least | longest call |"
      " interrupted | per object | evicted |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  Soak soak(gigabytes * 1'000'000'000);
  for (const Phase& phase : kPhases) soak.run(phase);
}

}  // namespace weir::bench
