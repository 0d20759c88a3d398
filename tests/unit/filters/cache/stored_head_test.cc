#include "filters/cache/stored_head.h"

#include <catch2/catch.hpp>
#include <string>

#include "base/arena.h"
#include "filters/cache/tag_maker.h"

namespace weir::filters::cache {
namespace {

TEST_CASE("a head comes back as it went") {
  BlockPool blocks;
  Arena arena(blocks);
  http::HeaderList fields(arena);
  const std::string large(70'000, 'v');
  fields.add("Content-Type", "text/plain");
  fields.add("X-Empty", "");
  fields.add("X-Large", large);
  fields.add("X-Secret", "s", http::HeaderId::kOther, false, true);
  http::HeaderList back(arena);
  unpack_head(pack_head(fields), back);
  REQUIRE(back.size() == 4);
  CHECK(back.begin()[0].id == http::HeaderId::kContentType);
  CHECK(back.begin()[1].value.empty());
  CHECK(back.begin()[2].value == large);
  CHECK_FALSE(back.begin()[2].never_indexed);
  CHECK(back.begin()[3].never_indexed);
  http::HeaderList none(arena);
  unpack_head({}, none);
  CHECK(none.size() == 0);
}

TEST_CASE("a head is stored as lines, without what could not be written") {
  BlockPool blocks;
  Arena arena(blocks);
  http::HeaderList fields(arena);
  fields.add("Content-Type", "text/plain");
  fields.add("X-Split", "a\r\nSet-Cookie: b");
  fields.add("X Name", "c");
  fields.add("", "d");
  const std::string long_name(65'539, 'n');
  fields.add(long_name, "g");
  fields.add("X-Tab", "e\tf");
  http::HeaderList back(arena);
  unpack_head(pack_head(fields), back);
  REQUIRE(back.size() == 2);
  const std::string_view first = back.begin()[0].line();
  CHECK(first == "Content-Type: text/plain\r\n");
  CHECK(back.begin()[1].line() == "X-Tab: e\tf\r\n");
  CHECK(back.begin()[1].line().data() == first.data() + first.size());
  fields.clear();
  unpack_head(pack_head(fields), back);
  CHECK(back.size() == 2);
}

std::string tag_of(std::string_view text, size_t step) {
  TagMaker maker;
  for (size_t at = 0; at < text.size(); at += step) maker.put(text.substr(at, step));
  return maker.tag();
}

TEST_CASE("a tag is of the bytes, however they come") {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += std::to_string(i);
  const std::string tag = tag_of(text, text.size());
  for (const size_t step : {1, 7, 4095, 4096, 4097}) CHECK(tag_of(text, step) == tag);
  CHECK(tag_of(text + "x", text.size() + 1) != tag);
  text[3000] ^= 1;
  CHECK(tag_of(text, text.size()) != tag);
  CHECK(tag_of("", 1).starts_with("\"w-0-"));
}

}  // namespace
}  // namespace weir::filters::cache
