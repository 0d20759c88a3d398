#include <catch2/catch.hpp>

#include <string>
#include <utility>

#include "cache_support.h"
#include "http/freshness.h"

namespace weir::http {
namespace {

using test::Fields;
using test::Head;

constexpr int64_t kNow = 1'764'219'600;
constexpr std::string_view kDay1 = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kDay2 = "Mon, 07 Nov 1994 08:49:37 GMT";

bool freshens(const Fields& stored, const Fields& not_modified) {
  const Head old(stored);
  const Head news(not_modified);
  return may_freshen(validators_of(old.index(), kNow), validators_of(news.index(), kNow));
}

std::string freshened(const Fields& stored, const Fields& news, const CachePolicy& policy = {}) {
  Head old(stored);
  Head now(news);
  freshen(policy, old.list(), now.list(), answer_directives(now.index()));
  std::string text;
  for (const Header& field : old.list()) {
    CHECK(field.id == classify(field.name));
    text += std::string(field.name) + "=" + std::string(field.value) + " ";
  }
  return text;
}

TEST_CASE("which answer a 304 is about", "[http][cache]") {
  const Fields strong = {{"ETag", "\"a\""}, {"Last-Modified", kDay1}};
  const Fields weak = {{"ETag", "W/\"a\""}, {"Last-Modified", kDay1}};
  const Fields dated = {{"Last-Modified", kDay1}};
  CHECK(freshens(strong, {{"ETag", "\"a\""}}));
  CHECK_FALSE(freshens(strong, {{"ETag", "\"b\""}}));
  CHECK_FALSE(freshens(weak, {{"ETag", "\"a\""}}));
  CHECK(freshens(strong, {{"ETag", "W/\"a\""}}));
  CHECK(freshens(weak, {{"ETag", "W/\"a\""}}));
  CHECK_FALSE(freshens(weak, {{"ETag", "W/\"b\""}, {"Last-Modified", kDay1}}));
  CHECK(freshens(dated, {{"Last-Modified", kDay1}}));
  CHECK_FALSE(freshens(dated, {{"Last-Modified", kDay2}}));
  CHECK_FALSE(freshens(strong, {{"Last-Modified", kDay2}}));
  CHECK_FALSE(freshens(dated, {{"ETag", "\"a\""}}));
  CHECK(freshens(strong, {}));
  CHECK(freshens({}, {}));
}

TEST_CASE("a 304 replaces the fields that it has", "[http][cache]") {
  CHECK(freshened({{"A", "1"}, {"B", "2"}}, {{"b", "3"}, {"C", "4"}}) == "A=1 b=3 C=4 ");
  CHECK(freshened({{"A", "1"}, {"a", "2"}, {"B", "3"}}, {{"A", "4"}, {"A", "5"}}) ==
        "B=3 A=4 A=5 ");
  CHECK(freshened({{"Content-Type", "a"}, {"Cache-Control", "max-age=1"}},
                  {{"Content-Type", "b"}, {"Cache-Control", "max-age=2"}}) ==
        "Content-Type=b Cache-Control=max-age=2 ");
  CHECK(freshened({{"A", "1"}}, {}) == "A=1 ");
}

TEST_CASE("what a 304 cannot change", "[http][cache]") {
  CHECK(freshened({{"Content-Length", "5"},
                   {"Content-Encoding", "gzip"},
                   {"Content-Range", "x"},
                   {"X-Hop", "1"},
                   {"X-User", "1"}},
                  {{"Content-Length", "0"},
                   {"Content-Encoding", "br"},
                   {"Content-Range", "y"},
                   {"Connection", "X-Hop"},
                   {"X-Hop", "2"},
                   {"X-User", "2"},
                   {"Keep-Alive", "x"},
                   {"Age", "5"},
                   {"Set-Cookie", "a=b"},
                   {"Cache-Control", "private=\"x-user\""}}) ==
        "Content-Length=5 Content-Encoding=gzip Content-Range=x X-Hop=1 X-User=1 "
        "Cache-Control=private=\"x-user\" ");
  CHECK(freshened({{"Set-Cookie", "a=1"}}, {{"Set-Cookie", "a=2"}}, {.store_set_cookie = true}) ==
        "Set-Cookie=a=1 ");
}

TEST_CASE("what a 304 brought lives as long as what it changed", "[http][cache]") {
  Head old(Fields{{"A", "1"}});
  {
    const std::string value(100, 'x');
    Head news(Fields{{"A", value}});
    freshen({}, old.list(), news.list(), {});
  }
  CHECK(old.list().find("A")->value == std::string(100, 'x'));
}

TEST_CASE("the answer to a HEAD against what is stored", "[http][cache]") {
  const auto agrees = [](const Fields& stored, const Fields& head, std::optional<uint64_t> length) {
    const Head old(stored);
    const Head news(head);
    return head_agrees(validators_of(old.index(), kNow), validators_of(news.index(), kNow), 5,
                       length);
  };
  const Fields stored = {{"ETag", "\"a\""}, {"Last-Modified", kDay1}};
  CHECK(agrees(stored, stored, 5));
  CHECK(agrees(stored, {}, std::nullopt));
  CHECK_FALSE(agrees(stored, stored, 6));
  CHECK_FALSE(agrees(stored, {{"ETag", "\"b\""}}, 5));
  CHECK_FALSE(agrees(stored, {{"Last-Modified", kDay2}}, 5));
  CHECK_FALSE(agrees({}, stored, 5));
}

TEST_CASE("which methods and answers make void", "[http][cache]") {
  for (const Method method :
       {Method::kPost, Method::kPut, Method::kDelete, Method::kPatch, Method::kOther}) {
    CHECK(invalidates(method, 200));
    CHECK(invalidates(method, 204));
    CHECK(invalidates(method, 303));
    CHECK_FALSE(invalidates(method, 400));
    CHECK_FALSE(invalidates(method, 500));
    CHECK_FALSE(invalidates(method, 100));
  }
  for (const Method method : {Method::kGet, Method::kHead, Method::kOptions, Method::kTrace}) {
    CHECK_FALSE(invalidates(method, 200));
  }
}

TEST_CASE("what Location points to, where that is here", "[http][cache]") {
  BlockPool pool;
  Arena arena(pool);
  const Place place = {"https", "example.com", "/b/c/d"};
  const auto path = [&](std::string_view reference) { return own_path(reference, place, arena); };
  CHECK(path("/a?b=c") == "/a");
  CHECK(path("/a#f?x") == "/a");
  CHECK(path("https://example.com/a?b") == "/a");
  CHECK(path("HTTPS://EXAMPLE.com/a/../x") == "/x");
  CHECK(path("https://example.com") == "/");
  CHECK(path("https://example.com?a") == "/");
  CHECK(path("//example.com/a") == "/a");
  for (const char* other :
       {"http://example.com/a", "https://example.org/a", "https://example.com.evil/a",
        "https://example.com:444/a", "https://x@example.com/a", "//example.org/a", "https:/a",
        "https:a", "mailto:x", "a:b/../c", ":", "//"}) {
    INFO(other);
    CHECK(path(other).empty());
  }
}

// RFC 3986 5.4, those that can be of the same origin.
TEST_CASE("references are resolved against the request's URI", "[http][cache]") {
  constexpr std::pair<std::string_view, std::string_view> kResolved[] = {
      {"", "/b/c/d"},
      {"?y", "/b/c/d"},
      {"#s", "/b/c/d"},
      {"g", "/b/c/g"},
      {"./g", "/b/c/g"},
      {"g/", "/b/c/g/"},
      {"/g", "/g"},
      {"g?y/./x", "/b/c/g"},
      {"g?a:b", "/b/c/g"},
      {";x", "/b/c/;x"},
      {".", "/b/c/"},
      {"./", "/b/c/"},
      {"..", "/b/"},
      {"../", "/b/"},
      {"../g", "/b/g"},
      {"../..", "/"},
      {"../../", "/"},
      {"../../g", "/g"},
      {"../../../g", "/g"},
      {"../../../../g", "/g"},
      {"/./g", "/g"},
      {"/../g", "/g"},
      {"g.", "/b/c/g."},
      {".g", "/b/c/.g"},
      {"g..", "/b/c/g.."},
      {"..g", "/b/c/..g"},
      {"./../g", "/b/g"},
      {"./g/.", "/b/c/g/"},
      {"g/./h", "/b/c/g/h"},
      {"g/../h", "/b/c/h"},
      {"g;x=1/../y", "/b/c/y"},
      {"g#s/../x", "/b/c/g"},
      {"a//../b", "/b/c/a/b"},
      {"%2e%2e/g", "/b/c/%2e%2e/g"},
      {"/...", "/..."},
  };
  BlockPool pool;
  Arena arena(pool);
  for (const auto& [reference, resolved] : kResolved) {
    INFO(reference);
    CHECK(own_path(reference, {"http", "a", "/b/c/d"}, arena) == resolved);
  }
  CHECK(own_path("g", {"http", "a", "/"}, arena) == "/g");
  CHECK(own_path("http://a:80/g", {"http", "a", "/"}, arena) == "/g");
  CHECK(own_path("https://a/g", {"https", "a:443", "/"}, arena) == "/g");
  CHECK(own_path("http://a:443/g", {"http", "a", "/"}, arena).empty());
  CHECK(own_path("http://a:8080/g", {"http", "a", "/"}, arena).empty());
  CHECK(own_path("..", {"http", "a", "/b/"}, arena) == "/");
  CHECK(own_path("g", {"http", "a", ""}, arena).empty());
}

}  // namespace
}  // namespace weir::http
