// rate_limits and rate_limit: what they become, and what is wrong with them.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "filters/rate_limit/read.h"
#include "language.h"

namespace weir::config {
namespace {

using filters::rate_limit::Algorithm;
using filters::rate_limit::Limit;
using Lines = std::vector<std::string>;

// With the limit's keys in line 2, from column 21 on.
LoadResult load(std::string_view keys, std::string_view route = "rate_limit: [api]") {
  test::World world;
  return world.load(
      "listeners: {l: {address: \"127.0.0.1:0\"}}\n"
      "rate_limits: {api: {" +
      std::string(keys) + "}}\nsites: [{hosts: [a], routes: [{path: /, respond: {}, " +
      std::string(route) + "}]}]\n");
}

std::string error_of(std::string_view keys) {
  const LoadResult result = load(keys);
  REQUIRE(result.errors.size() == 1);
  return result.errors[0];
}

// As it is read, without a route.
Limit limit_of(std::string_view keys) {
  options::Problems problems;
  const auto document = parse_yaml("api: {" + std::string(keys) + "}", "weir.yaml", problems);
  const auto limits = filters::rate_limit::read_limits(*document->root, problems);
  CHECK(problems.errors() == Lines{});
  REQUIRE(limits.at("api") != nullptr);
  return *limits.at("api");
}

TEST_CASE("config: a limit with nothing but its rate") {
  const Limit limit = limit_of("rate: 10/s");
  CHECK(limit.name == "api");
  REQUIRE(limit.key.parts.size() == 1);
  CHECK(key_part_text(limit.key.parts[0]) == "client_ip");
  CHECK(limit.key.ipv6_prefix == 64);
  CHECK(limit.rule.algorithm == Algorithm::kTokenBucket);
  CHECK(limit.rule.quota == 1);
  CHECK(limit.rule.interval_ns == 100'000'000);
  CHECK(limit.rule.block_ns == 0);
  CHECK(limit.delay.of(1'000'000) == 0);
  CHECK_FALSE(limit.failures_only);
  CHECK(limit.status == 429);
  CHECK(limit.skip.empty());
  CHECK(limit.policy == "\"api\";q=1;w=1");
}

TEST_CASE("config: a limit with every key") {
  const Limit limit = limit_of(
      "key: [client_ip, \"header:X-A\"], rate: 10/s, burst: 20, algorithm: token_bucket, "
      "shared: false, delay: {after: 10, by: 500ms, max: 2s}, count: failures, block_for: 1m, "
      "status: 503, skip: [/ready, /health], ipv6_prefix: 56");
  CHECK(limit.policy == "\"api\";q=21;w=3");
  CHECK(limit.rule.quota == 21);
  CHECK(limit.rule.block_ns == 60'000'000'000);
  CHECK(limit.key.parts.size() == 2);
  CHECK(limit.key.ipv6_prefix == 56);
  CHECK(limit.delay.of(10) == 0);
  CHECK(limit.delay.of(11) == 500);
  CHECK(limit.delay.of(21) == 2000);
  CHECK(limit.failures_only);
  CHECK(limit.status == 503);
  CHECK(limit.skips("/health"));
  CHECK(limit.skips("/ready"));
  CHECK_FALSE(limit.skips("/healthx"));
}

TEST_CASE("config: a fixed window has its rate as its quota") {
  const Limit limit = limit_of("rate: 100/15m, algorithm: fixed_window");
  CHECK(limit.rule.quota == 100);
  CHECK(limit.policy == "\"api\";q=100;w=900");
}

TEST_CASE("config: counts go on after a reload as long as the limit means the same") {
  const std::string first = limit_of("rate: 10/s, burst: 5").identity();
  for (const char* same : {"rate: 10/s, burst: 5, status: 503", "rate: 600/m, burst: 5",
                           "rate: 10/s, burst: 5, skip: [/x], delay: {by: 1s}"}) {
    CHECK(limit_of(same).identity() == first);
  }
  for (const char* other :
       {"rate: 11/s, burst: 5", "rate: 10/s, burst: 6", "rate: 10/s, burst: 5, key: host",
        "rate: 10/s, burst: 5, count: failures", "rate: 10/s, burst: 5, block_for: 1s",
        "rate: 10/s, burst: 5, ipv6_prefix: 56", "rate: 6/s, algorithm: fixed_window"}) {
    CHECK(limit_of(other).identity() != first);
  }
}

TEST_CASE("config errors: rates") {
  constexpr std::string_view kAt = "weir.yaml:2:21: rate_limits.api.rate: ";
  CHECK(error_of("") ==
        "weir.yaml:2:15: rate_limits.api.rate: is required; as in rate: 10/s, or "
        "100/15m");
  for (const char* bad : {"10", "10/", "/s", "0/s", "10/0s", "1.5/s", "-1/s", "10/15"}) {
    CHECK(error_of("rate: " + std::string(bad)) ==
          std::string(kAt) + "\"" + bad +
              "\" is not a rate; a number per duration, as in 10/s or 100/15m");
  }
  CHECK(error_of("rate: 1000001/s") ==
        std::string(kAt) +
            "\"1000001/s\" is not a rate for it: a token bucket has 1000000/s at most");
  CHECK(error_of("rate: 1/11y") ==
        std::string(kAt) + "\"1/11y\" is not a rate for it: a rate is per ten years at most");
  CHECK(error_of("rate: 1/1y, burst: 10") ==
        std::string(kAt) +
            "\"1/1y\" is not a rate for it: with its burst the bucket would take more than ten "
            "years to fill");
  CHECK(error_of("rate: 2097152/1d, algorithm: fixed_window") ==
        std::string(kAt) +
            "\"2097152/1d\" is not a rate for it: a fixed window has 2097151 requests at most");
}

TEST_CASE("config errors: the other keys of a limit") {
  const auto after = [](std::string_view keys) {
    const std::string line = error_of("rate: 10/s, " + std::string(keys));
    constexpr std::string_view kAt = "weir.yaml:2:33: rate_limits.api.";
    CHECK(line.substr(0, kAt.size()) == kAt);
    return line.substr(kAt.size());
  };
  CHECK(after("bursts: 1") == "bursts: unknown key; did you mean \"burst\"?");
  CHECK(after("rate-limit-window: 1m") == "rate-limit-window: unknown key");
  CHECK(after("algorithm: bucket") ==
        "algorithm: must be token_bucket or fixed_window, not \"bucket\"");
  CHECK(after("burst: 1, algorithm: fixed_window") ==
        "burst: is of the token_bucket: a fixed_window admits its rate at once");
  CHECK(after("key: ip") ==
        "key: \"ip\" is not a key of a limit: client_ip, host, path, route, header:NAME, "
        "cookie:NAME, query:NAME and jwt:CLAIM are");
  CHECK(after("key: []") == "key: is empty");
  CHECK(after("key: \"header:a b\"") ==
        "key: \"header:a b\" is not a key of a limit: no header has that name");
  CHECK(after("shared: true") ==
        "shared: needs a Redis; redis: {url: redis://127.0.0.1:6379/0} at the top level");
  CHECK(after("on_store_failure: open") ==
        "on_store_failure: does nothing for a limit that is not shared");
  CHECK(after("count: successes") == "count: must be all or failures, not \"successes\"");
  CHECK(after("status: 302") == "status: \"302\" is out of range; allowed: 400 to 599");
  CHECK(after("block_for: 15") ==
        "block_for: \"15\" needs a unit; one of ms, s, m, h, d, w or y, as in 15s");
  CHECK(after("ipv6_prefix: 0") == "ipv6_prefix: \"0\" is out of range; allowed: 1 to 128");
  CHECK(error_of("rate: 10/s, skip: [health]") ==
        "weir.yaml:2:40: rate_limits.api.skip[0]: \"health\" is not a path: it starts with / and "
        "has no query");
  CHECK(error_of("rate: 10/s, skip: [/a/../b]") ==
        "weir.yaml:2:40: rate_limits.api.skip[0]: \"/a/../b\" is not a normalised path: requests "
        "are compared as /b");
}

TEST_CASE("config errors: delay") {
  const auto after = [](std::string_view keys) {
    const std::string line = error_of("rate: 10/s, burst: 20, delay: {" + std::string(keys) + "}");
    constexpr std::string_view kPath = "rate_limits.api.delay";
    return line.substr(line.find(kPath) + kPath.size());
  };
  CHECK(after("after: 10") == ".by: is required; as in by: 500ms");
  CHECK(after("by: 500") == ".by: \"500\" needs a unit; one of ms, s, m, h, d, w or y, as in 500s");
  CHECK(after("by: 2s, max: 1s") == ".max: is less than by");
  CHECK(after("by: 2s, mode: linear") == ".mode: must be growing or fixed, not \"linear\"");
  CHECK(after("by: 2s, after: 21") == ".after: nobody would wait: the limit admits 21 at once");
  CHECK(after("by: 2s, per_key: 0") == ".per_key: \"0\" is out of range; allowed: 1 to 10000");
}

TEST_CASE("config errors: names of limits") {
  const auto at_route = [](std::string_view route) {
    const LoadResult result = load("rate: 10/s", route);
    REQUIRE(result.errors.size() == 1);
    return result.errors[0];
  };
  CHECK(at_route("rate_limit: [api, apo]") ==
        "weir.yaml:3:72: sites[0].routes[0].rate_limit[1]: no rate limit \"apo\"; did you mean "
        "\"api\"?");
  CHECK(at_route("rate_limit: [api, api]") ==
        "weir.yaml:3:72: sites[0].routes[0].rate_limit[1]: is named twice");
  CHECK(at_route("rate_limit: []") ==
        "weir.yaml:3:54: sites[0].routes[0].rate_limit: is empty; off switches it off");
  CHECK(at_route("rate_limit: api") ==
        "weir.yaml:3:54: sites[0].routes[0].rate_limit: must be a list or off, not \"api\"");
  CHECK(load("rate: nonsense").errors.size() == 1);  // naming it is no second one
  test::World world;
  CHECK(world
            .load("listeners: {l: {address: \"127.0.0.1:0\"}}\n"
                  "rate_limits: {\"a b\": {rate: 1/s}}\n"
                  "sites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n")
            .errors == Lines{"weir.yaml:2:15: rate_limits[\"a b\"]: \"a b\" is not a name for a "
                             "limit; letters, digits, "
                             "dots, dashes and underscores are, 64 at most"});
}

TEST_CASE("config: a limit that nobody names is a warning") {
  CHECK(load("rate: 10/s").warnings == Lines{});
  CHECK(load("rate: 10/s", "rate_limit: off").warnings ==
        Lines{"weir.yaml:2:15: rate_limits.api: limits nothing; no route, site or defaults name it "
              "in rate_limit"});
}

TEST_CASE("config: limits of included files, by name") {
  test::World world;
  world.files = {{"a.yaml",
                  "rate_limits: {own: {rate: 1/s}}\n"
                  "sites: [{hosts: [b], rate_limit: [api, own], "
                  "routes: [{path: /, respond: {}}]}]\n"},
                 {"b.yaml", "rate_limits: {api: {rate: 1/s}}\n"}};
  const std::string main =
      "listeners: {l: {address: \"127.0.0.1:0\"}}\nrate_limits: {api: {rate: 1/s}}\n"
      "sites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n";
  CHECK(world.load(main + "include: [a.yaml]\n").errors == Lines{});
  CHECK(world.load(main + "include: [a.yaml, b.yaml]\n").errors ==
        Lines{"b.yaml:1:15: rate_limits.api: is defined at weir.yaml:2:15 already"});
}

}  // namespace
}  // namespace weir::config
