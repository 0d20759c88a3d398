// Bodies that are read while they are written, and everything at once from several threads.
#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "filters/cache/store.h"
#include "support.h"

namespace weir::filters::cache {
namespace {

const StoreOptions kOptions = {.memory_bytes = 16 << 20, .max_object_bytes = 8 << 20, .shards = 4};

struct Bell final : Waiter {
  void on_grown() noexcept override {
    const std::lock_guard lock(mutex);
    ++rings;
    rung.notify_all();
  }
  void await(int ring) {
    std::unique_lock lock(mutex);
    rung.wait(lock, [&] { return rings >= ring; });
  }
  std::mutex mutex;
  std::condition_variable rung;
  int rings = 0;
};

TEST_CASE("cache growing: readers follow the writer") {
  Store store(kOptions);
  Writer writer = store.begin("a");
  REQUIRE(writer.start({}) == Room::kOk);
  Reader early = writer.reader();
  CHECK(early.state() == BodyState::kGrowing);
  CHECK(rest_of(early).empty());
  std::string all;
  std::string read;
  for (uint64_t i = 0; i < 50; ++i) {
    const std::string piece = pattern(i * 311, i);
    REQUIRE(writer.append(piece) == Room::kOk);
    all += piece;
    read += rest_of(early);
    REQUIRE(read == all);
    Reader late = writer.reader();
    REQUIRE(rest_of(late) == all);
  }
  CHECK(writer.size() == all.size());
  CHECK_FALSE(has(store, "a"));
  CHECK(writer.finish());
  CHECK(early.state() == BodyState::kWhole);
  CHECK(rest_of(early).empty());
  CHECK(get(store, "a") == early);
}

TEST_CASE("cache growing: who waits is called once, when there is more or it is over") {
  Store store(kOptions);
  Writer writer = store.begin("a");
  REQUIRE(writer.start({}) == Room::kOk);
  Reader reader = writer.reader();
  Bell first;
  Bell second;
  Bell third;
  REQUIRE(reader.wait(first));
  REQUIRE(reader.wait(second));
  REQUIRE(reader.wait(third));
  reader.unwait(second);
  reader.unwait(second);
  REQUIRE(writer.append("x") == Room::kOk);
  REQUIRE(writer.append("y") == Room::kOk);
  CHECK(first.rings == 1);
  CHECK(second.rings == 0);
  CHECK(third.rings == 1);
  CHECK_FALSE(reader.wait(first));
  reader.consume(2);
  REQUIRE(reader.wait(first));
  REQUIRE(writer.append("") == Room::kOk);
  writer.abort();
  CHECK(first.rings == 2);
  CHECK(reader.state() == BodyState::kBroken);
  CHECK_FALSE(reader.wait(first));
  CHECK_FALSE(has(store, "a"));
}

TEST_CASE("cache growing: dropped unfinished, it is broken and never stored") {
  Store store(kOptions);
  Reader reader;
  {
    Writer writer = store.begin("a");
    REQUIRE(writer.start({}) == Room::kOk);
    REQUIRE(writer.append("half") == Room::kOk);
    reader = writer.reader();
    Writer moved = std::move(writer);
    CHECK_FALSE(writer);
  }
  CHECK(reader.state() == BodyState::kBroken);
  CHECK(rest_of(reader) == "half");
  CHECK_FALSE(has(store, "a"));
  reader = {};
  CHECK(store.stats().bytes == 0);
  Writer unstarted = store.begin("a");
  CHECK_FALSE(unstarted.finish());
}

// One writes, three read along, each waiting whenever there is nothing: nobody misses a byte or a
// call.
TEST_CASE("cache growing: threads that wait", "[threads]") {
  Store store(kOptions);
  const std::string body = pattern(1 << 20, 9);
  for (int round = 0; round < 4; ++round) {
    Writer writer = store.begin("a");
    REQUIRE(writer.start({}) == Room::kOk);
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, reader = writer.reader()]() mutable {
        Bell bell;
        std::string read;
        for (int waits = 0;;) {
          const BodyState state = reader.state();
          read += rest_of(reader);
          if (state != BodyState::kGrowing) break;
          if (reader.wait(bell)) bell.await(++waits);
        }
        right += read == body;
      });
    }
    std::mt19937 random(static_cast<unsigned>(round));
    for (size_t at = 0; at < body.size();) {
      const size_t size = std::min<size_t>(random() % 20'000, body.size() - at);
      REQUIRE(writer.append(std::string_view(body).substr(at, size)) == Room::kOk);
      at += size;
    }
    CHECK(writer.finish());
    for (std::thread& thread : threads) thread.join();
    CHECK(right == 3);
  }
}

// A body tells its own length and seed, so that any mix-up shows.
std::string body_of(uint64_t seed, size_t size) {
  return std::to_string(seed) + " " + std::to_string(size) + " " + pattern(size, seed);
}
bool is_right(const std::string& body) {
  const size_t first = body.find(' ');
  const size_t second = body.find(' ', first + 1);
  if (second == std::string::npos) return false;
  const uint64_t seed = std::stoull(body.substr(0, first));
  const size_t size = std::stoull(body.substr(first + 1, second - first - 1));
  return body.size() - second - 1 == size && body.substr(second + 1) == pattern(size, seed);
}

struct Actor {
  Store& store;
  std::mt19937 random;
  std::atomic<uint64_t>& wrong;

  void act() {
    const std::string key = "https://host/" + std::to_string(random() % 300);
    const std::string secondary = std::to_string(random() % 3);
    switch (random() % 16) {
      case 0: store.purge(key, Purge::kRemove); break;
      case 1: store.purge_tag("t" + std::to_string(random() % 40), Purge::kRemove); break;
      case 2: store.purge_tag("t" + std::to_string(random() % 40), Purge::kSoft); break;
      case 3: store.purge_prefix(key, Purge::kSoft); break;
      case 4: store.sweep(random() % 1'000, 20); break;
      case 5:
        if (random() % 50 == 0) store.purge_all(Purge::kRemove);
        break;
      case 6:
        if (Reader of = get(store, key, secondary)) store.refresh(of, of.meta(), key);
        break;
      case 7: add_coding(get(store, key, secondary)); break;
      case 8:
      case 9:
      case 10: write(key, secondary); break;
      default: read(get(store, key, secondary));
    }
  }
  void read(Reader reader) {
    if (!reader) return;
    if (random() % 2 == 0 && reader.has(Encoding::kGzip)) reader.open(Encoding::kGzip);
    const std::string body = rest_of(reader);
    wrong += reader.state() != BodyState::kWhole || !is_right(body);
  }
  void write(const std::string& key, const std::string& secondary) {
    Put how{.vary = "v", .secondary = secondary};
    const std::string tag = "t" + std::to_string(random() % 40);
    how.tags = {tag, "all"};
    how.sized = random() % 2 == 0;
    how.meta.keep_until_ms = random() % 2'000;
    const size_t size = random() % 50 == 0 ? random() % 500'000 : random() % 9'000;
    put(store, key, body_of(random(), size), how);
  }
  void add_coding(const Reader& of) {
    if (!of) return;
    Writer writer = store.begin_encoding(of, Encoding::kGzip, "gz", random() % 2'000);
    if (writer && writer.append(body_of(random(), random() % 2'000)) == Room::kOk) writer.finish();
  }
};

TEST_CASE("cache store: everything at once", "[threads]") {
  for (const Eviction eviction : {Eviction::kLru, Eviction::kS3Fifo}) {
    StoreOptions options = kOptions;
    options.memory_bytes = 8 << 20;
    options.max_object_bytes = 1 << 20;
    options.eviction = eviction;
    Store store(options);
    std::atomic<uint64_t> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        Actor actor{store, std::mt19937(t), wrong};
        for (int i = 0; i < 6'000; ++i) actor.act();
      });
    }
    for (int i = 0; i < 20; ++i) {
      store.survey(5);
      options.memory_bytes = i % 2 == 0 ? 12 << 20 : 8 << 20;
      store.configure(options);
      std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(store.stats().growing_bytes == 0);
    CHECK(store.stats().mapped_bytes <= options.memory_bytes);
    store.purge_all(Purge::kRemove);
    for (int i = 0; i < 1'000; ++i) store.sweep(0, 100);
    CHECK(store.stats().entries == 0);
    CHECK(store.stats().bytes <= 300'000);  // of the index and of those who are remembered
  }
}

}  // namespace
}  // namespace weir::filters::cache
