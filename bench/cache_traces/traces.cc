// What the cache's policies are worth, and what its memory does, without a network: see README.md.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "filters/cache/store.h"
#include "soak.h"

namespace weir::bench {

namespace {

using namespace filters::cache;

constexpr uint64_t kMemory = Store::kMemoryMin;
constexpr size_t kBodyBytes = 300;

class NoVary final : public SecondaryKey {
 public:
  std::string_view by(std::string_view) override { return {}; }
};

std::string key_of(uint64_t number) {
  return "https://bench.example/object/" + std::to_string(number);
}

void put(Store& store, std::string_view key) {
  static const std::string body(kBodyBytes, 'b');
  Writer writer = store.begin(key);
  Answer answer;
  answer.head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
  answer.expected_bytes = kBodyBytes;
  if (writer && writer.start(answer) == Room::kOk && writer.append(body) == Room::kOk) {
    writer.finish();
  }
}

// How many fit.
uint64_t capacity() {
  Store store({.memory_bytes = kMemory});
  for (uint64_t i = 0; store.stats().evictions == 0; ++i) put(store, key_of(i));
  return store.stats().objects;
}

// Numbers below `n`, the k-th most frequent with a weight of 1 / k^alpha, in a scattered order.
class Zipf {
 public:
  Zipf(uint64_t n, double alpha) {
    double sum = 0;
    for (uint64_t k = 1; k <= n; ++k) sums_.push_back(sum += std::pow(k, -alpha));
  }
  uint64_t next(std::mt19937_64& random) {
    const double at = std::uniform_real_distribution<>(0, sums_.back())(random);
    return static_cast<uint64_t>(std::lower_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

struct Trace {
  const char* name;
  double alpha;
  unsigned scan_percent;  // of requests, for objects in a row that nobody asks for twice
  bool moving;            // every so often other objects become the popular ones
};
constexpr Trace kTraces[] = {
    {"zipf 0.9", 0.9, 0, false},
    {"zipf 1.0", 1.0, 0, false},
    {"zipf 0.9, a fifth is scans", 0.9, 20, false},
    {"zipf 1.0, a fifth is scans", 1.0, 20, false},
    {"zipf 1.0, half is scans", 1.0, 50, false},
    {"zipf 1.0, what is popular moves", 1.0, 0, true},
};

// The share of hits in the second half.
double run(const Trace& trace, Eviction eviction, uint64_t objects, uint64_t requests) {
  Store store({.memory_bytes = kMemory, .eviction = eviction});
  std::mt19937_64 random(1);
  Zipf zipf(objects, trace.alpha);
  NoVary no_vary;
  uint64_t scanned = objects;
  uint64_t hits = 0;
  uint64_t shift = 0;
  uint64_t scan_left = 0;
  for (uint64_t i = 0; i < requests; ++i) {
    if (trace.moving && i % (requests / 20) == 0) shift += 1'000;
    uint64_t number = (zipf.next(random) + shift) % objects;
    // Scans come in stretches of a thousand.
    if (scan_left == 0 &&
        random() % 100'000 < trace.scan_percent * 1'000 / (100 - trace.scan_percent)) {
      scan_left = trace.scan_percent == 0 ? 0 : 100;
    }
    if (scan_left > 0) {
      --scan_left;
      number = scanned++;
    }
    const std::string key = key_of(number);
    const bool hit = static_cast<bool>(store.find(key, no_vary).reader);
    if (!hit) put(store, key);
    if (i >= requests / 2) hits += hit;
  }
  return static_cast<double>(hits) / static_cast<double>(requests - requests / 2);
}

void run_traces(uint64_t requests) {
  const uint64_t fits = capacity();
  const uint64_t objects = fits * 100;
  std::printf("%llu of %llu objects fit; %llu requests, the second half counts\n\n",
              static_cast<unsigned long long>(fits), static_cast<unsigned long long>(objects),
              static_cast<unsigned long long>(requests));
  std::printf("| trace | lru | s3fifo | points |\n| --- | --- | --- | --- |\n");
  for (const Trace& trace : kTraces) {
    const double lru = run(trace, Eviction::kLru, objects, requests);
    const double s3fifo = run(trace, Eviction::kS3Fifo, objects, requests);
    std::printf("| %s | %.1f %% | %.1f %% | %+.1f |\n", trace.name, lru * 100, s3fifo * 100,
                (s3fifo - lru) * 100);
    std::fflush(stdout);
  }
}

}  // namespace

}  // namespace weir::bench

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  const uint64_t number = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (what == "traces") {
    weir::bench::run_traces(number == 0 ? 4'000'000 : number);
  } else if (what == "soak") {
    weir::bench::run_soak(number == 0 ? 16 : number);
  } else {
    std::fprintf(stderr, "usage: weir_cache_traces traces [REQUESTS] | soak [GIGABYTES]\n");
    return 2;
  }
  return 0;
}
