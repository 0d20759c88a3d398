#include "base/strings.h"

#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace weir {
namespace {

TEST_CASE("case is that of ASCII and nothing else") {
  CHECK(iequals("", ""));
  CHECK(iequals("Content-Length", "cONTENT-lENGTH"));
  CHECK_FALSE(iequals("abc", "abcd"));
  CHECK_FALSE(iequals("[", "{"));  // 0x20 apart, but no letters
  CHECK_FALSE(iequals("@", "`"));
  CHECK_FALSE(iequals("\xc4", "\xe4"));  // Latin-1 letters are not ours to fold
  for (size_t size = 1; size <= 20; ++size) {
    const std::string text(size, 'k');
    const std::string marks(size, '`');
    for (size_t at = 0; at < size; ++at) {
      std::string other = text;
      other[at] = 'K';
      CHECK(iequals(text, other));
      other[size - 1 - at] = 'j';
      CHECK_FALSE(iequals(text, other));
      other = marks;
      other[at] = '@';
      CHECK_FALSE(iequals(marks, other));
    }
  }
}

TEST_CASE("every two bytes are compared as letters are, wherever they stand") {
  size_t wrong = 0;
  for (const size_t size : {1, 3, 7, 8, 13}) {
    for (int first = 0; first < 256; ++first) {
      for (int second = 0; second < 256; ++second) {
        std::string a(size, 'x');
        std::string b(size, 'X');
        const size_t at = static_cast<size_t>(first + second) % size;
        a[at] = static_cast<char>(first);
        b[at] = static_cast<char>(second);
        if (iequals(a, b) != (to_lower(a[at]) == to_lower(b[at]))) ++wrong;
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("optional whitespace is spaces and tabs, at the ends only") {
  CHECK(trim_ows("  a \t b\t ") == "a \t b");
  CHECK(trim_ows("\t \t").empty());
  CHECK(trim_ows("\r\na\v") == "\r\na\v");
}

TEST_CASE("a number is decimal digits and fits") {
  struct Case {
    std::string_view text;
    bool good;
    uint64_t value;
  };
  const Case cases[] = {{"0", true, 0},
                        {"007", true, 7},
                        {"18446744073709551615", true, UINT64_MAX},
                        {"18446744073709551616", false, 0},
                        {"99999999999999999999999", false, 0},
                        {"", false, 0},
                        {"-1", false, 0},
                        {"+1", false, 0},
                        {" 1", false, 0},
                        {"1 ", false, 0},
                        {"0x1", false, 0},
                        {"1e3", false, 0}};
  for (const Case& row : cases) {
    CAPTURE(row.text);
    uint64_t value = 4711;
    CHECK(parse_u64(row.text, value) == row.good);
    CHECK(value == (row.good ? row.value : 4711));  // a failure leaves it alone
  }
}

TEST_CASE("a number that was written is read back") {
  std::vector<uint64_t> values = {0, UINT64_MAX};
  for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10) {
    values.insert(values.end(), {power - 1, power, power + 1});
  }
  for (const uint64_t value : values) {
    char text[20];
    const std::string_view written(text, format_u64(value, text));
    CHECK(written == std::to_string(value));
    uint64_t back = 0;
    CHECK(parse_u64(written, back));
    CHECK(back == value);
  }
}

TEST_CASE("a list has its items without blanks and without empty ones") {
  const auto items_of = [](std::string_view list) {
    std::vector<std::string> items;
    for_each_list_item(list, [&items](std::string_view item) { items.emplace_back(item); });
    return items;
  };
  using Items = std::vector<std::string>;
  CHECK(items_of("").empty());
  CHECK(items_of(" , ,,\t").empty());
  CHECK(items_of("gzip") == Items{"gzip"});
  CHECK(items_of(", a b ,c,\td\t,") == Items{"a b", "c", "d"});
}

TEST_CASE("the closest word is offered for a slip, not for another word") {
  constexpr std::array<std::string_view, 4> kKnown = {"listeners", "upstreams", "sites", "log"};
  CHECK(closest("listner", kKnown) == "listeners");
  CHECK(closest("upstream", kKnown) == "upstreams");
  CHECK(closest("site", kKnown) == "sites");
  CHECK(closest("lgo", kKnown) == "log");
  CHECK(closest("dog", kKnown) == "log");
  CHECK(closest("completely", kKnown).empty());
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("same", "same") == 0);
}

TEST_CASE("a text is copied whole, whatever its size, and nothing around it is touched") {
  std::string text;
  for (size_t size = 0; size <= 80; ++size) {
    std::string out(size + 2, '#');
    CHECK(put_text(out.data() + 1, text) == out.data() + 1 + size);
    CHECK(out == "#" + text + "#");
    text += static_cast<char>('0' + size);
  }
  char none = '#';
  CHECK(put_text(&none, {}) == &none);
}

}  // namespace
}  // namespace weir
