// mirror in defaults, sites and routes
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

const std::string kUpstreams =
    "listeners: {l: {address: \"127.0.0.1:0\"}}\n"
    "upstreams: {app: {servers: [{address: \"127.0.0.1:1\"}]},"
    " shadow: {servers: [{address: \"127.0.0.1:2\"}]}}\n";

std::string with_routes(const std::string& routes, const std::string& defaults = "{}") {
  return kUpstreams + "defaults: " + defaults + "\nsites: [{hosts: [\"*\"], routes: [\n" + routes +
         "]}]\n";
}

TEST_CASE("config: a mirror and its defaults") {
  test::World world;
  const LoadResult result = world.load(with_routes(
      "{path: /a, upstream: app, mirror: {upstream: shadow}},\n"
      "{path: /b, upstream: app, mirror: {upstream: shadow, sample: 2.5%, max_body: 0B, "
      "timeout: 1s}},\n"
      "{path: /c, upstream: app}"));
  REQUIRE(result.ok());
  CHECK(result.warnings == Lines{});
  CHECK(result.snapshot->mirrors);
  const std::vector<proxy::Route>& routes = result.snapshot->sites[0].routes;
  REQUIRE(routes[0].mirror != nullptr);
  CHECK(routes[0].mirror->cluster->name == "shadow");
  CHECK(routes[0].mirror->sample == 1);
  CHECK(routes[0].mirror->max_body_bytes == 1 << 20);
  CHECK(routes[0].mirror->timeout_ms == 30'000);
  REQUIRE(routes[1].mirror != nullptr);
  CHECK(routes[1].mirror->sample == 0.025);
  CHECK(routes[1].mirror->max_body_bytes == 0);
  CHECK(routes[1].mirror->timeout_ms == 1000);
  CHECK(routes[2].mirror == nullptr);
}

TEST_CASE("config: the nearest mirror wins whole, off ends it, other actions have none") {
  test::World world;
  const LoadResult result =
      world.load(with_routes("{path: /a, upstream: app},\n"
                             "{path: /b, upstream: app, mirror: off},\n"
                             "{path: /c, upstream: app, mirror: {upstream: shadow}},\n"
                             "{path: /d, respond: {}}",
                             "{mirror: {upstream: shadow, sample: 10%}}"));
  REQUIRE(result.ok());
  CHECK(result.warnings == Lines{});
  const std::vector<proxy::Route>& routes = result.snapshot->sites[0].routes;
  REQUIRE(routes[0].mirror != nullptr);
  CHECK(routes[0].mirror->sample == 0.1);
  CHECK(routes[1].mirror == nullptr);
  REQUIRE(routes[2].mirror != nullptr);
  CHECK(routes[2].mirror->sample == 1);
  CHECK(routes[3].mirror == nullptr);
}

TEST_CASE("config: without a mirror that is ever drawn nothing looks for one") {
  test::World world;
  const LoadResult result =
      world.load(with_routes("{path: /, upstream: app, mirror: {upstream: shadow, sample: 0%}}"));
  REQUIRE(result.ok());
  CHECK_FALSE(result.snapshot->mirrors);
  CHECK(result.snapshot->sites[0].routes[0].mirror == nullptr);
}

TEST_CASE("config errors: mirror") {
  const auto errors = [](const std::string& route) {
    test::World world;
    return world.load(with_routes(route)).errors;
  };
  const std::string place = "weir.yaml:5:";
  const std::string path = "sites[0].routes[0].mirror";
  CHECK(
      errors("{path: /, upstream: app, mirror: {upstream: shadw}}") ==
      Lines{place + "35: " + path + ".upstream: no upstream \"shadw\"; did you mean \"shadow\"?"});
  CHECK(errors("{path: /, upstream: app, mirror: {sample: 10%}}") ==
        Lines{place + "26: " + path + ".upstream: is required; as in upstream: shadow"});
  CHECK(errors("{path: /, upstream: app, mirror: {upstream: shadow, sample: 101%}}") ==
        Lines{place + "53: " + path + ".sample: \"101%\" is out of range; allowed: 0% to 100%"});
  CHECK(errors("{path: /, upstream: app, mirror: {upstream: shadow, sample: 0.5}}") ==
        Lines{place + "53: " + path +
              ".sample: \"0.5\" is not a percentage; a number and %, as in 50%"});
  CHECK(
      errors("{path: /, upstream: app, mirror: {upstream: shadow, max_body: 17MiB}}") ==
      Lines{place + "53: " + path + ".max_body: \"17MiB\" is out of range; allowed: 0B to 16MiB"});
  CHECK(errors("{path: /, upstream: app, mirror: shadow}") ==
        Lines{place + "26: " + path + ": must be a map or off, not \"shadow\""});
  CHECK(errors("{path: /, respond: {}, mirror: {upstream: shadow}}") ==
        Lines{place + "24: " + path + ": does nothing on a route that has no upstream"});
}

TEST_CASE("config warnings: a split, one side of which is the mirror of all") {
  test::World world;
  const LoadResult result =
      world.load(with_routes("{path: /, split: {key: client_ip, to: [{upstream: app, weight: 90}, "
                             "{upstream: shadow, weight: 10}]}}",
                             "{mirror: {upstream: shadow}}"));
  CHECK(result.errors == Lines{});
  CHECK(result.warnings ==
        Lines{"weir.yaml:5:1: sites[0].routes[0]: the route mirrors to its own upstream; "
              "its servers get such requests twice"});
}

TEST_CASE("config warnings: a route that mirrors to its own upstream") {
  test::World world;
  const LoadResult result =
      world.load(with_routes("{path: /, upstream: app, mirror: {upstream: app}}"));
  REQUIRE(result.ok());
  CHECK(result.warnings ==
        Lines{"weir.yaml:5:26: sites[0].routes[0].mirror: the route mirrors to its own upstream; "
              "its servers get such requests twice"});
}

}  // namespace
}  // namespace weir::config
