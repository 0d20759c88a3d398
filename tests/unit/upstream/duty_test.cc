#include "upstream/duty.h"

#include <catch2/catch.hpp>

namespace weir::upstream {
namespace {

TEST_CASE("an operator's wish is one barrier, and leaves the others alone") {
  EndpointState state("app", "127.0.0.1:1", 0);
  state.barriers = kCheckFailed;
  CHECK(set_duty(state, Duty::kDrain) == Duty::kUp);
  CHECK(state.barriers == (kCheckFailed | kDrained));
  CHECK(set_duty(state, Duty::kDown) == Duty::kDrain);
  CHECK(state.barriers == (kCheckFailed | kTakenDown));
  CHECK(set_duty(state, Duty::kUp) == Duty::kDown);
  CHECK(state.barriers == kCheckFailed);
}

TEST_CASE("words of duties") {
  Duty duty = Duty::kUp;
  for (const Duty each : {Duty::kUp, Duty::kDrain, Duty::kDown}) {
    CHECK(parse_duty(duty_word(each), duty));
    CHECK(duty == each);
  }
  CHECK_FALSE(parse_duty("Down", duty));
  CHECK_FALSE(parse_duty("", duty));
}

TEST_CASE("a server that no configuration named begins afresh") {
  const auto cluster_of = [](std::shared_ptr<EndpointState> state) {
    auto cluster = std::make_shared<Cluster>();
    cluster->servers.resize(1);
    cluster->servers[0].state = std::move(state);
    return cluster;
  };
  const auto kept = std::make_shared<EndpointState>("app", "127.0.0.1:1", 0);
  const auto came_back = std::make_shared<EndpointState>("app", "127.0.0.1:2", 1);
  set_duty(*kept, Duty::kDrain);
  set_duty(*came_back, Duty::kDown);
  welcome_newcomers({cluster_of(kept)}, {cluster_of(kept), cluster_of(came_back)}, 1);
  CHECK(duty_of(*kept) == Duty::kDrain);
  CHECK(duty_of(*came_back) == Duty::kUp);
}

TEST_CASE("a newcomer starts slowly where others stay") {
  const auto cluster_of = [](const std::vector<const char*>& names, StateRegistry& registry) {
    auto cluster = std::make_shared<Cluster>();
    for (const char* name : names) {
      Server& server = cluster->servers.emplace_back();
      server.slow_start_ms = 10'000;
      server.state = registry.endpoint("app", name);
    }
    return cluster;
  };
  StateRegistry registry;
  const auto one = cluster_of({"a"}, registry);
  const auto two = cluster_of({"a", "b"}, registry);
  const auto others = cluster_of({"c", "d"}, registry);
  welcome_newcomers({}, {two}, 7);
  CHECK(two->servers[1].state->slow_from_ms == 0);  // all at once
  welcome_newcomers({one}, {two}, 7);
  CHECK(two->servers[0].state->slow_from_ms == 0);
  CHECK(two->servers[1].state->slow_from_ms == 7);
  welcome_newcomers({two}, {others}, 8);
  CHECK(others->servers[0].state->slow_from_ms == 0);  // nobody else is there
}

}  // namespace
}  // namespace weir::upstream
