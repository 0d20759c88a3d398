// What a split cannot be, and the exact words for it.
#include <catch2/catch.hpp>

#include "proxy/split.h"
#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

std::string with_split(const std::string& split) {
  return "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
         "upstreams: {a: {servers: [{address: \"127.0.0.1:1\"}]}, "
         "b: {servers: [{address: \"127.0.0.1:2\"}]}}\n"
         "sites:\n"
         "  - hosts: [example.com]\n"
         "    routes:\n"
         "      - path: /\n"
         "        split:\n"
         "          {" +
         split + "}\n";
}

const std::string kTo = "to: [{upstream: a, weight: 90}, {upstream: b, weight: 10}]";

Lines errors_of(const std::string& split) {
  test::World world;
  Lines errors = world.load(with_split(split)).errors;
  const std::string place = "sites[0].routes[0].split";
  for (std::string& line : errors) {
    const size_t at = line.find(place);
    if (at != std::string::npos) line.erase(0, at + place.size());
  }
  return errors;
}

TEST_CASE("config errors: a split's key and sides") {
  CHECK(errors_of("key: client_ip, " + kTo) == Lines{});
  CHECK(errors_of("missing: random, " + kTo) == Lines{});
  CHECK(errors_of(kTo) ==
        Lines{".key: is required; as in key: cookie:sid; or missing: random for everybody"});
  CHECK(errors_of("key: user, " + kTo) ==
        Lines{".key: \"user\" is not a key: it is client_ip, path, uri, header:NAME, cookie:NAME "
              "or query:NAME"});
  CHECK(errors_of("key: path, missing: base, " + kTo) ==
        Lines{".missing: must be control or random, not \"base\""});
  CHECK(errors_of("key: path, cookie: c, ttl: 1h, " + kTo) ==
        Lines{".cookie: does nothing without missing: random",
              ".ttl: does nothing without missing: random"});
  CHECK(errors_of("missing: random, cookie: \"a b\", ttl: 10ms, " + kTo) ==
        Lines{".cookie: \"a b\" is not a cookie name: letters, digits and _ or - are fine",
              ".ttl: \"10ms\" is out of range; allowed: 1s to 1y"});
  CHECK(errors_of("key: path, name: \"\", override: {}, " + kTo) ==
        Lines{".name: is empty",
              ".override: is empty; as in override: {header: X-Side}, or {cookie: side}"});
  CHECK(errors_of("key: path, override: {header: Connection}, " + kTo).size() == 1);
}

TEST_CASE("config errors: a split's rollback") {
  const auto rule = [](const std::string& text) {
    return errors_of("key: path, " + kTo + ", rollback: {" + text + "}");
  };
  CHECK(rule("error_rate_over: 0%, p95_over: 1000%") == Lines{});
  CHECK(rule("error_rate_over: 0%") == rule("window: 10s"));
  CHECK(rule("window: 10s") == Lines{".rollback: has no rule; as in rollback: "
                                     "{error_rate_over: 2%, p95_over: 50%}"});
  CHECK(rule("error_rate_over: 101%, p95_over: 10001%, window: 10ms, min_requests: 1") ==
        Lines{".rollback.error_rate_over: \"101%\" is out of range; allowed: 0% to 100%",
              ".rollback.p95_over: \"10001%\" is out of range; allowed: 0% to 10000%",
              ".rollback.window: \"10ms\" is out of range; allowed: 1s to 1d",
              ".rollback.min_requests: \"1\" is out of range; allowed: 10 to 1000000"});
  CHECK(errors_of("key: path, to: [{upstream: a, weight: 100}], rollback: {p95_over: 1%}") ==
        Lines{".rollback: has nothing to take back; the split has one upstream only"});
}

TEST_CASE("config: what is known of a rollback is kept as long as the split is the same") {
  test::World world;
  const auto state_of = [&world](const std::string& split) {
    const LoadResult result = world.load(with_split(split));
    REQUIRE(result.ok());
    return result.snapshot->sites[0].routes[0].split->rollback;
  };
  const std::string rule = ", rollback: {p95_over: 50%}";
  const auto first = state_of("key: path, " + kTo + rule);
  REQUIRE(first != nullptr);
  CHECK(state_of("key: path, vary: false, " + kTo + rule) == first);
  CHECK(state_of("key: uri, " + kTo + rule) != first);
  CHECK(state_of("key: path, " + kTo + ", rollback: {p95_over: 51%}") != first);
  CHECK(state_of("key: path, to: [{upstream: a, weight: 91}, {upstream: b, weight: 9}]" + rule) !=
        first);
  CHECK(state_of("key: path, " + kTo) == nullptr);
}

TEST_CASE("config errors: sticky") {
  const auto errors_of_sticky = [](const std::string& sticky) {
    test::World world;
    return world
        .load(
            "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
            "upstreams: {a: {servers: [{address: \"127.0.0.1:1\"}], sticky: " +
            sticky +
            "}}\n"
            "sites: [{hosts: [a], routes: [{path: /, upstream: a}]}]\n")
        .errors;
  };
  CHECK(errors_of_sticky("{}") == Lines{});
  CHECK(errors_of_sticky("{cookie: \"a=b\", ttl: 500ms, secret: short}") ==
        Lines{"weir.yaml:2:63: upstreams.a.sticky.cookie: \"a=b\" is not a cookie name: letters, "
              "digits and _ or - are fine",
              "weir.yaml:2:78: upstreams.a.sticky.ttl: \"500ms\" is out of range; allowed: 1s to "
              "1y",
              "weir.yaml:2:90: upstreams.a.sticky.secret: is too short; 32 bytes or more, as of: "
              "openssl rand -hex 32"});
}

TEST_CASE("config errors: a split's weights") {
  CHECK(errors_of("key: path") == Lines{".to: is required; as in to: [{upstream: app, weight: 95}, "
                                        "{upstream: canary, weight: 5}]"});
  CHECK(errors_of("key: path, to: []") ==
        Lines{".to: is empty; 1 to 16 upstreams with their weights"});
  CHECK(errors_of("key: path, to: [{upstream: a, weight: 90}, {upstream: b, weight: 9}]") ==
        Lines{".to: the weights total 99; they are percentages, and must total 100"});
  CHECK(errors_of("key: path, to: [{upstream: a, weight: 99.5}, {upstream: b, weight: 0.55}]") ==
        Lines{".to: the weights total 100.05; they are percentages, and must total 100"});
  CHECK(errors_of("key: path, to: [{upstream: a, weight: 99.999}, {upstream: b, weight: 0.001}]") ==
        Lines{".to[0].weight: \"99.999\" is too fine; two decimals are kept",
              ".to[1].weight: \"0.001\" is too fine; two decimals are kept"});
  CHECK(errors_of("key: path, to: [{upstream: a, weight: 50}, {upstream: a, weight: 50}]") ==
        Lines{".to[1].upstream: is in this split already"});
  CHECK(errors_of("key: path, to: [{upstream: a}, {upstream: c, weight: 101}]") ==
        Lines{".to[0].weight: is required; a percentage, as in weight: 5",
              ".to[1].upstream: no upstream \"c\"",
              ".to[1].weight: \"101\" is out of range; allowed: 0 to 100"});
}

TEST_CASE("config: a split's name is that of its site and route, unless it has one") {
  const auto name_of = [](const std::string& split) {
    test::World world;
    const LoadResult result = world.load(with_split(split));
    REQUIRE(result.ok());
    const proxy::Route& route = result.snapshot->sites[0].routes[0];
    CHECK(route.cluster->name == "a");
    return route.split->name;
  };
  CHECK(name_of("key: path, " + kTo) == "example.com /");
  CHECK(name_of("key: path, name: n, " + kTo) == "n");
}

LoadResult with_sticky(const std::string& a, const std::string& b, const std::string& routes) {
  test::World world;
  return world.load(
      "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
      "upstreams: {a: {servers: [{address: \"127.0.0.1:1\"}], sticky: {" +
      a + "}}, b: {servers: [{address: \"127.0.0.1:2\"}], sticky: {" + b +
      "}}}\n"
      "sites:\n"
      "  - hosts: [example.com]\n"
      "    routes: [" +
      routes + "]\n  - {hosts: [b.example.com], routes: [{path: /, upstream: b}]}\n");
}

TEST_CASE("config warnings: upstreams of a site that are sticky by one cookie") {
  const std::string both =
      "{path: /a, upstream: a}, {path: /b, upstream: b}, {path: /, upstream: b}";
  const LoadResult shared = with_sticky("", "", both);
  CHECK(shared.ok());
  CHECK(shared.warnings ==
        Lines{"weir.yaml:4:5: sites[0]: upstreams a and b are both sticky by the cookie weir_srv; "
              "clients have one cookie of a name: each takes the other's away"});
  CHECK(with_sticky("", "cookie: other", both).warnings == Lines{});
  CHECK(with_sticky("", "", "{path: /, upstream: a}").warnings == Lines{});
  CHECK(with_sticky("", "", "{path: /, split: {key: path, " + kTo + "}}").warnings == Lines{});
}

TEST_CASE("config errors: a side that is remembered by the cookie of a sticky upstream") {
  const std::string split = "{path: /, split: {missing: random, cookie: weir_srv, " + kTo + "}}";
  CHECK(with_sticky("", "cookie: other", split).errors ==
        Lines{"weir.yaml:5:49: sites[0].routes[0].split.cookie: upstream a is sticky by the cookie "
              "weir_srv, too; a side is remembered by a cookie of its own"});
  CHECK(with_sticky("cookie: s", "cookie: other", split).errors == Lines{});
}

}  // namespace
}  // namespace weir::config
