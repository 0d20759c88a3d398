#include "config/reachability.h"

#include <catch2/catch.hpp>

namespace weir::config {
namespace {

using proxy::PathMatch;

// "/a" segment, "/a/" prefix, "=/a" exact, "~a" pattern; then what else it asks for: "GET" or
// "PUT", "name=value" of a header.
proxy::Route read(const std::string& text) {
  proxy::Route route;
  size_t at = text.find(' ');
  const std::string path = text.substr(0, at);
  while (at != std::string::npos) {
    const size_t end = text.find(' ', at + 1);
    const std::string word = text.substr(at + 1, end - at - 1);
    if (const size_t equals = word.find('='); equals != std::string::npos) {
      route.conditions.named.push_back(
          {proxy::Condition::Kind::kHeader, word.substr(0, equals), word.substr(equals + 1)});
    } else {
      route.conditions.methods |= http::bit(http::parse_method(word));
    }
    at = end;
  }
  if (path[0] == '~') {
    route.match = PathMatch::kRegex;
    route.regex = proxy::Regex::compile(path.substr(1)).value();
    return route;
  }
  route.match = path[0] == '='        ? PathMatch::kExact
                : path.ends_with('/') ? PathMatch::kPrefix
                                      : PathMatch::kSegment;
  route.path = path[0] == '=' ? path.substr(1) : path;
  return route;
}

// The route that covers the last of `routes`; -1 = none.
int covers_last(const std::vector<std::string>& routes) {
  Reachability reachability;
  std::optional<uint32_t> last;
  for (const std::string& route : routes) last = reachability.add(read(route));
  return last ? static_cast<int>(*last) : -1;
}

TEST_CASE("reachability: the same path twice") {
  CHECK(covers_last({"=/a", "=/a"}) == 0);
  CHECK(covers_last({"/a", "/a"}) == 0);
  CHECK(covers_last({"/a/", "/a/"}) == 0);
}

TEST_CASE("reachability: a prefix covers what starts with it") {
  CHECK(covers_last({"/", "/a"}) == 0);
  CHECK(covers_last({"/", "/"}) == 0);
  CHECK(covers_last({"/a/", "/a/b/"}) == 0);
  CHECK(covers_last({"/a/", "/a/b"}) == 0);
  CHECK(covers_last({"/a/", "=/a/b"}) == 0);
  CHECK(covers_last({"/a/", "=/a/"}) == 0);
  CHECK(covers_last({"/a/", "/a"}) == -1);
  CHECK(covers_last({"/a/", "=/a"}) == -1);
  CHECK(covers_last({"/a/", "/ab/"}) == -1);
  CHECK(covers_last({"/a/", "/"}) == -1);
}

TEST_CASE("reachability: a segment path covers itself and what is below it") {
  CHECK(covers_last({"/a", "/a/"}) == 0);
  CHECK(covers_last({"/a", "=/a"}) == 0);
  CHECK(covers_last({"/a", "/a/b"}) == 0);
  CHECK(covers_last({"/a", "/ab"}) == -1);
  CHECK(covers_last({"/a", "=/ab"}) == -1);
}

TEST_CASE("reachability: an exact path covers nothing else") {
  CHECK(covers_last({"=/a", "/a"}) == -1);
  CHECK(covers_last({"=/a", "/a/"}) == -1);
  CHECK(covers_last({"=/", "/"}) == -1);
}

TEST_CASE("reachability: the first of several is named") {
  CHECK(covers_last({"=/x", "/a/b", "/a", "/", "/a/b/c"}) == 1);
  CHECK(covers_last({"=/x", "/a/b/c/d", "/", "/a", "/a/b"}) == 2);
}

TEST_CASE("reachability: conditions cover themselves and what adds to them") {
  CHECK(covers_last({"/ GET", "/a"}) == -1);
  CHECK(covers_last({"/ GET", "/a GET"}) == 0);
  CHECK(covers_last({"/ GET PUT", "/a GET"}) == 0);
  CHECK(covers_last({"/ GET", "/a GET PUT"}) == -1);
  CHECK(covers_last({"/ GET", "/a GET x=1"}) == 0);
  CHECK(covers_last({"/ x=1", "/a GET"}) == -1);
  CHECK(covers_last({"/ x=1", "/a x=2"}) == -1);
  CHECK(covers_last({"/ x=1", "/a a=0 x=1 z=2"}) == 0);
  CHECK(covers_last({"/ a=0 x=1", "/a x=1"}) == -1);
  CHECK(covers_last({"/ a=0 z=2", "/a a=0 x=1 z=2"}) == 0);
  CHECK(covers_last({"/ x=1", "/ a=0", "/a a=0 x=1"}) == 0);
  CHECK(covers_last({"/a a=0 y=1", "/a a=0 x=1 PUT", "/a a=0 x=1 GET", "/a a=0 x=1 z=2 GET"}) == 2);
  CHECK(covers_last({"/a GET", "/a PUT", "/a", "/a x=1"}) == 2);
  CHECK(covers_last({"/a GET", "/a PUT x=1", "/a PUT x=1 y=1"}) == 1);
}

TEST_CASE("reachability: of patterns only the same one, or what takes every path") {
  CHECK(covers_last({"~\\.js$", "~\\.js$"}) == 0);
  CHECK(covers_last({"~\\.js$ GET", "~\\.js$"}) == -1);
  CHECK(covers_last({"~\\.js$", "~\\.js"}) == -1);
  CHECK(covers_last({"~.", "/a"}) == -1);
  CHECK(covers_last({"/", "~a"}) == 0);
  CHECK(covers_last({"/a", "~^/a"}) == -1);
}

}  // namespace
}  // namespace weir::config
