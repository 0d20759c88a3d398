#include "base/escape.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

namespace weir {
namespace {

using namespace std::string_literals;

using Escape = char* (*)(std::string_view, char*);

// Runs in exactly as much room as the contract asks for, so that a sanitizer sees one byte more.
std::string escaped(Escape escape, std::string_view text) {
  const std::unique_ptr<char[]> room(new char[text.size() * kEscapedMax]);
  const std::unique_ptr<char[]> exact(new char[text.size()]);
  std::copy(text.begin(), text.end(), exact.get());
  const char* const end = escape({exact.get(), text.size()}, room.get());
  return {room.get(), static_cast<size_t>(end - room.get())};
}

struct Case {
  std::string text;
  std::string json;
  std::string combined;
  std::string people;
};

const Case kCases[] = {
    {"", "", "", ""},
    {"plain /path?x=1~", "plain /path?x=1~", "plain /path?x=1~", "plain /path?x=1~"},
    {"say \"hi\"", R"(say \"hi\")", R"(say \x22hi\x22)", "say \"hi\""},
    {"a\\b", R"(a\\b)", R"(a\x5cb)", "a\\b"},
    {"a\r\n\tb", R"(a\r\n\tb)", R"(a\x0d\x0a\x09b)", R"(a\x0d\x0a\x09b)"},
    {"\b\f", R"(\b\f)", R"(\x08\x0c)", R"(\x08\x0c)"},
    {"\0\x1b\x7f"s, R"(\u0000\u001b\u007f)", R"(\x00\x1b\x7f)", R"(\x00\x1b\x7f)"},
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", R"(gr\xc3\xbc\xc3\x9f)", "gr\xc3\xbc\xc3\x9f"},
    {"\xe2\x82\xac", "\xe2\x82\xac", R"(\xe2\x82\xac)", "\xe2\x82\xac"},
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", R"(\xf0\x9f\x98\x80)", "\xf0\x9f\x98\x80"},
    {"C1 \xc2\x9b!", R"(C1 \u009b!)", R"(C1 \xc2\x9b!)", R"(C1 \xc2\x9b!)"},
    {"\xff", R"(\ufffd)", R"(\xff)", R"(\xff)"},
    {"cut \xe2\x82", R"(cut \ufffd\ufffd)", R"(cut \xe2\x82)", R"(cut \xe2\x82)"},
    {"\xc0\xaf", R"(\ufffd\ufffd)", R"(\xc0\xaf)", R"(\xc0\xaf)"},  // overlong "/"
    {"\xe0\x80\xaf", R"(\ufffd\ufffd\ufffd)", R"(\xe0\x80\xaf)", R"(\xe0\x80\xaf)"},
    {"\xed\xa0\x80", R"(\ufffd\ufffd\ufffd)", R"(\xed\xa0\x80)", R"(\xed\xa0\x80)"},  // surrogate
    {"\xf4\x90\x80\x80", R"(\ufffd\ufffd\ufffd\ufffd)", R"(\xf4\x90\x80\x80)",
     R"(\xf4\x90\x80\x80)"},  // above U+10FFFF
};

TEST_CASE("text is escaped for its format") {
  for (const Case& row : kCases) {
    CAPTURE(row.text);
    CHECK(escaped(escape_json, row.text) == row.json);
    CHECK(escaped(escape_combined, row.text) == row.combined);
    CHECK(escaped(escape_text, row.text) == row.people);
  }
}

// The fast path works on words: a byte must be seen wherever it stands.
TEST_CASE("every byte is judged alike at every place of every length") {
  for (size_t size = 1; size <= 24; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'x');
        text[at] = static_cast<char>(byte);
        const std::string alone = escaped(escape_json, text.substr(at, 1));
        const std::string expected = std::string(at, 'x') + alone + std::string(size - at - 1, 'x');
        if (escaped(escape_json, text) != expected) {
          CAPTURE(size, at, byte);
          FAIL_CHECK("not " + expected);
        }
        const bool is_clean = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
        if ((escaped(escape_combined, text) == text) != is_clean) {
          CAPTURE(size, at, byte);
          FAIL_CHECK("combined");
        }
      }
    }
  }
}

TEST_CASE("the worst text fills its room and no more") {
  const std::string worst(1000, '\x01');
  CHECK(escaped(escape_json, worst).size() == worst.size() * kEscapedMax);
}

}  // namespace
}  // namespace weir
