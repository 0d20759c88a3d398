#include "filters/compression/weak_tags.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "base/arena.h"
#include "http/headers.h"

using namespace weir;
using namespace weir::filters::compression;

namespace {

struct List {
  List() : arena(pool), headers(arena) {}
  List(std::string_view name, std::string_view value) : List() { headers.add(name, value); }
  std::string value(std::string_view name) const {
    const http::Header* header = headers.find(name);
    return header == nullptr ? "(none)" : std::string(header->value);
  }
  BlockPool pool;
  Arena arena;
  http::HeaderList headers;
};

std::string weakened(WeakTags& tags, const Place& place, std::string_view etag) {
  List answer("ETag", etag);
  weaken_tag(tags, place, answer.headers);
  return answer.value("ETag");
}

std::string restored(const WeakTags& tags, const Place& place, std::string_view name,
                     std::string_view value) {
  List request(name, value);
  restore_tags(tags, place, request.headers);
  return request.value(name);
}

}  // namespace

TEST_CASE("weak tags: strong ones become weak, others stay") {
  const auto tags = std::make_unique<WeakTags>();
  CHECK(weakened(*tags, Place{"a", "/"}, "\"x\"") == "W/\"x\"");
  CHECK(weakened(*tags, Place{"a", "/"}, "W/\"own\"") == "W/\"own\"");
  CHECK(weakened(*tags, Place{"a", "/"}, "bare") == "bare");
  CHECK(weakened(*tags, Place{"a", "/"}, "") == "");
  List two("ETag", "\"a\"");
  two.headers.add("ETag", "\"b\"");
  weaken_tag(*tags, Place{"a", "/"}, two.headers);
  CHECK(two.value("ETag") == "\"a\"");  // nobody knows which one it is
  List none;
  weaken_tag(*tags, Place{"a", "/"}, none.headers);
  CHECK(none.headers.size() == 0);
}

TEST_CASE("weak tags: they come back as the server knows them") {
  const auto tags = std::make_unique<WeakTags>();
  weakened(*tags, Place{"a", "/"}, "\"x\"");
  weakened(*tags, Place{"a", "/"}, "\"y,z\"");
  weakened(*tags, Place{"a", "/"}, "W/\"own\"");
  for (const char* name : {"If-None-Match", "If-Match"}) {
    CAPTURE(name);
    CHECK(restored(*tags, Place{"a", "/"}, name, "W/\"x\"") == "\"x\"");
    CHECK(restored(*tags, Place{"a", "/"}, name, "W/\"own\", W/\"x\" ,\"s\",W/\"y,z\"") ==
          "W/\"own\", \"x\", \"s\", \"y,z\"");
    // As they came: nothing known, of another place, no tags at all.
    CHECK(restored(*tags, Place{"a", "/"}, name, "W/\"own\"  ,\"x\"") == "W/\"own\"  ,\"x\"");
    CHECK(restored(*tags, Place{"a", "/2"}, name, "W/\"x\"") == "W/\"x\"");
    CHECK(restored(*tags, Place{"b", "/"}, name, "W/\"x\"") == "W/\"x\"");
    CHECK(restored(*tags, Place{"a", "/"}, name, "*") == "*");
    CHECK(restored(*tags, Place{"a", "/"}, name, "W/\"x\", oops") == "W/\"x\", oops");
    CHECK(restored(*tags, Place{"a", "/"}, name, "w/\"x\"") == "w/\"x\"");
    CHECK(restored(*tags, Place{"a", "/"}, name, "W/\"x") == "W/\"x");
  }
  CHECK(restored(*tags, Place{"a", "/"}, "If-Range", "W/\"x\"") == "W/\"x\"");
}

TEST_CASE("weak tags: both fields of one request, and a field of two lines") {
  const auto tags = std::make_unique<WeakTags>();
  weakened(*tags, Place{"a", "/"}, "\"x\"");
  List both("If-Match", "W/\"x\"");
  both.headers.add("If-None-Match", "W/\"x\"");
  restore_tags(*tags, Place{"a", "/"}, both.headers);
  CHECK(both.value("If-Match") == "\"x\"");
  CHECK(both.value("If-None-Match") == "\"x\"");
  List lines("If-None-Match", "W/\"x\"");
  lines.headers.add("If-None-Match", "\"b\"");
  restore_tags(*tags, Place{"a", "/"}, lines.headers);
  CHECK(lines.headers.size() == 2);
  CHECK(lines.value("If-None-Match") == "W/\"x\"");
}

TEST_CASE("weak tags: the latest are remembered, the oldest forgotten") {
  const auto tags = std::make_unique<WeakTags>();
  const auto tag = [](size_t i) { return "\"" + std::to_string(i) + "\""; };
  for (size_t i = 0; i < 10 * WeakTags::kPlaces; ++i) tags->remember(Place{"a", "/"}, tag(i));
  size_t known = 0;
  for (size_t i = 0; i < 10 * WeakTags::kPlaces; ++i)
    known += tags->knows(Place{"a", "/"}, tag(i)) ? 1 : 0;
  CHECK(known <= WeakTags::kPlaces);
  CHECK(known > WeakTags::kPlaces * 9 / 10);
  CHECK(tags->knows(Place{"a", "/"}, tag(10 * WeakTags::kPlaces - 1)));
  CHECK_FALSE(tags->knows(Place{"a", "/"}, tag(0)));
}

TEST_CASE("weak tags: a 304 tells the client the tag that it has") {
  const auto told = [](std::string_view asked, std::string_view etag) {
    List answer("ETag", etag);
    const bool changed = weaken_known_tag(asked, answer.headers);
    CHECK(changed == (answer.value("ETag") != etag));
    return answer.value("ETag");
  };
  CHECK(told("W/\"x\"", "\"x\"") == "W/\"x\"");
  CHECK(told("\"y\", W/\"x\"", "\"x\"") == "W/\"x\"");
  CHECK(told("\"x\"", "\"x\"") == "\"x\"");
  CHECK(told("W/\"y\"", "\"x\"") == "\"x\"");
  CHECK(told("W/\"x\"", "W/\"x\"") == "W/\"x\"");
  CHECK(told("", "\"x\"") == "\"x\"");
  CHECK(told("*", "\"x\"") == "\"x\"");
}
