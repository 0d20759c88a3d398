#include "http/chars.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

namespace weir::http {
namespace {

size_t one_by_one(std::string_view text, size_t at) {
  while (at < text.size() && !is_byte(text[at], kControlByte)) ++at;
  return at;
}

// Sixteen bytes at a time must see what one at a time does, wherever the borders fall.
TEST_CASE("chars: control bytes are found at every place in texts of every length") {
  for (size_t size = 0; size <= 50; ++size) {
    for (size_t place = 0; place <= size; ++place) {
      std::string text(size, 'x');
      if (place < size) text[place] = (place % 2) == 0 ? '\t' : '\x7f';
      for (size_t at = 0; at <= size; ++at) {
        CAPTURE(size, place, at);
        REQUIRE(find_control(text, at) == one_by_one(text, at));
      }
    }
  }
  CHECK(find_control("\xff\x80 ~", 0) == 4);
}

TEST_CASE("chars: control bytes are counted once each in texts of every length") {
  for (size_t size = 0; size <= 50; ++size) {
    for (size_t place = 0; place < size; ++place) {
      std::string text(size, 'x');
      text[place] = '\r';
      text[size - 1] = '\n';
      text[size / 2] = '\t';
      const size_t expected = size - static_cast<size_t>(std::count(text.begin(), text.end(), 'x'));
      CAPTURE(size, place);
      REQUIRE(count_control_bytes(text) == expected);
    }
  }
  CHECK(count_control_bytes("\xff\x7f\x80 ~\x1f") == 2);
  for (const size_t size : {4079, 4080, 4081, 4095, 4096, 20'000}) {
    CHECK(count_control_bytes(std::string(size, '\n')) == size);
  }
}

TEST_CASE("chars: a name of HTTP/2 has no capitals") {
  CHECK(all_bytes("x-request-id", kLowerTokenByte));
  for (int c = 0; c < 256; ++c) {
    const auto byte = static_cast<char>(c);
    const bool capital = byte >= 'A' && byte <= 'Z';
    CHECK(is_byte(byte, kLowerTokenByte) == (is_byte(byte, kTokenByte) && !capital));
  }
  // Every byte at every place, whatever follows the name.
  for (size_t size = 1; size <= 36; ++size) {
    for (size_t place = 0; place < size; ++place) {
      for (int c = 0; c < 256; ++c) {
        std::string text(size, 'x');
        text[place] = static_cast<char>(c);
        const bool expected = all_bytes(text, kLowerTokenByte);
        CAPTURE(size, place, c);
        REQUIRE(starts_with_lower_token(text, size) == expected);
        REQUIRE(starts_with_lower_token(text + ": Some Value\r\n", size) == expected);
      }
    }
  }
}

}  // namespace
}  // namespace weir::http
