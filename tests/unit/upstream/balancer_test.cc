// Who gets the next request: weights, ties, backups, servers that are down, the one to avoid.
#include "upstream/balancer.h"

#include <catch2/catch.hpp>

#include <map>
#include <string>

#include "balance_world.h"
#include "upstream/health.h"

namespace weir::upstream {
namespace {

using test::kNow;
using test::World;

TEST_CASE("least_conn shares by weight, held requests and requests in a row alike") {
  World held(Balance::kLeastConn);
  World row(Balance::kLeastConn);
  for (World* world : {&held, &row}) {
    world->add("a", 3);
    world->add("b", 2);
    world->add("c", 1);
  }
  for (int i = 0; i < 12; ++i) held.pick();
  CHECK(held.server(0).state->in_flight.load() == 6);
  CHECK(held.server(1).state->in_flight.load() == 4);
  CHECK(held.server(2).state->in_flight.load() == 2);
  std::map<std::string, int> counts;
  for (int i = 0; i < 180; ++i) ++counts[row.pick_and_release()];
  CHECK(counts == std::map<std::string, int>{{"a", 90}, {"b", 60}, {"c", 30}});
}

TEST_CASE("least_conn counts what all workers hold, not its own") {
  World world(Balance::kLeastConn);
  world.add("a");
  world.add("b");
  world.server(0).state->in_flight = 5;  // another worker's
  for (int i = 0; i < 5; ++i) CHECK(world.pick() == "b");
}

TEST_CASE("round robin is smooth: no server twice in a row where another has its turn") {
  World world(Balance::kRoundRobin);
  world.add("a", 5);
  world.add("b", 1);
  world.add("c", 1);
  std::string order;
  for (int i = 0; i < 14; ++i) order += world.pick_and_release();
  CHECK(order == "aabacaaaabacaa");
}

TEST_CASE("a server that is down gets nothing, then one trial, then everything again") {
  World world(Balance::kRoundRobin);
  world.add("a");
  world.add("b");
  note_failure(world.server(0), kNow);
  for (int i = 0; i < 4; ++i) CHECK(world.pick_and_release() == "b");
  const uint64_t later_ms = kNow + world.server(0).fail_timeout_ms;
  int trials = 0;
  for (int i = 0; i < 6; ++i) trials += world.pick_and_release(later_ms) == "a" ? 1 : 0;
  CHECK(trials == 1);
  note_success(world.server(0));
  int after = 0;
  for (int i = 0; i < 6; ++i) after += world.pick_and_release(later_ms) == "a" ? 1 : 0;
  CHECK(after == 3);
}

TEST_CASE("backups serve only when no primary may") {
  World world(Balance::kLeastConn);
  world.add("a");
  world.add("b").backup = true;
  for (int i = 0; i < 3; ++i) CHECK(world.pick() == "a");
  note_failure(world.server(0), kNow);
  CHECK(world.pick() == "b");
}

TEST_CASE("when all are down for failures alone, one is tried all the same") {
  World world(Balance::kLeastConn);
  world.add("a");
  world.add("b");
  world.forget_address(1);  // its name never resolved
  note_failure(world.server(0), kNow);
  CHECK(world.pick() == "a");
  world.forget_address(0);
  CHECK(world.pick().empty());
}

TEST_CASE("the server that failed this request is taken again only if there is no other") {
  World world(Balance::kLeastConn);
  world.add("a");
  CHECK(world.pick(kNow, &world.server(0)) == "a");
  world.add("b");
  world.server(1).state->in_flight = 100;
  CHECK(world.pick(kNow, &world.server(0)) == "b");
  CHECK(world.server(0).state->in_flight.load() == 1);
}

TEST_CASE("random_two shares requests in a row by weight, and held ones to within a few") {
  World row(Balance::kRandomTwo);
  World held(Balance::kRandomTwo);
  for (World* world : {&row, &held}) {
    world->add("a", 3);
    world->add("b", 2);
    world->add("c", 1);
  }
  std::map<std::string, int> counts;
  for (int i = 0; i < 6000; ++i) ++counts[row.pick_and_release()];
  CHECK(counts["a"] == Approx(3000).margin(300));
  CHECK(counts["b"] == Approx(2000).margin(300));
  CHECK(counts["c"] == Approx(1000).margin(300));
  for (int i = 0; i < 600; ++i) held.pick();
  CHECK(held.in_flight(0) == Approx(300).margin(20));
  CHECK(held.in_flight(1) == Approx(200).margin(20));
  CHECK(held.in_flight(2) == Approx(100).margin(20));
}

TEST_CASE("random_two never takes the busier of its two") {
  World world(Balance::kRandomTwo);
  world.add("a");
  world.add("b");
  world.server(0).state->in_flight = 5;
  for (int i = 0; i < 5; ++i) CHECK(world.pick() == "b");
  CHECK(world.pick_and_release(kNow, &world.server(1)) == "a");
  note_failure(world.server(0), kNow);
  for (int i = 0; i < 5; ++i) CHECK(world.pick() == "b");
}

// ---- health ----------------------------------------------------------------------------

TEST_CASE("a server is down after max_fails within fail_timeout, not after as many over a day") {
  World world(Balance::kLeastConn);
  Server& server = world.add("a");
  server.max_fails = 3;
  for (int i = 0; i < 5; ++i) note_failure(server, kNow + i * (server.fail_timeout_ms + 1));
  CHECK(standing(server, kNow) == Standing::kUp);
  const uint64_t at_ms = kNow + 100 * server.fail_timeout_ms;
  for (int i = 0; i < 3; ++i) note_failure(server, at_ms + i);
  CHECK(standing(server, at_ms + 2) == Standing::kDown);
  CHECK(standing(server, at_ms + 2 + server.fail_timeout_ms) == Standing::kTrialDue);
}

TEST_CASE("exactly one may try, and a failed trial costs another fail_timeout") {
  World world(Balance::kLeastConn);
  Server& server = world.add("a");
  note_failure(server, kNow);
  const uint64_t later_ms = kNow + server.fail_timeout_ms;
  CHECK(claim_trial(server, later_ms));
  CHECK_FALSE(claim_trial(server, later_ms));
  note_failure(server, later_ms + 5);
  CHECK(standing(server, later_ms + 4 + server.fail_timeout_ms) == Standing::kDown);
  CHECK(standing(server, later_ms + 5 + server.fail_timeout_ms) == Standing::kTrialDue);
}

TEST_CASE("a pick says whether it is the trial") {
  World world(Balance::kLeastConn);
  Server& server = world.add("a");
  CHECK_FALSE(world.pick_whole().trial);
  note_failure(server, kNow);
  CHECK_FALSE(world.pick_whole().trial);  // nobody else is there
  const uint64_t later_ms = kNow + server.fail_timeout_ms;
  CHECK(world.pick_whole(later_ms).trial);
  CHECK_FALSE(world.pick_whole(later_ms).trial);
}

TEST_CASE("a pick without a trial leaves one that is due to others") {
  World world(Balance::kLeastConn);
  world.add("a");
  world.add("b").state->in_flight = 5;
  note_failure(world.server(0), kNow - world.server(0).fail_timeout_ms);
  Wish wish;
  wish.no_trial = true;
  CHECK(world.pick_wish(wish).server == &world.server(1));
  CHECK(standing(world.server(0), kNow) == Standing::kTrialDue);
  wish.bound = &world.server(0);
  CHECK(world.pick_wish(wish).server == &world.server(1));
  wish.no_trial = false;
  CHECK(world.pick_wish(wish).trial);
}

TEST_CASE("max_fails: 0 is never down") {
  World world(Balance::kLeastConn);
  Server& server = world.add("a");
  server.max_fails = 0;
  for (int i = 0; i < 100; ++i) note_failure(server, kNow);
  CHECK(standing(server, kNow) == Standing::kUp);
}

// ---- what outlives a snapshot ------------------------------------------------------------

TEST_CASE("an endpoint's state is one while anybody holds it; a cluster's index for ever") {
  StateRegistry registry;
  std::shared_ptr<EndpointState> first = registry.endpoint("app", "a:1");
  CHECK(registry.endpoint("app", "a:1") == first);
  CHECK(registry.endpoint("other", "a:1") != first);
  const uint32_t index = first->index;
  CHECK(registry.endpoints().size() == 1);  // nobody kept the other one
  first.reset();
  CHECK(registry.endpoint("app", "a:1")->index != index);
  const std::shared_ptr<ClusterState> cluster = registry.cluster("app");
  CHECK(registry.cluster("other")->index != cluster->index);
  CHECK(registry.cluster("app") == cluster);
}

}  // namespace
}  // namespace weir::upstream
