// Balancing by hash: how even it is, how few keys move, who stands in, and the bound of load.
#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <vector>

#include "balance_world.h"
#include "upstream/hash_table.h"
#include "upstream/health.h"

namespace weir::upstream {
namespace {

using test::kNow;
using test::World;

constexpr int kKeys = 20'000;

uint64_t key(int number) { return hash_bytes("user-" + std::to_string(number)); }

struct HashWorld : World {
  explicit HashWorld(int servers) : World(Balance::kHash) {
    for (int i = 0; i < servers; ++i) add("app" + std::to_string(i) + ":3000");
    build_hash_tables(cluster());
  }
  std::string home(uint64_t hash) { return pick_and_release(kNow, nullptr, hash); }
  std::vector<std::string> homes() {
    std::vector<std::string> all;
    for (int i = 0; i < kKeys; ++i) all.push_back(home(key(i)));
    return all;
  }
};

int moved(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  int count = 0;
  for (size_t i = 0; i < a.size(); ++i) count += a[i] == b[i] ? 0 : 1;
  return count;
}

TEST_CASE("hash: one key has one server, and keys spread by weight") {
  HashWorld world(3);
  world.server(0).weight = 3;
  world.server(1).weight = 2;
  build_hash_tables(world.cluster());
  std::map<std::string, int> counts;
  for (int i = 0; i < kKeys; ++i) {
    const std::string home = world.home(key(i));
    CHECK(world.home(key(i)) == home);
    ++counts[home];
  }
  CHECK(counts["app0:3000"] == Approx(kKeys * 3 / 6).epsilon(0.04));
  CHECK(counts["app1:3000"] == Approx(kKeys * 2 / 6).epsilon(0.04));
  CHECK(counts["app2:3000"] == Approx(kKeys * 1 / 6).epsilon(0.06));
}

TEST_CASE("hash: one server more or less of N moves about 1/N of the keys") {
  for (const int servers : {2, 3, 5, 10, 50}) {
    CAPTURE(servers);
    HashWorld before(servers);
    HashWorld after(servers + 1);
    const double share = static_cast<double>(kKeys) / (servers + 1);
    const int count = moved(before.homes(), after.homes());
    CHECK(count > share * 0.8);
    CHECK(count < share * 1.5);
  }
}

TEST_CASE("hash: another address for one of N servers moves about that server's keys") {
  HashWorld world(10);
  const std::vector<std::string> before = world.homes();
  world.server(4).address = "elsewhere:3000";
  build_hash_tables(world.cluster());
  std::vector<std::string> after = world.homes();
  int strangers = 0;  // keys that moved between two servers that both stayed
  for (size_t i = 0; i < after.size(); ++i) {
    if (after[i] != before[i] && before[i] != "app4:3000" && after[i] != "elsewhere:3000") {
      ++strangers;
    }
  }
  CHECK(moved(before, after) < 2 * 1.5 * kKeys / 10);
  CHECK(strangers < kKeys / 20);
}

TEST_CASE("hash: the order of servers in the file does not matter") {
  World forward(Balance::kHash);
  World backward(Balance::kHash);
  for (const char* name : {"a:1", "b:1", "c:1"}) forward.add(name);
  for (const char* name : {"c:1", "b:1", "a:1"}) backward.add(name);
  build_hash_tables(forward.cluster());
  build_hash_tables(backward.cluster());
  for (int i = 0; i < 1000; ++i) {
    CHECK(forward.pick_and_release(kNow, nullptr, key(i)) ==
          backward.pick_and_release(kNow, nullptr, key(i)));
  }
}

TEST_CASE("hash: keys of a server that is down spread over all others, and come home") {
  HashWorld world(5);
  const std::vector<std::string> before = world.homes();
  note_failure(world.server(2), kNow);
  const std::vector<std::string> during = world.homes();
  std::map<std::string, int> heirs;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == "app2:3000") {
      ++heirs[during[i]];
    } else {
      REQUIRE(during[i] == before[i]);
    }
  }
  CHECK(heirs.size() == 4);
  for (const auto& [name, count] : heirs) {
    CAPTURE(name);
    CHECK(count == Approx(kKeys / 20).epsilon(0.2));
  }
  note_success(world.server(2));
  CHECK(world.homes() == before);
}

TEST_CASE("hash: avoid, backups and the last resort as with any other balance") {
  HashWorld world(2);
  const uint64_t hash = key(1);
  const bool first = world.home(hash) == "app0:3000";
  Server& home = world.server(first ? 0 : 1);
  const Server& other = world.server(first ? 1 : 0);
  CHECK(world.pick_and_release(kNow, &home, hash) == other.address);
  home.backup = true;
  build_hash_tables(world.cluster());
  CHECK(world.home(hash) == other.address);
  note_failure(other, kNow);
  CHECK(world.home(hash) == home.address);
  note_failure(home, kNow);
  CHECK_FALSE(world.home(hash).empty());
}

TEST_CASE("hash: a trial is sent once, by one of its keys") {
  HashWorld world(2);
  note_failure(world.server(0), kNow);
  const uint64_t later_ms = kNow + world.server(0).fail_timeout_ms;
  int trials = 0;
  for (int i = 0; i < 100; ++i) {
    trials += world.pick_and_release(later_ms, nullptr, key(i)) == "app0:3000" ? 1 : 0;
  }
  CHECK(trials == 1);
}

TEST_CASE("hash: a request without the key goes to the least loaded server") {
  HashWorld world(3);
  world.server(0).state->in_flight = 2;
  world.server(1).state->in_flight = 2;
  CHECK(world.pick() == "app2:3000");
  CHECK(world.pick() == "app2:3000");
}

TEST_CASE("hash: no server gets more than its share times bounded_load, however hot a key is") {
  HashWorld world(4);
  world.cluster().bounded_load = 1.25;
  for (int i = 0; i < 100; ++i) world.pick(kNow, nullptr, key(7));
  uint32_t most = 0;
  uint32_t sum = 0;
  for (size_t i = 0; i < 4; ++i) {
    most = std::max(most, world.in_flight(i));
    sum += world.in_flight(i);
  }
  CHECK(sum == 100);
  CHECK(most == 32);  // ceil(1.25 * 100 / 4)
}

TEST_CASE("hash: the bound follows the weights, and those that are up") {
  HashWorld world(3);
  world.cluster().bounded_load = 1;
  world.server(0).weight = 2;
  build_hash_tables(world.cluster());
  for (int i = 0; i < 40; ++i) world.pick(kNow, nullptr, key(3));
  CHECK(world.in_flight(0) == 20);
  CHECK(world.in_flight(1) == 10);
  CHECK(world.in_flight(2) == 10);
  note_failure(world.server(0), kNow);
  for (int i = 0; i < 20; ++i) world.pick(kNow, nullptr, key(3));
  CHECK(world.in_flight(0) == 20);
  CHECK(world.in_flight(1) == 20);
  CHECK(world.in_flight(2) == 20);
}

TEST_CASE("hash: below the bound every key stays at home") {
  HashWorld world(4);
  const std::vector<std::string> unbounded = world.homes();
  world.cluster().bounded_load = 1.25;
  CHECK(world.homes() == unbounded);
}

}  // namespace
}  // namespace weir::upstream
