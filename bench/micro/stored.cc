#include "stored.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "base/check.h"
#include "filters/cache/store.h"
#include "rig.h"

namespace weir::micro {

namespace {

using namespace filters::cache;

constexpr size_t kBodyBytes = 1024;

class NoVary final : public SecondaryKey {
 public:
  std::string_view by(std::string_view) override { return {}; }
};

struct Row {
  const char* name;
  uint64_t objects;
  Eviction eviction;
};
constexpr Row kHits[] = {
    {"stored, hit", 1'000, Eviction::kLru},
    {"stored, s3fifo", 1'000, Eviction::kS3Fifo},
    {"stored, of 100k", 100'000, Eviction::kLru},
};

std::string key_of(uint64_t number) {
  return "GET:https://www.example.com/api/products/" + std::to_string(number) + "?page=1";
}

void put(Store& store, std::string_view key) {
  static const std::string body(kBodyBytes, 'b');
  static const std::string head(300, 'h');
  Writer writer = store.begin(key);
  Answer answer;
  answer.head = head;
  answer.expected_bytes = kBodyBytes;
  WEIR_CHECK(writer && writer.start(answer) == Room::kOk);
  WEIR_CHECK(writer.append(body) == Room::kOk && writer.finish());
}

template <typename Round>
void run(const char* name, uint64_t each, int rounds, Round round) {
  std::vector<double> ns;
  for (int i = 0; i < rounds; ++i) {
    const double begin_ns = thread_cpu_ns();
    round();
    ns.push_back((thread_cpu_ns() - begin_ns) / static_cast<double>(each));
  }
  std::sort(ns.begin(), ns.end());
  std::printf("%-14s %9.0f %9.0f\n", name, ns[ns.size() / 2], ns.front());
}

void run_hits(const Row& row, uint64_t look_ups, int rounds) {
  Store store({.memory_bytes = 512 << 20, .eviction = row.eviction});
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < row.objects; ++i) {
    keys.push_back(key_of(i));
    put(store, keys.back());
  }
  NoVary no_vary;
  size_t at = 0;
  run(row.name, look_ups, rounds, [&] {
    for (uint64_t i = 0; i < look_ups; ++i) {
      at = (at + 7'919) % keys.size();
      const Found found = store.find(keys[at], no_vary);
      std::array<std::string_view, 4> spans;
      WEIR_CHECK(found.reader && found.reader.spans(spans, UINT64_MAX) == 1);
    }
  });
}

void run_inserts(const char* name, uint64_t inserts, int rounds) {
  Store store({.memory_bytes = 64 << 20});
  uint64_t number = 0;
  while (store.stats().evictions == 0) put(store, key_of(number++));
  run(name, inserts, rounds, [&] {
    for (uint64_t i = 0; i < inserts; ++i) put(store, key_of(number++));
  });
}

}  // namespace

void run_stored(uint64_t look_ups, int rounds, std::string_view only) {
  for (const Row& row : kHits) {
    if (only.empty() || only == row.name) run_hits(row, look_ups, rounds);
  }
  constexpr const char* kInserts = "stored, insert";
  if (only.empty() || only == kInserts) run_inserts(kInserts, look_ups / 10 + 1, rounds);
}

}  // namespace weir::micro
