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
  lift_duties_of_newcomers({cluster_of(kept)}, {cluster_of(kept), cluster_of(came_back)});
  CHECK(duty_of(*kept) == Duty::kDrain);
  CHECK(duty_of(*came_back) == Duty::kUp);
}

}  // namespace
}  // namespace weir::upstream
