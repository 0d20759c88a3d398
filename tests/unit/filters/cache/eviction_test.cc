#include <catch2/catch.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>
#include <string>

#include "filters/cache/store.h"
#include "support.h"

namespace weir::filters::cache {
namespace {

StoreOptions options(Eviction eviction, size_t shards = 1) {
  return {
      .memory_bytes = 8 << 20, .max_object_bytes = 4 << 20, .eviction = eviction, .shards = shards};
}

// Until something has to go.
int fill(Store& store, size_t bytes) {
  int i = 0;
  while (store.stats().evictions == 0) REQUIRE(put(store, std::to_string(i++), pattern(bytes, 1)));
  return i;
}

TEST_CASE("cache eviction: lru is exact, in whatever time") {
  Store store(options(Eviction::kLru));
  const int count = fill(store, 100'000);
  CHECK_FALSE(has(store, "0"));
  for (int i = 1; i < count; ++i) CHECK(has(store, std::to_string(i)));
  // Used: 1. Next to go: 2.
  CHECK(has(store, "1"));
  CHECK(put(store, "new", pattern(100'000, 2)));
  CHECK(has(store, "1"));
  CHECK_FALSE(has(store, "2"));
  CHECK(has(store, "new"));
}

TEST_CASE("cache eviction: replacing a key at capacity evicts nobody else") {
  for (const Eviction eviction : {Eviction::kLru, Eviction::kS3Fifo}) {
    Store store(options(eviction));
    const int count = fill(store, 100'000);
    const StoreStats before = store.stats();
    const std::string key = std::to_string(count / 2);
    for (int i = 0; i < 100; ++i) REQUIRE(put(store, key, pattern(100'000, 2)));
    CHECK(store.stats().evictions == before.evictions);
    CHECK(store.stats().objects == before.objects);
  }
}

TEST_CASE("cache eviction: what may have to stand in stays until the new answer is whole") {
  for (const bool stands_in : {true, false}) {
    Store store(options(Eviction::kLru));
    fill(store, 100'000);
    Put how;
    how.meta.lifetime.stale_if_error_ms = stands_in ? 1'000 : 0;
    REQUIRE(put(store, "key", pattern(100'000, 2), how));
    Writer writer = store.begin("key");
    Answer answer;
    answer.expected_bytes = 100'000;
    REQUIRE(writer.start(answer) == Room::kOk);
    REQUIRE(writer.append(pattern(100'000, 3)) == Room::kOk);
    writer.abort();
    CHECK(has(store, "key") == stands_in);
  }
}

TEST_CASE("cache eviction: a burst in one instant stays in bounds") {
  for (const Eviction eviction : {Eviction::kLru, Eviction::kS3Fifo}) {
    Store store(options(eviction, 64));
    for (int i = 0; i < 50'000; ++i) {
      REQUIRE(put(store, std::to_string(i), "0123456789", {.tags = {"all"}}));
    }
    CHECK(store.stats().mapped_bytes <= 8 << 20);
    CHECK(store.stats().bytes > 7 << 20);
    CHECK(has(store, "49999"));
    const uint64_t objects = store.stats().objects;
    CHECK(store.purge_tag("all", Purge::kRemove) == objects);
    CHECK(store.stats().objects == 0);
  }
}

TEST_CASE("cache eviction: s3fifo keeps what is asked for again through a scan") {
  for (const Eviction eviction : {Eviction::kLru, Eviction::kS3Fifo}) {
    Store store(options(eviction));
    const std::string body = pattern(10'000, 1);
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 200; ++i) {
        const std::string key = "hot" + std::to_string(i);
        if (!has(store, key)) REQUIRE(put(store, key, body));
      }
    }
    for (int i = 0; i < 5'000; ++i) REQUIRE(put(store, "scan" + std::to_string(i), body));
    int kept = 0;
    for (int i = 0; i < 200; ++i) kept += has(store, "hot" + std::to_string(i));
    if (eviction == Eviction::kLru) {
      CHECK(kept == 0);
    } else {
      CHECK(kept >= 195);
    }
  }
}

// Who was evicted from the small queue and comes back is taken for good.
TEST_CASE("cache eviction: s3fifo remembers whom it has turned away") {
  Store store(options(Eviction::kS3Fifo));
  const std::string body = pattern(10'000, 1);
  for (int i = 0; i < 1'500; ++i) REQUIRE(put(store, std::to_string(i), body));
  int back = 0;
  for (int i = 700; i < 750; ++i) {
    if (has(store, std::to_string(i))) continue;
    REQUIRE(put(store, std::to_string(i), body));
    ++back;
  }
  REQUIRE(back == 50);
  for (int i = 2'000; i < 2'600; ++i) REQUIRE(put(store, std::to_string(i), body));
  int kept = 0;
  for (int i = 700; i < 750; ++i) kept += has(store, std::to_string(i));
  CHECK(kept == 50);
}

// Everybody was used as often as is counted, and still there is room for a new one.
TEST_CASE("cache eviction: s3fifo finds somebody where all are in use") {
  Store store(options(Eviction::kS3Fifo));
  const std::string body = pattern(500, 1);
  int count = 0;
  for (; store.stats().evictions == 0; ++count) {
    REQUIRE(put(store, std::to_string(count), body));
    for (int i = 0; i < 5; ++i) has(store, std::to_string(count));
  }
  for (int i = 0; i < 2'000; ++i) REQUIRE(put(store, "new" + std::to_string(i), body));
  int kept = 0;
  for (int i = 0; i < count; ++i) kept += has(store, std::to_string(i));
  CHECK(kept > count * 8 / 10);
}

TEST_CASE("cache eviction: the policy may change while it works") {
  Store store(options(Eviction::kLru, 4));
  const std::string body = pattern(5'000, 1);
  StoreOptions now = options(Eviction::kS3Fifo, 4);
  for (int i = 0; i < 20'000; ++i) {
    if (i % 1'000 == 0) {
      now.eviction = now.eviction == Eviction::kLru ? Eviction::kS3Fifo : Eviction::kLru;
      store.configure(now);
    }
    REQUIRE(put(store, std::to_string(i), body));
    has(store, std::to_string(i / 2));
  }
  CHECK(store.stats().mapped_bytes <= 8 << 20);
  CHECK(store.stats().objects > 1'000);
}

uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t size = 0;
  uint64_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

TEST_CASE("cache eviction: a lower bound gives memory back, a higher one takes it") {
  StoreOptions many = options(Eviction::kLru, 16);
  many.memory_bytes = 64 << 20;
  Store store(many);
  std::mt19937 random(1);
  const auto churn = [&](int count) {
    for (int i = 0; i < count; ++i) {
      REQUIRE(put(store, std::to_string(random()), pattern(random() % 40'000, 1),
                  {.tags = {"some", "more"}}));
    }
  };
  churn(10'000);
  CHECK(store.stats().bytes > 60 << 20);
  [[maybe_unused]] const uint64_t full = resident_bytes();
  Reader reader = get(store, store.survey(1).by_bytes.front().key);
  const std::string read = rest_of(reader);
  StoreOptions few = many;
  few.memory_bytes = 16 << 20;
  store.configure(few);
  CHECK(store.memory_bytes() == 16 << 20);
  CHECK(store.stats().mapped_bytes <= 24 << 20);  // what is being read may lie in some slabs
  CHECK(store.stats().bytes > 8 << 20);           // what need not go stays
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(full - resident_bytes() > 36 << 20);
#endif
  reader.seek(0);
  CHECK(rest_of(reader) == read);
  reader = {};
  CHECK(store.stats().mapped_bytes <= 16 << 20);
  churn(2'000);
  CHECK(store.stats().mapped_bytes <= 16 << 20);
  store.configure(many);
  churn(10'000);
  CHECK(store.stats().bytes > 60 << 20);
  CHECK(store.purge_tag("more", Purge::kRemove) > 1'000);
  CHECK(store.stats().objects == 0);
}

// Sizes change from one end to the other: none of them keeps memory from the next.
TEST_CASE("cache eviction: no size of objects keeps memory from another") {
  for (const Eviction eviction : {Eviction::kLru, Eviction::kS3Fifo}) {
    Store store(options(eviction, 16));
    int key = 0;
    for (const size_t size : {10u, 300'000u, 2'000u, 70'000u, 100u, 1'000'000u, 700u}) {
      for (uint64_t bytes = 0; bytes < 32 << 20; bytes += size + 500) {
        REQUIRE(put(store, std::to_string(++key), pattern(size, 1)));
        REQUIRE(store.stats().mapped_bytes <= 8 << 20);
      }
      CHECK(store.stats().bytes + size > 7 << 20);
      // The newest are there.
      CHECK(has(store, std::to_string(key)));
    }
  }
}

}  // namespace
}  // namespace weir::filters::cache
