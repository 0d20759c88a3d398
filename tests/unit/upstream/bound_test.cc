// Who is bound to a server gets it, unless it cannot be.
#include <catch2/catch.hpp>

#include "balance_world.h"
#include "upstream/health.h"

namespace weir::upstream {
namespace {

using test::kNow;

// Two servers, of which the second is the one that the client is bound to.
struct Bound {
  Bound() {
    world.add("other");
    world.add("bound");
  }
  std::string pick(std::span<const Server* const> tried = {}) {
    Wish wish;
    wish.tried = tried;
    wish.bound = &world.server(1);
    const Pick pick = world.pick_wish(wish);
    if (pick.server == nullptr) return pick.full ? "full" : "";
    Balancer::release(*pick.server);
    return pick.server->address + (pick.trial ? " on trial" : "");
  }
  EndpointState& state() { return *world.server(1).state; }

  test::World world{Balance::kLeastConn};
};

TEST_CASE("bound: whatever the load, backup or degraded") {
  Bound bound;
  bound.state().in_flight = 50;
  CHECK(bound.pick() == "bound");
  bound.world.server(1).backup = true;
  CHECK(bound.pick() == "bound");
  bound.state().degraded = true;
  CHECK(bound.pick() == "bound");
}

TEST_CASE("bound: a drain is for others, being taken down is for all") {
  Bound bound;
  bound.state().barriers = kDrained;
  CHECK(bound.pick() == "bound");
  CHECK(bound.world.pick_and_release() == "other");
  bound.state().barriers = kDrained | kEjected;
  CHECK(bound.pick() == "other");
  for (const Barrier barrier : {kTakenDown, kCheckFailed, kEjected}) {
    bound.state().barriers = barrier;
    CHECK(bound.pick() == "other");
  }
  // What checks say counts for nothing in a panic, what an operator says does.
  bound.world.cluster().panic = 0.5;
  bound.world.cluster().state = std::make_shared<ClusterState>("app", 0);
  bound.world.cluster().state->panic = true;
  bound.state().barriers = kCheckFailed | kDrained;
  CHECK(bound.pick() == "bound");
  bound.state().barriers = kTakenDown;
  CHECK(bound.pick() == "other");
}

TEST_CASE("bound: not after it has failed the request, nor while it is down for max_fails") {
  Bound bound;
  const Server* const tried[] = {&bound.world.server(1)};
  CHECK(bound.pick(tried) == "other");
  bound.state().down_until_ms = kNow + 1;
  CHECK(bound.pick() == "other");
  bound.state().down_until_ms = kNow - 1;
  CHECK(bound.pick() == "bound on trial");
  CHECK(bound.pick() == "other");  // nobody else tries it meanwhile
}

TEST_CASE("bound: a full server's clients go elsewhere, and nowhere if all are full") {
  Bound bound;
  bound.world.server(1).max_connections = 2;
  bound.state().in_flight = 2;
  CHECK(bound.pick() == "other");
  CHECK(bound.state().in_flight == 2);
  bound.world.server(0).max_connections = 1;
  bound.world.server(0).state->in_flight = 1;
  CHECK(bound.pick() == "full");
  bound.state().in_flight = 1;
  CHECK(bound.pick() == "bound");
}

}  // namespace
}  // namespace weir::upstream
