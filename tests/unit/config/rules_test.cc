// The rules of the language, one by one, each with the exact message of its breach.
#include <catch2/catch.hpp>

#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

struct Breach {
  const char* rule;
  std::string text;
  Lines errors;  // without "weir.yaml:"
};

std::string route(std::string_view keys) {
  return test::with_route("{path: /, " + std::string(keys) + "}");
}

const std::string kUnits = "one of ms, s, m, h, d, w or y";
const std::string kSizes = "one of B, KB, KiB, MB, MiB, GB, GiB, TB or TiB";

const std::string kAt = "sites[0].routes[0].";

std::vector<Breach> keys_types_and_names() {
  return {
      {"an unknown key",
       route("upstream: app, time_out: 1s"),
       {"6:34: " + kAt + "time_out: unknown key; did you mean \"timeout\"?"}},
      {"a duplicate key",
       route("upstream: app, upstream: app"),
       {"6:34: " + kAt + "upstream: duplicate key; first on line 6"}},
      {"a name that two sections of a file share",
       test::with_top("sites: []"),
       {"7:1: sites: duplicate key; first on line 3"}},
      {"a wrong type: a map where a list is due",
       test::with_top("trusted_proxies: {a: b}"),
       {"7:1: trusted_proxies: must be a list, not a map"}},
      {"a wrong type: a list where a word is due",
       route("upstream: [app]"),
       {"6:19: " + kAt + "upstream: must be a string, not a list"}},
      {"a wrong type: a word where a map is due",
       test::with_top("log: info"),
       {"7:1: log: must be a map, not \"info\""}},
      {"a wrong type: a string where a number is due",
       test::with_top("log: {access: {sample: x}}"),
       {"7:16: log.access.sample: \"x\" is not a number"}},
      {"a value out of range",
       test::with_top("log: {access: {sample: 1.5}}"),
       {"7:16: log.access.sample: \"1.5\" is out of range; allowed: 0 to 1"}},
      {"a name that points nowhere",
       route("upstream: ap"),
       {"6:19: " + kAt + "upstream: no upstream \"ap\"; did you mean \"app\"?"}},
      {"a name that points nowhere, and is like no other",
       route("upstream: shop-backend"),
       {"6:19: " + kAt + "upstream: no upstream \"shop-backend\""}},
      {"two sites that claim one host on one listener",
       test::with_route("{path: /, upstream: app}") +
           "  - {hosts: [EXAMPLE.com], routes: [{path: /, upstream: app}]}\n",
       {"7:14: sites[1].hosts[0]: host \"EXAMPLE.com\" on listener \"http\" is claimed by "
        "sites[0].hosts[0] (line 4) already"}},
  };
}

std::vector<Breach> values() {
  return {
      {"a duration without a unit",
       route("upstream: app, timeout: 30"),
       {"6:34: " + kAt + "timeout: \"30\" needs a unit; " + kUnits + ", as in 30s"}},
      {"a duration with a unit that there is not",
       route("upstream: app, timeout: 30min"),
       {"6:34: " + kAt + "timeout: \"30min\" is not a duration; a whole number and " + kUnits}},
      {"a duration of two units",
       route("upstream: app, timeout: 1h30m"),
       {"6:34: " + kAt + "timeout: \"1h30m\" is not a duration; a whole number and " + kUnits}},
      {"a duration that is no whole number",
       route("upstream: app, timeout: 1.5s"),
       {"6:34: " + kAt + "timeout: \"1.5s\" is not a duration; a whole number and " + kUnits}},
      {"a duration that no number holds",
       route("upstream: app, timeout: 99999999999999999999y"),
       {"6:34: " + kAt +
        "timeout: \"99999999999999999999y\" is out of range; allowed: 0ms to 30d"}},
      {"a negative duration",
       route("upstream: app, timeout: -1s"),
       {"6:34: " + kAt + "timeout: \"-1s\" is not a duration; a whole number and " + kUnits}},
      {"a size without a unit",
       route("upstream: app, max_body: 4096"),
       {"6:34: " + kAt + "max_body: \"4096\" needs a unit; " + kSizes + ", as in 4096KiB"}},
      {"a size with a unit that there is not",
       route("upstream: app, max_body: 4k"),
       {"6:34: " + kAt + "max_body: \"4k\" is not a size; a whole number and " + kSizes}},
      {"a boolean that is spelt otherwise",
       route("upstream: app, websocket: yes"),
       {"6:34: " + kAt + "websocket: must be true or false, not \"yes\""}},
      {"a boolean in capitals",
       route("upstream: app, websocket: TRUE"),
       {"6:34: " + kAt + "websocket: must be true or false, not \"TRUE\""}},
      {"a boolean that is a string",
       route("upstream: app, websocket: \"true\""),
       {"6:34: " + kAt + "websocket: must be true or false, not a string; remove the quotes"}},
      {"a number that is a string",
       test::with_top("workers: '4'"),
       {"7:1: workers: must be a whole number, not a string; remove the quotes"}},
      {"a number in another base",
       test::with_top("workers: 0x4"),
       {"7:1: workers: must be auto or a whole number, not \"0x4\""}},
  };
}

std::vector<Breach> substitutions_and_form() {
  return {
      {"a variable of the environment that is not set",
       route("upstream: \"${NONE}\""),
       {"6:19: " + kAt + "upstream: ${NONE} is not set; ${NONE:-default} gives a default"}},
      {"a file that is not there",
       route("upstream: \"${file:/none}\""),
       {"6:19: " + kAt + "upstream: ${file:/none} cannot be read: No such file or directory"}},
      {"a substitution without an end",
       route("upstream: \"${NONE\""),
       {"6:19: " + kAt + "upstream: \"${\" without \"}\"; a literal \"${\" is written \"$${\""}},
      {"a substitution in a key",
       test::with_top("\"${A}\": 1"),
       {"7:1: [\"${A}\"]: \"${...}\" is not replaced in keys", "7:1: [\"${A}\"]: unknown key"}},
      {"a variable of requests that there is not",
       route("redirect: {to: /$hots}"),
       {"6:30: " + kAt +
        "redirect.to: unknown variable \"$hots\"; known are $scheme $host $uri $path $query "
        "$client_ip $request_id $upstream $status $method $csp_nonce; \"$$\" is a dollar"}},
      {"off where there is nothing to switch off",
       route("upstream: app, timeout: off"),
       {"6:34: " + kAt + "timeout: \"off\" is not a duration; a whole number and " + kUnits}},
      {"a key of a route in defaults",
       test::with_top("defaults: {hosts: [a]}"),
       {"7:12: defaults.hosts: unknown key"}},
      {"a key without a value where one is due",
       route("upstream:"),
       {"6:19: " + kAt + "upstream: must be a string, not nothing"}},
      {"a tab", "listeners:\n\thttp: {}\n", {"2:6: not valid YAML: illegal map value"}},
      {"a second document",
       test::with_top("---\na: b"),
       {"7:1: a second document: a configuration is one document"}},
  };
}

TEST_CASE("rules: each breach has its message") {
  for (const auto& breaches : {keys_types_and_names(), values(), substitutions_and_form()}) {
    for (const Breach& one : breaches) {
      CAPTURE(one.rule, one.text);
      test::World world;
      Lines expected;
      for (const std::string& line : one.errors) expected.push_back("weir.yaml:" + line);
      const LoadResult result = world.load(one.text);
      CHECK(result.errors == expected);
      CHECK_FALSE(result.ok());
    }
  }
}

TEST_CASE("rules: all breaches of a file are said at once") {
  test::World world;
  const LoadResult result = world.load(test::with_route(
      "{path: /, upstream: ap, timeout: 5, websocket: on, max_body: 1, colour: red}"));
  CHECK(result.errors.size() == 5);
}

TEST_CASE("rules: a name that does not resolve is a warning, never a refusal to start") {
  test::World world;
  const LoadResult result = world.load(
      "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
      "upstreams: {app: {servers: [{address: \"nowhere:80\"}]}}\n"
      "sites: [{hosts: [a], routes: [{path: /, upstream: app}]}]\n");
  CHECK(result.ok());
  CHECK(result.errors == Lines{});
  REQUIRE(result.warnings.size() == 1);
}

}  // namespace
}  // namespace weir::config
