// Routes in file order: paths, patterns, methods, conditions; the compiled answer is the naive one.
#include "proxy/router.h"

#include <catch2/catch.hpp>

#include <random>
#include <string>
#include <vector>

#include "proxy/snapshot.h"
#include "support/naive_router.h"

namespace weir::proxy {
namespace {

Route route(PathMatch match, const std::string& path) {
  Route made;
  made.match = match;
  made.path = path;
  made.name = path;
  return made;
}

Route pattern(const std::string& text) {
  Route made;
  made.match = PathMatch::kRegex;
  made.regex = Regex::compile(text).value();
  return made;
}

Route with_methods(Route made, http::MethodSet methods) {
  made.conditions.methods = methods;
  return made;
}

Route with_header(Route made, const std::string& name, const std::string& value) {
  made.conditions.named.push_back({Condition::Kind::kHeader, name, value});
  return made;
}

struct Ask {
  Arena arena{pool()};
  http::RequestHead request{arena};

  static BlockPool& pool() {
    static BlockPool instance;
    return instance;
  }
};

constexpr http::MethodSet kGet = http::bit(http::Method::kGet) | http::bit(http::Method::kHead);
constexpr http::MethodSet kPost = http::bit(http::Method::kPost);
constexpr http::MethodSet kPut = http::bit(http::Method::kPut);

// The index of the route that takes the request, -1 for none.
int found(const std::vector<Route>& routes, std::string_view path,
          http::Method method = http::Method::kGet, const char* version = nullptr) {
  Router router;
  router.build(routes);
  Ask ask;
  ask.request.method = method;
  if (version != nullptr) ask.request.headers.add("X-Version", version);
  const Route* match = router.find(routes, ask.request, path);
  return match == nullptr ? -1 : static_cast<int>(match - routes.data());
}

http::MethodSet others(const std::vector<Route>& routes, std::string_view path,
                       http::Method method) {
  Router router;
  router.build(routes);
  Ask ask;
  ask.request.method = method;
  REQUIRE(router.find(routes, ask.request, path) == nullptr);
  return router.other_methods(routes, ask.request, path);
}

TEST_CASE("an exact path takes itself alone, a segment its subtree, a prefix all that begins so",
          "[router]") {
  const std::vector<Route> exact = {route(PathMatch::kExact, "/a")};
  CHECK(found(exact, "/a") == 0);
  CHECK(found(exact, "/a/") == -1);
  CHECK(found(exact, "/ab") == -1);
  const std::vector<Route> segment = {route(PathMatch::kSegment, "/a")};
  CHECK(found(segment, "/a") == 0);
  CHECK(found(segment, "/a/") == 0);
  CHECK(found(segment, "/a/b") == 0);
  CHECK(found(segment, "/ab") == -1);
  CHECK(found(segment, "/") == -1);
  const std::vector<Route> prefix = {route(PathMatch::kPrefix, "/a/")};
  CHECK(found(prefix, "/a/") == 0);
  CHECK(found(prefix, "/a/b") == 0);
  CHECK(found(prefix, "/a") == -1);
}

TEST_CASE("the first route in file order wins, not the longest", "[router]") {
  const std::vector<Route> routes = {
      route(PathMatch::kSegment, "/a/b"), route(PathMatch::kSegment, "/a"),
      route(PathMatch::kExact, "/a/c"), route(PathMatch::kPrefix, "/")};
  CHECK(found(routes, "/a/b/x") == 0);
  CHECK(found(routes, "/a/c") == 1);  // before the exact one
  CHECK(found(routes, "/x") == 3);
}

TEST_CASE("a pattern keeps its place among plain paths", "[router]") {
  const std::vector<Route> routes = {route(PathMatch::kExact, "/a.js"), pattern("\\.js$"),
                                     route(PathMatch::kPrefix, "/x/"), pattern("^/x/(\\d+)$"),
                                     pattern("^/y/(\\d+)$")};
  CHECK(found(routes, "/a.js") == 0);
  CHECK(found(routes, "/b.js") == 1);
  CHECK(found(routes, "/x/b.js") == 1);
  CHECK(found(routes, "/x/12") == 2);
  CHECK(found(routes, "/y/12") == 4);
  CHECK(found(routes, "/y/12a") == -1);
}

TEST_CASE("a condition that fails lets the next route try", "[router]") {
  const std::vector<Route> routes = {
      with_header(route(PathMatch::kSegment, "/api"), "x-version", "v2"),
      with_methods(route(PathMatch::kSegment, "/api"), kGet),
      with_methods(route(PathMatch::kSegment, "/api"), kPost),
      with_methods(pattern("^/api/x$"), kPut), route(PathMatch::kExact, "/api/last")};
  CHECK(found(routes, "/api/x", http::Method::kPut, "v2") == 0);
  CHECK(found(routes, "/api/x", http::Method::kGet, "v1") == 1);
  CHECK(found(routes, "/api/x", http::Method::kHead) == 1);
  CHECK(found(routes, "/api/x", http::Method::kPost) == 2);
  CHECK(found(routes, "/api/x", http::Method::kPut) == 3);
  CHECK(found(routes, "/api/x", http::Method::kDelete) == -1);
  CHECK(found(routes, "/api/last", http::Method::kDelete) == 4);
}

TEST_CASE("the other methods are those of routes whose path and conditions match", "[router]") {
  const std::vector<Route> routes = {
      with_methods(route(PathMatch::kSegment, "/a"), kGet),
      with_methods(with_header(route(PathMatch::kSegment, "/a"), "x-version", "v2"), kPut),
      with_methods(pattern("^/a/b"), kPost), with_methods(route(PathMatch::kPrefix, "/b/"), kPut)};
  CHECK(others(routes, "/a", http::Method::kDelete) == kGet);
  CHECK(others(routes, "/a/b", http::Method::kDelete) == (kGet | kPost));
  CHECK(others(routes, "/c", http::Method::kDelete) == 0);
  CHECK(others({route(PathMatch::kExact, "/x")}, "/y", http::Method::kGet) == 0);
}

TEST_CASE("among thousands of routes each finds its own", "[router]") {
  std::vector<Route> routes;
  for (int i = 0; i < 5000; ++i) {
    const PathMatch match = i % 3 == 0   ? PathMatch::kExact
                            : i % 3 == 1 ? PathMatch::kSegment
                                         : PathMatch::kPrefix;
    routes.push_back(route(match, "/r" + std::to_string(i) + (i % 3 == 2 ? "/" : "")));
  }
  for (int i = 5000; i < 5500; ++i) routes.push_back(pattern("^/r" + std::to_string(i) + "(/|$)"));
  Router router;
  router.build(routes);
  Ask ask;
  for (const Route& each : routes) {
    const std::string path = "/r" + std::to_string(&each - routes.data()) + "/";
    const std::string_view asked = each.match == PathMatch::kRegex ? path : each.path;
    REQUIRE(router.find(routes, ask.request, asked) == &each);
  }
  CHECK(router.find(routes, ask.request, "/r5500") == nullptr);
}

TEST_CASE("among hundreds of routes with one path, a value finds its own", "[router]") {
  const auto tenant = [](Condition::Kind kind, int number, http::MethodSet methods = 0) {
    Route made = route(PathMatch::kPrefix, "/");
    made.conditions.methods = methods;
    made.conditions.named.push_back({kind, "tenant", "t " + std::to_string(number)});
    return made;
  };
  std::vector<Route> routes;
  for (int i = 0; i < 300; ++i) routes.push_back(tenant(Condition::Kind::kHeader, i));
  for (int i = 300; i < 600; ++i) routes.push_back(tenant(Condition::Kind::kQuery, i));
  for (int i = 600; i < 900; ++i) routes.push_back(tenant(Condition::Kind::kCookie, i, kGet));
  routes.push_back(with_methods(route(PathMatch::kPrefix, "/"), kPut));
  Router router;
  router.build(routes);
  const auto asked = [&](const char* header, const char* query, const char* cookie) {
    Ask ask;
    if (header != nullptr) ask.request.headers.add("TENANT", header);
    ask.request.query = query;
    if (cookie != nullptr) ask.request.headers.add("Cookie", cookie);
    const Route* match = router.find(routes, ask.request, "/x");
    CHECK(match == test::naive_find(routes, ask.request, "/x").route);
    return match == nullptr ? -1 : static_cast<int>(match - routes.data());
  };
  CHECK(asked("t 0", "", nullptr) == 0);
  CHECK(asked("t 299", "tenant=t+300", nullptr) == 299);
  CHECK(asked("t 300", "a&%74enant=t%20599", "tenant=t 600") == 599);
  CHECK(asked(nullptr, "tenant=t+900", "a=b; tenant=t 700; tenant=t 650") == 650);
  CHECK(asked("t 900", "tenant", "tenant=t 5") == -1);
  Ask ask;
  ask.request.method = http::Method::kDelete;
  ask.request.headers.add("Cookie", "tenant=t 800");
  CHECK(router.find(routes, ask.request, "/") == nullptr);
  CHECK(router.other_methods(routes, ask.request, "/") == (kGet | kPut));
}

// ---- against the naive walk ----

class Dice {
 public:
  // `narrow`: few paths, so that many routes share one.
  Dice(uint32_t seed, bool narrow) : engine_(seed), narrow_(narrow) {}
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(engine_() % n); }
  bool one_in(uint32_t n) { return below(n) == 0; }

  std::string path(bool may_be_root) {
    static constexpr const char* kSegments[] = {"a", "b", "ab", "api", "v1", "1", "x.js", ""};
    if (narrow_) return one_in(2) ? "/" : "/a";
    std::string made;
    for (uint32_t i = below(4) + (may_be_root ? 0 : 1); i > 0; --i) {
      made += "/" + std::string(kSegments[below(8)]);
    }
    return made.empty() ? "/" : made;
  }

  Route random_route() {
    static constexpr const char* kPatterns[] = {
        "\\.js$", "^/a", "^/api/(v\\d+)/", "b", "^/(a|b)$", "/1", "^/$", "x.*b", "(?i)/API$"};
    Route made;
    if (one_in(3)) {
      made = pattern(kPatterns[below(9)]);
    } else {
      std::string path = this->path(true);
      PathMatch match = static_cast<PathMatch>(below(3));
      if (match != PathMatch::kExact) {
        match = path.ends_with('/') ? PathMatch::kPrefix : PathMatch::kSegment;
      }
      made = route(match, path);
    }
    if (one_in(3)) made.conditions.methods = static_cast<http::MethodSet>(1u << below(4));
    while (one_in(3)) {
      made.conditions.named.push_back(
          {static_cast<Condition::Kind>(below(3)), one_in(2) ? "x" : "y", one_in(2) ? "1" : "2"});
    }
    return made;
  }

 private:
  std::mt19937 engine_;
  const bool narrow_;
};

TEST_CASE("random routes answer random requests as a walk over them does", "[router]") {
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    Dice dice(seed, seed % 3 == 0);
    std::vector<Route> routes;
    for (uint32_t i = dice.below(seed % 5 == 0 ? 60 : 12) + 1; i > 0; --i) {
      routes.push_back(dice.random_route());
    }
    Router router;
    router.build(routes);
    for (int request = 0; request < 30; ++request) {
      Ask ask;
      ask.request.method = static_cast<http::Method>(dice.below(4));
      while (dice.one_in(2)) {
        ask.request.headers.add(dice.one_in(2) ? "X" : "y", dice.one_in(2) ? "1" : "2");
      }
      if (dice.one_in(2)) ask.request.headers.add("Cookie", dice.one_in(2) ? "x=1; y=2" : "y=1");
      if (dice.one_in(2)) ask.request.query = dice.one_in(2) ? "x=1&y=%32&x=2" : "y=1";
      const std::string path = dice.path(true);
      const test::NaiveAnswer expected = test::naive_find(routes, ask.request, path);
      CAPTURE(seed, request, path);
      const Route* got = router.find(routes, ask.request, path);
      REQUIRE(got == expected.route);
      if (got == nullptr) {
        REQUIRE(router.other_methods(routes, ask.request, path) == expected.other_methods);
      } else {
        REQUIRE(takes_path(*got, path));
      }
    }
  }
}

}  // namespace
}  // namespace weir::proxy
