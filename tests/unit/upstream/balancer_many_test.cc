// Clusters with more servers than a balancer looks at.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "balance_world.h"
#include "upstream/balancer.h"

namespace weir::upstream {
namespace {

constexpr size_t kMany = 10'000;
constexpr std::pair<Balance, const char*> kKinds[] = {{Balance::kLeastConn, "least_conn"},
                                                      {Balance::kRoundRobin, "round_robin"},
                                                      {Balance::kRandomTwo, "random_two"},
                                                      {Balance::kHash, "hash"}};

// 10,000 servers of which every fourth has weight 3.
class ManyWorld : public test::World {
 public:
  explicit ManyWorld(Balance balance, double bounded_load = 0) : World(balance) {
    for (size_t i = 0; i < kMany; ++i) {
      add("s" + std::to_string(i), i % 4 == 0 ? 3 : 1);
    }
    cluster().bounded_load = bounded_load;
    build_hash_tables(cluster());
    build_turn_tables(cluster());
  }
  void take_down(size_t index) { server(index).state->barriers = kCheckFailed; }
  size_t index_of(const Server* server) { return static_cast<size_t>(server - &this->server(0)); }
  std::optional<uint64_t> key(uint64_t number) {
    if (cluster().balance != Balance::kHash) return std::nullopt;
    return hash_bytes(std::to_string(number));
  }
  Balancer balancer;
};

TEST_CASE("many servers: shares are by weight, those that are down have none", "[balancer]") {
  for (const auto& [balance, name] : kKinds) {
    CAPTURE(name);
    ManyWorld world(balance);
    for (size_t i = 0; i < kMany; i += 10) world.take_down(i + i / 10 % 10);
    std::vector<uint32_t> counts(kMany);
    constexpr uint64_t kPicks = 300'000;
    for (uint64_t i = 0; i < kPicks; ++i) {
      const Pick pick = world.balancer.pick(world.cluster(), test::kNow, {{}, world.key(i)});
      REQUIRE(pick.server != nullptr);
      ++counts[world.index_of(pick.server)];
      Balancer::release(*pick.server);
    }
    double heavy = 0;
    double weight = 0;
    double heavy_weight = 0;
    uint32_t most = 0;
    for (size_t i = 0; i < kMany; ++i) {
      const Server& server = world.server(i);
      if (server.state->barriers != 0) {
        CHECK(counts[i] == 0);
        continue;
      }
      weight += server.weight;
      if (server.weight == 3) {
        heavy += counts[i];
        heavy_weight += 3;
      }
      most = std::max(most, counts[i] / server.weight);
    }
    const double share = heavy / static_cast<double>(kPicks);
    // Six or seven slots of the hash table for each server: that is as fine as it gets.
    const double tolerance = balance == Balance::kHash ? 0.1 : 0.03;
    CHECK(share == Approx(heavy_weight / weight).epsilon(tolerance));
    CHECK(most < 80);  // 22 on average
  }
}

TEST_CASE("many servers: what is held spreads evenly", "[balancer]") {
  for (const Balance balance : {Balance::kLeastConn, Balance::kRandomTwo, Balance::kRoundRobin}) {
    ManyWorld world(balance);
    for (int i = 0; i < 60'000; ++i) world.pick();  // 4 for each unit of weight
    uint32_t most = 0;
    for (size_t i = 0; i < kMany; ++i) {
      most = std::max(most, world.in_flight(i) / world.server(i).weight);
    }
    CHECK(most <= 9);
  }
}

TEST_CASE("many servers: the only one that is up gets everything", "[balancer]") {
  for (const auto& [balance, name] : kKinds) {
    CAPTURE(name);
    ManyWorld world(balance);
    for (size_t i = 0; i < kMany; ++i) {
      if (i != 4321) world.take_down(i);
    }
    for (uint64_t i = 0; i < 20; ++i) {
      CHECK(world.pick_and_release(test::kNow, nullptr, world.key(i)) == "s4321");
    }
    CHECK(world.pick_and_release(test::kNow, &world.server(4321), world.key(1)) == "s4321");
  }
}

TEST_CASE("many servers: full ones are passed over, all of them is busy", "[balancer]") {
  ManyWorld world(Balance::kLeastConn);
  for (size_t i = 0; i < kMany; ++i) world.server(i).max_connections = i == 77 ? 2 : 1;
  for (size_t i = 0; i < kMany; ++i) {
    if (i != 77) world.server(i).state->in_flight = 1;
  }
  CHECK(world.pick() == "s77");
  CHECK(world.pick() == "s77");
  CHECK(world.pick() == "full");
}

TEST_CASE("many servers: a round visits each as often as its weight", "[balancer]") {
  ManyWorld world(Balance::kRoundRobin);
  std::map<std::string, uint32_t> counts;
  for (size_t i = 0; i < kMany / 4 * 6; ++i) ++counts[world.pick_and_release()];
  for (size_t i = 0; i < kMany; ++i) {
    CHECK(counts["s" + std::to_string(i)] == world.server(i).weight);
  }
}

TEST_CASE("many servers: a bounded load holds, within what a worker's mean may be late",
          "[balancer]") {
  ManyWorld world(Balance::kHash, 1.25);
  const std::optional<uint64_t> hot = hash_bytes("hot");
  uint32_t held = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Pick pick = world.balancer.pick(world.cluster(), test::kNow, {{}, hot});
    REQUIRE(pick.server != nullptr);
    held = std::max(held, pick.server->state->in_flight.load());
  }
  CHECK(held <= 12);  // 3 of weight at 1.33 each, times 1.25; and what nobody within reach took
}

TEST_CASE("many servers: weights without a common divisor are scaled, nobody's to nothing") {
  TurnTable table;
  std::vector<TurnTable::Entry> entries;
  for (uint32_t i = 0; i < kMany; ++i) entries.push_back({i % 1000 + 1, i});
  table.build(entries);
  CHECK(table.size() <= TurnTable::kTurnsMax + kMany);
  std::vector<uint32_t> counts(kMany);
  for (size_t i = 0; i < table.size(); ++i) ++counts[table.server_at(i)];
  CHECK(*std::min_element(counts.begin(), counts.end()) >= 1);
  const double per_weight = static_cast<double>(counts[999]) / 1000;
  CHECK(counts[499] == Approx(per_weight * 500).margin(1.01));
}

}  // namespace
}  // namespace weir::upstream
