// auth.forward: what it may say, and the exact lines of what it may not.
#include <catch2/catch.hpp>

#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

struct Case {
  std::string forward;
  Lines errors;  // without "weir.yaml:6:"
};

TEST_CASE("config: auth.forward") {
  test::World world;
  const LoadResult result = world.load(test::with_route(
      "{path: /, upstream: app, auth: {forward: {upstream: app, path: \"/v?x=1\", host: a.test, "
      "request_headers: [], copy_headers: [X-User, Authorization], response_headers: [Set-Cookie], "
      "timeout: 1s}}}"));
  REQUIRE(result.errors == Lines{});
  const proxy::Site& site = result.snapshot->sites[0];
  CHECK(site.own_fields == std::vector<std::string>{"X-User"});
  bool found = false;
  for (const auto& filter : site.routes[0].filters) found |= filter->name() == "auth";
  CHECK(found);
}

TEST_CASE("config errors: auth.forward") {
  const std::string at = "sites[0].routes[0].auth.forward";
  const Case cases[] = {
      {"{}",
       {"41: " + at + ".upstream: is required; as in upstream: authz",
        "41: " + at + ".path: is required; as in path: /verify"}},
      {"{upstream: ap, path: /}",
       {"51: " + at + ".upstream: no upstream \"ap\"; did you mean \"app\"?"}},
      {"{upstream: app, path: verify}",
       {"66: " + at +
        ".path: \"verify\" is not a path: it starts with / and is percent-encoded as "
        "in a request"}},
      {"{upstream: app, path: \"/a b\"}",
       {"66: " + at +
        ".path: \"/a b\" is not a path: it starts with / and is percent-encoded as "
        "in a request"}},
      {"{upstream: app, path: /, host: \"a b\"}", {"75: " + at + ".host: \"a b\" is not a host"}},
      {"{upstream: app, path: /, timeout: 0s}",
       {"75: " + at + ".timeout: \"0s\" is out of range; allowed: 1ms to 1d"}},
      {"{upstream: app, path: /, copy_headers: [Host]}",
       {"90: " + at + ".copy_headers[0]: \"Host\" is managed by weir and cannot be configured"}},
      {"{upstream: app, path: /, copy_headers: [X-A, x-a]}",
       {"95: " + at + ".copy_headers[1]: \"x-a\" is named twice here"}},
      {"{upstream: app, path: /, request_headers: [\"a b\"]}",
       {"93: " + at + ".request_headers[0]: \"a b\" is not a header name"}},
      {"{upstream: app, path: /, response_headers: Set-Cookie}",
       {"75: " + at + ".response_headers: must be a list, not \"Set-Cookie\""}},
      {"{upstream: app, path: /, copy: []}", {"75: " + at + ".copy: unknown key"}},
  };
  for (const Case& one : cases) {
    CAPTURE(one.forward);
    test::World world;
    Lines expected;
    for (const std::string& line : one.errors) expected.push_back("weir.yaml:6:" + line);
    const LoadResult result = world.load(
        test::with_route("{path: /, upstream: app, auth: {forward: " + one.forward + "}}"));
    CHECK(result.errors == expected);
  }
}

TEST_CASE("config errors: auth.forward is one way beside others") {
  test::World world;
  const LoadResult result = world.load(test::with_route(
      "{path: /, upstream: app, auth: {jwt: {secret: abcdefghijklmnopqrstuvwxyz0123456789}, "
      "forward: {upstream: app, path: /}}}"));
  REQUIRE(result.errors.size() == 1);
  CHECK(
      result.errors[0].ends_with("auth.forward: stands beside jwt; "
                                 "a route has one way to prove who it is"));
}

}  // namespace
}  // namespace weir::config
