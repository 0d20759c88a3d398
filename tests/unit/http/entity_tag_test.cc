#include "http/entity_tag.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace weir::http {
namespace {

std::vector<std::string> members(std::string_view list) {
  std::vector<std::string> found;
  EntityTag tag;
  while (take_entity_tag(list, tag)) {
    found.push_back((tag.weak ? "W/" : "") + std::string(tag.opaque));
  }
  return found;
}

using List = std::vector<std::string>;

TEST_CASE("a tag by itself", "[http][cache]") {
  CHECK(read_entity_tag("\"a\"").opaque == "\"a\"");
  CHECK_FALSE(read_entity_tag("\"a\"").weak);
  CHECK(read_entity_tag("W/\"a,b\"").opaque == "\"a,b\"");
  CHECK(read_entity_tag("W/\"a,b\"").weak);
  CHECK(read_entity_tag("\"\"").opaque == "\"\"");
  CHECK(read_entity_tag("\"\xc3\xbc\\\"").opaque == "\"\xc3\xbc\\\"");
  for (const char* text :
       {"", "a", "\"", "\"a", "a\"", "\"a\"b", "\"a\" ", " \"a\"", "w/\"a\"", "W\"a\"", "W\\\"a\"",
        "W/", "W/a", "\"a b\"", "\"a\tb\"", "\"a\x7f\"", "'a'", "\"a\", \"b\"", "*"}) {
    INFO(text);
    CHECK_FALSE(read_entity_tag(text));
  }
}

TEST_CASE("the comparisons of RFC 9110 8.8.3.2", "[http][cache]") {
  const EntityTag weak1 = read_entity_tag("W/\"1\"");
  const EntityTag weak2 = read_entity_tag("W/\"2\"");
  const EntityTag strong1 = read_entity_tag("\"1\"");
  const EntityTag none;
  CHECK_FALSE(equal(weak1, weak1, TagComparison::kStrong));
  CHECK(equal(weak1, weak1, TagComparison::kWeak));
  CHECK_FALSE(equal(weak1, weak2, TagComparison::kWeak));
  CHECK_FALSE(equal(weak1, strong1, TagComparison::kStrong));
  CHECK(equal(weak1, strong1, TagComparison::kWeak));
  CHECK(equal(strong1, strong1, TagComparison::kStrong));
  CHECK(equal(strong1, strong1, TagComparison::kWeak));
  CHECK_FALSE(equal(none, none, TagComparison::kStrong));
  CHECK_FALSE(equal(none, none, TagComparison::kWeak));
}

TEST_CASE("lists of tags", "[http][cache]") {
  CHECK(members("").empty());
  CHECK(members(" , ,\t").empty());
  CHECK(members("\"a\",W/\"b\" ,\t\"c,d\"") == List{"\"a\"", "W/\"b\"", "\"c,d\""});
  CHECK(members(", \"a\",, \"b\",") == List{"\"a\"", "\"b\""});
  // What is no tag stands for nothing, and hides nothing behind it.
  CHECK(members("a, \"b\"") == List{"", "\"b\""});
  CHECK(members("\"a\"x, \"b\"") == List{"", "\"b\""});
  CHECK(members("\"a b\", \"c\"") == List{"", "\"c\""});
  CHECK(members("\"a, \"b\"") == List{""});
  CHECK(members("w/\"a\", \"b\"") == List{"", "\"b\""});
  CHECK(members("*, \"b\"") == List{"", "\"b\""});
  CHECK(members("\"") == List{""});
  CHECK(members("W/") == List{""});
}

TEST_CASE("a tag in a list", "[http][cache]") {
  const EntityTag tag = read_entity_tag("\"x\"");
  CHECK(lists_tag("\"y\", W/\"x\"", tag, TagComparison::kWeak));
  CHECK_FALSE(lists_tag("\"y\", W/\"x\"", tag, TagComparison::kStrong));
  CHECK(lists_tag("\"y\", \"x\"", tag, TagComparison::kStrong));
  CHECK_FALSE(lists_tag("\"y,\"x\"\"", tag, TagComparison::kWeak));
  CHECK_FALSE(lists_tag("x", tag, TagComparison::kWeak));
  CHECK_FALSE(lists_tag("*", tag, TagComparison::kWeak));
  CHECK_FALSE(lists_tag("\"\"", EntityTag(), TagComparison::kWeak));
}

}  // namespace
}  // namespace weir::http
