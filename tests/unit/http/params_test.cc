#include "http/params.h"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

namespace weir::http {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs parameters(std::string_view query) {
  Pairs pairs;
  for_each_parameter(query, [&](std::string_view name, std::string_view value) {
    pairs.emplace_back(name, value);
  });
  return pairs;
}

Pairs cookies(const std::vector<const char*>& fields) {
  BlockPool pool;
  Arena arena(pool);
  HeaderList headers(arena);
  headers.add("X-Cookie", "no=1");
  for (const char* field : fields) headers.add("Cookie", field);
  Pairs pairs;
  for_each_cookie(headers, [&](std::string_view name, std::string_view value) {
    pairs.emplace_back(name, value);
  });
  return pairs;
}

TEST_CASE("parameters of a query", "[http][params]") {
  CHECK(parameters("").empty());
  CHECK(parameters("&&").empty());
  CHECK(parameters("a") == Pairs{{"a", ""}});
  CHECK(parameters("a=1&b=&=c&d=e=f&a=2") ==
        Pairs{{"a", "1"}, {"b", ""}, {"", "c"}, {"d", "e=f"}, {"a", "2"}});
  CHECK(parameters("%61=%26&b=1;c=2") == Pairs{{"%61", "%26"}, {"b", "1;c=2"}});
}

TEST_CASE("cookies of all Cookie fields", "[http][params]") {
  CHECK(cookies({}).empty());
  CHECK(cookies({"", ";", " ; a"}).empty());
  CHECK(cookies({"a=1; b=2;c=3 ; d", "a=\"4\""}) ==
        Pairs{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"a", "\"4\""}});
  CHECK(cookies({"a=b=c; =x"}) == Pairs{{"a", "b=c"}, {"", "x"}});
}

TEST_CASE("percent-encoded text against plain text", "[http][params]") {
  CHECK(equals_decoded("", ""));
  CHECK(equals_decoded("a%20b+c", "a b c"));
  CHECK(equals_decoded("%2B%2b", "++"));
  CHECK(equals_decoded("%e4%BD%a0", "\xe4\xbd\xa0"));
  CHECK(equals_decoded("100%", "100%"));
  CHECK(equals_decoded("%4", "%4"));
  CHECK(equals_decoded("%zz", "%zz"));
  CHECK_FALSE(equals_decoded("a", ""));
  CHECK_FALSE(equals_decoded("", "a"));
  CHECK_FALSE(equals_decoded("ab", "a"));
  CHECK_FALSE(equals_decoded("%41", "%41"));
  CHECK_FALSE(equals_decoded("+", "+"));
}

TEST_CASE("percent-encoded text decoded into a place of its own", "[http][params]") {
  char place[4];
  size_t size = 0;
  CHECK(decode("a%2Bb+", place, size));
  CHECK(std::string_view(place, size) == "a+b ");
  CHECK(decode("", place, size));
  CHECK(size == 0);
  CHECK_FALSE(decode("abcde", place, size));
}

}  // namespace
}  // namespace weir::http
