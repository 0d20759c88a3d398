#include "http/vary.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "cache_support.h"

namespace weir::http {
namespace {

using test::Fields;
using test::Head;

std::string normal(const std::vector<std::string_view>& lines) {
  Fields fields;
  for (const std::string_view line : lines) fields.emplace_back("Vary", line);
  const Head head(fields);
  const VaryNames names(head.index());
  if (names.matches_nothing()) return "nothing";
  char text[kVaryTextMax];
  return {text, names.write(text)};
}

std::string key(std::string_view names, const Fields& request) {
  char text[kVaryKeyMax];
  size_t size = 0;
  REQUIRE(write_vary_key(names, Head(request).index(), text, size));
  return {text, size};
}

bool same(std::string_view name, std::string_view a, std::string_view b) {
  return key(name, {{name, a}}) == key(name, {{name, b}});
}

TEST_CASE("names of Vary have one form", "[http][cache]") {
  CHECK(normal({}).empty());
  CHECK(normal({""}).empty());
  CHECK(normal({"Accept-Encoding"}) == "accept-encoding");
  CHECK(normal({"Origin, ACCEPT ,, accept", "origin"}) == "accept,origin");
  CHECK(normal({"b, a, c", "a-b", "A"}) == "a,a-b,b,c");
}

TEST_CASE("Vary that nothing matches", "[http][cache]") {
  for (const char* line :
       {"*", "*, *", ", *", "*, Foo", "Foo, *", "foo bar", "\"foo\"", "foo;x", "foo/x"}) {
    INFO(line);
    CHECK(normal({line}) == "nothing");
    CHECK(normal({"Foo", line}) == "nothing");
    CHECK(normal({line, "Foo"}) == "nothing");
  }
  CHECK(normal({"", "*"}) == "nothing");
}

TEST_CASE("Vary has a bound", "[http][cache]") {
  std::string many = "n0";
  for (size_t i = 1; i < kVaryNamesMax; ++i) many += ", n" + std::to_string(i);
  CHECK(normal({many}) != "nothing");
  CHECK(normal({many, many}) != "nothing");
  CHECK(normal({many, "n" + std::to_string(kVaryNamesMax)}) == "nothing");
  CHECK(normal({std::string(kVaryTextMax, 'a')}) == std::string(kVaryTextMax, 'a'));
  CHECK(normal({std::string(kVaryTextMax + 1, 'a')}) == "nothing");
  const std::string half(kVaryTextMax / 2, 'a');
  CHECK(normal({half + "," + half + "b"}) == "nothing");
}

TEST_CASE("values that do not count, and values that do", "[http][cache]") {
  CHECK(key("", {{"Accept", "x"}}).empty());
  CHECK(key("origin", {{"Accept", "x"}}) == key("origin", {}));
  CHECK(key("origin", {{"Origin", "x"}}) == key("origin", {{"ORIGIN", "x"}}));
  CHECK(key("origin", {{"Origin", "x"}}) != key("origin", {{"Origin", "y"}}));
  CHECK(key("origin", {{"Origin", "x"}}) != key("origin", {{"Origin", "X"}}));
  CHECK(key("origin", {{"Origin", ""}}) != key("origin", {}));
  CHECK(key("accept", {{"Accept", ""}}) != key("accept", {}));
  CHECK(key("accept-encoding", {{"Accept-Encoding", ""}}) != key("accept-encoding", {}));
  CHECK(key("accept", {{"Accept", "x"}}) != key("origin", {{"Origin", "x"}}));
}

TEST_CASE("values cannot be mistaken for each other", "[http][cache]") {
  CHECK(key("a,b", {{"a", "1"}, {"b", "2"}}) != key("a,b", {{"a", "1b2"}, {"b", ""}}));
  CHECK(key("a,b", {{"a", "1"}}) != key("a,b", {{"b", "1"}}));
  const std::string forged(
      "1b\1\1\0\0\0"
      "2",
      8);  // what follows the 1 for b, as a value of a
  CHECK(key("a,b", {{"a", "1"}, {"b", "2"}}) != key("a,b", {{"a", forged}}));
  CHECK(key("a", {{"a", "1"}}) != key("a,b", {{"a", "1"}}));
}

TEST_CASE("lines of a field are one value", "[http][cache]") {
  CHECK(key("foo", {{"Foo", "1"}, {"Foo", "2"}}) == key("foo", {{"Foo", "1, 2"}}));
  CHECK(key("foo", {{"Foo", "1"}, {"Foo", "2"}}) != key("foo", {{"Foo", "2"}, {"Foo", "1"}}));
  CHECK(key("accept", {{"Accept", "a"}, {"Accept", "b"}}) == key("accept", {{"Accept", "a,b"}}));
  CHECK(key("accept", {{"Accept", "a,"}, {"Accept", ""}, {"Accept", ", b ,"}}) ==
        key("accept", {{"Accept", "a, b"}}));
}

TEST_CASE("Accept and its kin without case and optional whitespace", "[http][cache]") {
  for (const char* name : {"accept", "accept-language", "accept-charset"}) {
    INFO(name);
    CHECK(same(name, "text/html;q=0.5,*/*", "Text/HTML ; Q=0.5 ,\t*/*"));
    CHECK(same(name, "en, de", "en,de"));
    CHECK(same(name, ",en,,de,", "EN,DE"));
    CHECK(same(name, "a  b", "a b"));
    CHECK_FALSE(same(name, "a b", "ab"));
    CHECK_FALSE(same(name, "en, de", "de, en"));
    CHECK_FALSE(same(name, "en;q=0.5", "en;q=0.6"));
    CHECK(same(name, "a;b=\"X, y\" , c", "A;B=\"X, y\",C"));
    CHECK_FALSE(same(name, "a;b=\"X, y\"", "a;b=\"x, y\""));
    CHECK_FALSE(same(name, "a;b=\"X, y\"", "a;b=\"X,y\""));
    CHECK_FALSE(same(name, "a;b=\"\\\", C\"", "a;b=\"\\\", c\""));
    CHECK_FALSE(same(name, "\"a,", "\"a"));
  }
  CHECK_FALSE(same("user-agent", "a, b", "a,b"));
  CHECK_FALSE(same("accept-foo", "A", "a"));
}

TEST_CASE("Accept-Encoding by what it accepts", "[http][cache]") {
  CHECK(same("accept-encoding", "gzip, br", "br;q=0.5 , x-gzip"));
  CHECK_FALSE(same("accept-encoding", "gzip, br", "gzip"));
  CHECK_FALSE(same("accept-encoding", "gzip, deflate", "gzip"));
  CHECK_FALSE(same("accept-encoding", "gzip, identity;q=0", "gzip"));
  // So many codings that there is no normal form: as it came.
  const std::string many(500, 'x');
  CHECK(same("accept-encoding", many, many));
  CHECK_FALSE(same("accept-encoding", many, many + "x"));
  CHECK_FALSE(same("accept-encoding", many + ",gzip", "gzip," + many));
}

TEST_CASE("a key has a bound", "[http][cache]") {
  char text[kVaryKeyMax];
  size_t size = 0;
  constexpr size_t kFrame = 3 + 1 + 4;
  const std::string most(kVaryKeyMax - kFrame, 'x');
  const Head fits(Fields{{"Foo", most}});
  CHECK(write_vary_key("foo", fits.index(), text, size));
  CHECK(size == kVaryKeyMax);
  const std::string longer = most + "x";
  const Head over(Fields{{"Foo", longer}});
  CHECK_FALSE(write_vary_key("foo", over.index(), text, size));

  const std::string huge(60'000, 'a');
  const Head head(Fields{{"Accept", huge}, {"Foo", huge}, {"Accept-Encoding", huge}});
  CHECK_FALSE(write_vary_key("accept", head.index(), text, size));
  CHECK_FALSE(write_vary_key("foo", head.index(), text, size));
  CHECK_FALSE(write_vary_key("accept-encoding", head.index(), text, size));
  for (size_t room = 0; room < 16; ++room) {
    std::string small(room, '\0');
    CHECK(write_vary_key("foo", Head(Fields{{"Foo", "12"}}).index(), small, size) == (room >= 10));
  }
}

}  // namespace
}  // namespace weir::http
