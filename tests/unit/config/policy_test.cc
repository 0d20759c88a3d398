// compression, security_headers, cors, allow/deny, csrf and maintenance: what they become, and what
// they cannot be.
#include <catch2/catch.hpp>

#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

struct Case {
  std::string keys;
  Lines errors;  // of a route that ends with these keys, in column 34 of line 6
};

void check_route(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CAPTURE(one.keys);
    test::World world;
    const LoadResult result =
        world.load(test::with_route("{path: /, upstream: app, " + one.keys + "}"));
    Lines expected;
    for (const std::string& line : one.errors) {
      expected.push_back("weir.yaml:6:" + line.substr(0, line.find(' ')) + " sites[0].routes[0]." +
                         line.substr(line.find(' ') + 1));
    }
    CHECK(result.errors == expected);
    CHECK(result.ok() == expected.empty());
  }
}

Lines filter_names(const proxy::FilterChain& filters) {
  Lines names;
  for (const auto& filter : filters) names.emplace_back(filter->name());
  return names;
}

TEST_CASE("security_headers: errors") {
  check_route({
      {"security_headers: standard", {}},
      {"security_headers: strict", {}},
      {"security_headers: off", {}},
      {"security_headers: {X-Frame-Options: DENY}", {}},
      {"security_headers: {base: strict}", {}},
      {"security_headers: high",
       {"34: security_headers: must be off, standard or strict, not \"high\""}},
      {"security_headers: [standard]",
       {"34: security_headers: must be a map, a word or off, not a list"}},
      {"security_headers: {}",
       {"34: security_headers: is empty; standard and strict are sets, a map names fields, off is "
        "none"}},
      {"security_headers: {base: stict}",
       {"53: security_headers.base: must be standard or strict, not \"stict\"; did you mean "
        "\"strict\"?"}},
      {"security_headers: {Connection: close}",
       {"53: security_headers.Connection: \"Connection\" is managed by weir and cannot be "
        "configured"}},
      {"security_headers: {A: 1, a: 2}", {"59: security_headers.a: \"a\" is named twice here"}},
      {"security_headers: {A: \"\"}",
       {"53: security_headers.A: is empty; {mode: off} leaves the field alone"}},
      {"security_headers: {A: $nonce}",
       {"53: security_headers.A: unknown variable \"$nonce\"; known are $scheme $host $uri $path "
        "$query $client_ip $request_id $upstream $status $method $csp_nonce; \"$$\" is a dollar"}},
      {"security_headers: {A: {mode: append}}", {"53: security_headers.A.value: is required"}},
      {"security_headers: {A: {value: x, mode: off}}",
       {"57: security_headers.A.value: does nothing with mode: off"}},
      {"security_headers: {A: {value: x, mode: set}}",
       {"67: security_headers.A.mode: must be override, set_if_absent, append or off, not "
        "\"set\""}},
      {"security_headers: {X-Frame-Options: {value: DENY, mode: append}}",
       {"84: security_headers.X-Frame-Options.mode: X-Frame-Options has one value: nothing can be "
        "appended; override or set_if_absent is due"}},
      {"security_headers: {A: {max_age: 1y}}",
       {"53: security_headers.A.value: is required",
        "57: security_headers.A.max_age: unknown key"}},
  });
}

TEST_CASE("security_headers: Strict-Transport-Security is held to what it promises") {
  const std::string key = "security_headers: {Strict-Transport-Security: ";
  const std::string path = "security_headers.Strict-Transport-Security";
  check_route({
      {key + "max-age=0}", {}},
      {key + "\"max-age=31536000; includeSubDomains; preload\"}", {}},
      {key + "\"MAX-AGE=\\\"5\\\" ; x=y\"}", {}},
      {key + "{max_age: 2y, include_subdomains: true, preload: true, mode: set_if_absent}}", {}},
      {key + "includeSubDomains}",
       {"53: " + path + ": max-age is missing; as in \"max-age=31536000\""}},
      {key + "max-age=1y}", {"53: " + path + ": max-age is a number of seconds"}},
      {key + "\"max-age=31536000; preload\"}",
       {"53: " + path + ": preload wants includeSubDomains and a max-age of a year or more"}},
      {key + "\"max-age=31535999; includeSubDomains; preload\"}",
       {"53: " + path + ": preload wants includeSubDomains and a max-age of a year or more"}},
      {key + "{max_age: 30d, include_subdomains: true, preload: true}}",
       {"121: " + path +
        ".preload: preload wants includeSubDomains and a max-age of a year or "
        "more"}},
  });
}

TEST_CASE("cors: errors") {
  const std::string due = ": it begins with a scheme, as in https://app.example.com";
  check_route({
      {"cors: {origins: [\"https://a.test\", \"https://*.b.test:8443\", \"null\"]}", {}},
      {"cors: {origins: \"https://a.test , http://b.test\"}", {}},
      {"cors: {origins: [\"*\"], methods: [\"*\"], headers: [\"*\"], max_age: 0s}", {}},
      {"cors: off", {}},
      {"cors: {}", {"34: cors.origins: is required; as in origins: [\"https://app.example.com\"]"}},
      {"cors: {origins: []}",
       {"41: cors.origins: is empty; [\"*\"] allows all, cors: off says nothing to browsers"}},
      {"cors: {origins: [a.test]}", {"51: cors.origins[0]: \"a.test\" is not an origin" + due}},
      {"cors: {origins: [\"https://a.test/\"]}",
       {"51: cors.origins[0]: \"https://a.test/\" is not an origin: an origin ends with the host "
        "and the port: no path, no slash"}},
      {"cors: {origins: [\"https://a.*.test\"]}",
       {"51: cors.origins[0]: \"https://a.*.test\" is not an origin: a * stands alone or before "
        "the "
        "first dot: https://*.example.com"}},
      {"cors: {origins: [\"https://\"]}",
       {"51: cors.origins[0]: \"https://\" is not an origin: after the scheme a host is due"}},
      {"cors: {origins: [\"https://u@a.test\"]}",
       {"51: cors.origins[0]: \"https://u@a.test\" is not an origin: after the scheme a host is "
        "due"}},
      {"cors: {origins: [\"*\", \"https://a.test\"]}",
       {"41: cors.origins: \"*\" stands alone: it takes every origin"}},
      {"cors: {origins: [\"*\"], credentials: true}",
       {"57: cors.credentials: cannot be true with origins: [\"*\"]: every site could read what "
        "its visitors may read here; name the origins"}},
      {"cors: {origins: [\"null\"], credentials: true}",
       {"60: cors.credentials: cannot be true with the origin \"null\": a sandboxed frame of any "
        "site has it; leave null out, or credentials"}},
      {"cors: {origins: [\"*\"], methods: [\"*\", GET], headers: [\"a b\"]}",
       {"67: cors.methods[0]: \"*\" is not a method: a * stands alone",
        "88: cors.headers[0]: \"a b\" is not a header name"}},
      {"cors: {origins: [\"*\"], methods: [get, patch]}",
       {"67: cors.methods[0]: \"get\" is what no browser asks for; they write GET"}},
      {"cors: {origins: [\"*\"], expose_headers: [\"*\"]}",
       {"74: cors.expose_headers[0]: \"*\" is not a header name"}},
      {"cors: {origins: [\"*\"], max_age: 8d, age: 1s}",
       {"57: cors.max_age: \"8d\" is out of range; allowed: 0ms to 1w",
        "70: cors.age: unknown key"}},
  });
}

TEST_CASE("compression: errors") {
  check_route({
      {"compression: {}", {}},
      {"compression: off", {}},
      {"compression: {encodings: [gzip], level: auto, min_size: 0B, types: [text/*, "
       "application/*+json], max_concurrent: 1, skip_set_cookie: true, padding: true}",
       {}},
      {"compression: {encodings: [br, zstd, gzip], level: 9}", {}},
      {"compression: on", {"34: compression: must be a map or off, not \"on\""}},
      {"compression: [gzip]", {"34: compression: must be a map or off, not a list"}},
      {"compression: {encodings: []}",
       {"48: compression.encodings: is empty; compression: off switches it off"}},
      {"compression: {encodings: [gzip, brotli, gzip]}",
       {"66: compression.encodings[1]: must be br, zstd or gzip, not \"brotli\"",
        "74: compression.encodings[2]: \"gzip\" is named twice"}},
      {"compression: {level: 10}", {"48: compression.level: must be auto or 1 to 9, not \"10\""}},
      {"compression: {level: best, min_size: 1024}",
       {"48: compression.level: must be auto or 1 to 9, not \"best\"",
        "61: compression.min_size: \"1024\" needs a unit; one of B, KB, KiB, MB, MiB, GB, GiB, TB "
        "or TiB, as in 1024KiB"}},
      {"compression: {level: [1]}", {"48: compression.level: must be auto or 1 to 9"}},
      {"compression: {level: \"1\"}", {"48: compression.level: must be auto or 1 to 9, not \"1\""}},
      {"compression: {types: []}",
       {"48: compression.types: is empty; compression: off switches it off"}},
      {"compression: {types: [html, \"*/*\", \"text/*\"]}",
       {"56: compression.types[0]: \"html\" is not a media type: as in text/html, text/* or "
        "application/*+json",
        "62: compression.types[1]: \"*/*\" is not a media type: as in text/html, text/* or "
        "application/*+json"}},
      {"compression: {max_concurrent: 0, padding: 1}",
       {"48: compression.max_concurrent: \"0\" is out of range; allowed: 1 to 100000",
        "67: compression.padding: must be true or false, not \"1\""}},
      {"compression: {enabled: true}", {"48: compression.enabled: unknown key"}},
  });
}

TEST_CASE("maintenance: errors") {
  check_route({
      {"maintenance: {}", {}},
      {"maintenance: {file: closed}",
       {"48: maintenance.file: must be an absolute path, not \"closed\""}},
      {"maintenance: {name: \"\"}", {"48: maintenance.name: is empty"}},
      {"maintenance: {retry_after: 1ms, allow: []}",
       {"48: maintenance.retry_after: \"1ms\" is out of range; allowed: 1s to 30d",
        "66: maintenance.allow: is empty; off switches it off"}},
      {"maintenance: on", {"34: maintenance: must be a map or off, not \"on\""}},
  });
}

TEST_CASE("maintenance: names, and who shares one") {
  test::World world;
  const LoadResult result = world.load(R"(listeners: {http: {address: "127.0.0.1:0"}}
defaults: {maintenance: {}}
sites:
  - hosts: [a.test, b.test]
    maintenance: {}
    routes:
      - {path: =/x, respond: {}, maintenance: {}}
      - {path: /y/, name: y, respond: {}, maintenance: {}}
      - {path: /z/, respond: {}, maintenance: {name: z}}
      - {path: /off/, respond: {}, maintenance: off}
      - {path: /, respond: {}}
  - hosts: [c.test]
    routes: [{path: /, respond: {}}]
)");
  CHECK(result.errors == Lines{});
  REQUIRE(result.ok());
  Lines names;
  for (const auto& one : result.snapshot->maintenances) names.push_back(one->name());
  CHECK(names == Lines{"all", "a.test", "a.test/x", "a.test/y", "z"});
  const auto& sites = result.snapshot->sites;
  CHECK(filter_names(sites[0].routes[3].filters) == Lines{"request_id"});
  CHECK(filter_names(sites[0].routes[4].filters) == Lines{"request_id", "maintenance"});
  CHECK(filter_names(sites[1].filters) == Lines{"request_id", "maintenance"});
}

TEST_CASE("csrf: errors") {
  check_route({
      {"csrf: {}", {}},
      {"csrf: off", {}},
      {"csrf: {trusted_origins: \"https://a.test , http://*.b.test:81\"}", {}},
      {"csrf: on", {"34: csrf: must be a map or off, not \"on\""}},
      {"csrf: {trusted_origins: []}", {"41: csrf.trusted_origins: is empty; leave it out"}},
      {"csrf: {trusted_origins: [\"*\"]}",
       {"41: csrf.trusted_origins: trusts pages of everybody; csrf: off checks nothing"}},
      {"csrf: {trusted_origins: [\"https://a.test\", \"null\"]}",
       {"41: csrf.trusted_origins: trusts pages of everybody; csrf: off checks nothing"}},
      {"csrf: {trusted_origins: [\"https://a.test/\"]}",
       {"59: csrf.trusted_origins[0]: \"https://a.test/\" is not an origin: an origin ends with "
        "the "
        "host and the port: no path, no slash"}},
      {"csrf: {origins: [\"https://a.test\"]}", {"41: csrf.origins: unknown key"}},
  });
}

TEST_CASE("policy: the order of filters, and those for answers that belong to no site") {
  test::World world;
  const LoadResult result = world.load(R"(listeners: {http: {address: "127.0.0.1:0"}}
defaults:
  security_headers: standard
  compression: {}
  headers: {response: {set: {A: b}}}
  cors: {origins: ["*"]}
  deny: [10.0.0.1]
  allow: [10.0.0.0/8]
  csrf: {}
  maintenance: {}
  expires: 1h
sites:
  - hosts: [a.test]
    routes:
      - {path: /cors, respond: {}}
      - {path: /, respond: {}, cors: off}
)");
  CHECK(result.errors == Lines{});
  REQUIRE(result.ok());
  const auto& routes = result.snapshot->sites[0].routes;
  CHECK(filter_names(routes[0].filters) == Lines{"request_id", "compression", "headers",
                                                 "security_headers", "cors", "deny", "allow",
                                                 "csrf", "maintenance", "expires"});
  CHECK(routes[0].answers_preflights);
  CHECK_FALSE(routes[1].answers_preflights);
  CHECK(filter_names(result.snapshot->stray_filters) ==
        Lines{"request_id", "headers", "security_headers"});
}

TEST_CASE("policy: a hundred thousand addresses are one list") {
  std::string list;
  for (int i = 0; i < 100'000; ++i) {
    list += (i == 0 ? "" : ", ") + std::to_string(1 + i / 65536) + "." +
            std::to_string(i / 256 % 256) + "." + std::to_string(i % 256) + ".0/24";
  }
  test::World world;
  const LoadResult result =
      world.load(test::with_route("{path: /, upstream: app, deny: [" + list + "]}"));
  CHECK(result.errors == Lines{});
  CHECK(result.ok());
}

}  // namespace
}  // namespace weir::config
