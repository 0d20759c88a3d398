// Bad path_regex, methods, match, rewrite, slashes and captures, and the exact lines that they
// give.
#include <catch2/catch.hpp>

#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

struct Case {
  std::string route;
  Lines errors;  // without "weir.yaml:6:"
};

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CAPTURE(one.route);
    test::World world;
    Lines expected;
    for (const std::string& line : one.errors) expected.push_back("weir.yaml:6:" + line);
    const LoadResult result = world.load(test::with_route(one.route));
    CHECK(result.errors == expected);
    CHECK(result.ok() == one.errors.empty());
  }
}

TEST_CASE("config errors: path_regex") {
  const std::string at = "10: sites[0].routes[0].path_regex: ";
  check({
      {"{path_regex: '\\.js$', upstream: app}", {}},
      {"{path_regex: '(a', upstream: app}",
       {at + "\"(a\" is not a regular expression (RE2): missing ): (a"}},
      {"{path_regex: '(?=a)', upstream: app}",
       {at + "\"(?=a)\" is not a regular expression (RE2): invalid perl operator: (?="}},
      {"{path_regex: '', upstream: app}", {at + "is empty"}},
      {"{path_regex: [a], upstream: app}", {at + "must be a string, not a list"}},
      {"{path_regex: '" + std::string(1025, 'a') + "', upstream: app}",
       {at + "\"" + std::string(80, 'a') +
        "...\" is not a regular expression (RE2): it is longer than 1024 bytes"}},
      {"{path_regex: '((a{100}){100})', upstream: app}",
       {at + "\"((a{100}){100})\" is not a regular expression (RE2): "
             "invalid repetition size: {100}"}},
      {"{path_regex: '(abcdefghi){1000}', upstream: app}",
       {at + "\"(abcdefghi){1000}\" is not a regular expression (RE2): "
             "it is too large when its repetitions are written out"}},
      {"{path: /, path_regex: a, upstream: app}",
       {"19: sites[0].routes[0].path_regex: stands beside path; a route has one of them"}},
  });
}

TEST_CASE("config errors: methods") {
  const std::string at = "sites[0].routes[0].methods";
  check({
      {"{path: /, upstream: app, methods: [GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH]}", {}},
      {"{path: /, upstream: app, methods: []}",
       {"34: " + at + ": is empty; leave it out to take every method"}},
      {"{path: /, upstream: app, methods: GET}", {"34: " + at + ": must be a list, not \"GET\""}},
      {"{path: /, upstream: app, methods: [get]}",
       {"44: " + at +
        "[0]: no method \"get\"; known are GET, HEAD, POST, PUT, DELETE, OPTIONS, "
        "PATCH"}},
      {"{path: /, upstream: app, methods: [GET, POST, GET]}",
       {"55: " + at + "[2]: \"GET\" is listed twice"}},
      {"{path: /, upstream: app, methods: [TRACE, CONNECT]}",
       {"44: " + at + "[0]: weir passes no \"TRACE\" on",
        "51: " + at + "[1]: weir passes no \"CONNECT\" on"}},
  });
}

TEST_CASE("config errors: match") {
  const std::string at = "sites[0].routes[0].match";
  check({
      {"{path: /, upstream: app, match: {header: {A: \"1\"}, query: {b: \"\"}, cookie: {c: x}}}",
       {}},
      {"{path: /, upstream: app, match: {}}",
       {"34: " + at + ": is empty; one of header, query and cookie is due"}},
      {"{path: /, upstream: app, match: {header: {}}}",
       {"42: " + at + ".header: is empty; name: value is due"}},
      {"{path: /, upstream: app, match: {headers: {A: b}}}",
       {"42: " + at + ".headers: unknown key; did you mean \"header\"?"}},
      {"{path: /, upstream: app, match: {header: {\"a b\": x, A: \"1\", a: \"2\"}}}",
       {"51: " + at + ".header[\"a b\"]: \"a b\" is not a header name",
        "69: " + at + ".header.a: \"a\" is named twice here"}},
      {"{path: /, upstream: app, match: {cookie: {\"a;b\": x, c: \" x\"}}}",
       {"51: " + at + ".cookie[\"a;b\"]: \"a;b\" is not a cookie name",
        "61: " + at +
            ".cookie.c: \" x\" is not a value that a request can have: "
            "it holds a control character, or a blank at an end"}},
      {"{path: /, upstream: app, match: {query: {\"\": x, b: [1]}}}",
       {"50: " + at + ".query[\"\"]: \"\" is not a parameter's name",
        "57: " + at + ".query.b: must be a string, not a list"}},
  });
}

TEST_CASE("config errors: rewrite") {
  const std::string at = "sites[0].routes[0].rewrite";
  check({
      {"{path: /a, upstream: app, rewrite: {strip_prefix: /a/}}", {}},
      {"{path: /a, upstream: app, rewrite: {regex: '^/a/(.*)', replace: '/\\1?q=$method'}}", {}},
      {"{path: /, upstream: app, rewrite: {}}",
       {"34: " + at + ": is empty; strip_prefix, or regex and replace, are due"}},
      {"{path: /, upstream: app, rewrite: {strip_prefix: a}}",
       {"44: " + at + ".strip_prefix: \"a\" is not a path: it starts with / or =/"}},
      {"{path: /, upstream: app, rewrite: {strip_prefix: /}}",
       {"44: " + at + ".strip_prefix: strips nothing"}},
      {"{path: /, upstream: app, rewrite: {regex: a}}",
       {"34: " + at + ".replace: is required; it takes the place of the match"}},
      {"{path: /, upstream: app, rewrite: {replace: a}}",
       {"34: " + at + ".regex: is required; it says what is replaced"}},
      {"{path: /, upstream: app, rewrite: {regex: '(a)', replace: '\\2'}}",
       {"58: " + at + ".replace: \\2 is not there: the pattern has 1 group"}},
      {"{path: /, upstream: app, rewrite: {regex: '(', replace: '\\2'}}",
       {"44: " + at + ".regex: \"(\" is not a regular expression (RE2): missing ): ("}},
      {"{path: /a, respond: {}, rewrite: {strip_prefix: /a}}",
       {"33: " + at + ": changes what an upstream gets; this route has none"}},
  });
}

TEST_CASE("config errors: captures") {
  check({
      {"{path_regex: '^/(a)/(b)$', redirect: {to: '/\\2/\\1'}}", {}},
      {"{path_regex: '^/a', respond: {body: '\\0 \\\\1 \\x'}}", {}},
      {"{path_regex: '^/(a)', redirect: {to: '/\\2'}}",
       {"42: sites[0].routes[0].redirect.to: \\2 is not there: the pattern has 1 group"}},
      {"{path: /a, redirect: {to: '/\\1'}}",
       {"31: sites[0].routes[0].redirect.to: \\1 is a capture of path_regex, which is not there; "
        "\"\\\\\" is a backslash"}},
      {"{path_regex: '^/(a)', respond: {body: '\\3', headers: {A: '\\2'}}}",
       {"41: sites[0].routes[0].respond.body: \\3 is not there: the pattern has 1 group",
        "63: sites[0].routes[0].respond.headers.A: \\2 is not there: the pattern has 1 group"}},
      {"{path_regex: 'a', upstream: app, headers: {response: {set: {A: '\\1'}}}}",
       {"69: sites[0].routes[0].headers.response.set.A: \\1 is not there: "
        "the pattern has 0 groups"}},
  });
  test::World world;
  const LoadResult outer =
      world.load(test::with_top("defaults: {headers: {response: {set: {A: '\\1'}}}}"));
  CHECK(outer.errors ==
        Lines{"weir.yaml:7:39: defaults.headers.response.set.A: \\1 is a capture of path_regex, "
              "which is not there; \"\\\\\" is a backslash"});
}

TEST_CASE("config errors: slashes") {
  check({
      {"{path: /, upstream: app, slashes: merge}",
       {"34: sites[0].routes[0].slashes: is a site's key: paths are read before a route is "
        "chosen"}},
  });
  const auto with_site = [](std::string_view keys) {
    return "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
           "sites: [{hosts: [a], " +
           std::string(keys) + ", routes: [{path: /a//b, respond: {}}]}]\n";
  };
  test::World world;
  CHECK(world.load(with_site("slashes: keep")).ok());
  CHECK(world.load(with_site("slashes: fold")).errors ==
        Lines{"weir.yaml:2:22: sites[0].slashes: must be keep or merge, not \"fold\""});
  CHECK(world.load(with_site("slashes: merge")).errors ==
        Lines{"weir.yaml:2:48: sites[0].routes[0].path: \"/a//b\" is not a path: "
              "requests are matched as \"/a/b\""});
}

TEST_CASE("config warnings: a route that no request reaches, with conditions") {
  test::World world;
  const LoadResult result =
      world.load(test::with_route("{path: /, upstream: app, methods: [GET]}") +
                 "      - {path: /a, upstream: app, methods: [HEAD]}\n"
                 "      - {path: /a, upstream: app}\n"
                 "      - {path_regex: '^/a', upstream: app}\n"
                 "      - {path_regex: '^/a', upstream: app, match: {header: {A: b}}}\n");
  CHECK(result.warnings ==
        Lines{"weir.yaml:7:10: sites[0].routes[1].path: no request reaches this route: "
              "sites[0].routes[0] (line 6) takes all of its requests",
              "weir.yaml:10:10: sites[0].routes[4].path_regex: no request reaches this route: "
              "sites[0].routes[3] (line 9) takes all of its requests"});
}

}  // namespace
}  // namespace weir::config
