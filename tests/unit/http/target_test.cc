#include <catch2/catch.hpp>

#include <string>

#include "base/arena.h"
#include "http/rules.h"

using namespace weir;
using namespace weir::http;

TEST_CASE("is_valid_host", "[http][rules]") {
  const char* const valid[] = {
      "example.com",
      "EXAMPLE.com.",
      "a",
      "a-b_c~d",
      "localhost:8080",
      "10.0.0.1",
      "10.0.0.1:80",
      "[::1]",
      "[::1]:443",
      "[2001:db8::8:800:200c:417a]:65535",
      "xn--bcher-kva.example",
      "a%2db",
      "1",
      "example.com:1",
  };
  const char* const invalid[] = {
      "",
      ":",
      ":80",
      "a:",
      "a:0",
      "a:65536",
      "a:080000",
      "a:8x",
      "a:-1",
      "a: 80",
      "a b",
      "a/b",
      "a?b",
      "a#b",
      "user@a",
      "a\\b",
      "a,b",
      "<a>",
      "a\"",
      "a..b",
      ".a",
      ".",
      "a%2",
      "a%zz",
      "[::1",
      "::1",
      "[]",
      "[1.2.3.4]",
      "[::1]x",
      "[::1]:",
      "[::g]",
      "[fe80::1%25eth0]",
      "b\xc3\xbc"
      "cher",
      "a:80:90",
      "a|b",
      "a^b",
      "{a}",
      "a\tb",
  };
  for (const char* const host : valid) {
    INFO(host);
    CHECK(is_valid_host(host));
  }
  for (const char* const host : invalid) {
    INFO(host);
    CHECK_FALSE(is_valid_host(host));
  }
  CHECK(is_valid_host(std::string(255, 'a')));
  CHECK_FALSE(is_valid_host(std::string(256, 'a')));
  CHECK_FALSE(is_valid_host(std::string_view("a\0b", 3)));
}

TEST_CASE("host_of", "[http][rules]") {
  BlockPool pool;
  Arena arena(pool);
  CHECK(host_of("Example.COM:443", arena) == "example.com");
  CHECK(host_of("example.com.", arena) == "example.com");
  CHECK(host_of("example.com.:80", arena) == "example.com");
  CHECK(host_of("[2001:DB8::1]:80", arena) == "[2001:db8::1]");
  CHECK(host_of("[2001:DB8:0:0::0:1]", arena) == "[2001:db8::1]");
  CHECK(host_of("[::ffff:1.2.3.4]", arena) == "[::ffff:1.2.3.4]");
  CHECK(host_of("", arena) == "");
  const std::string_view lower = "a.b";
  CHECK(host_of(lower, arena).data() == lower.data());
}

namespace {

struct PathCase {
  const char* path;
  bool merge;
  const char* normal;  // "" = refused
};

const PathCase kPaths[] = {
    {"/", false, "/"},
    {"/a/b", false, "/a/b"},
    {"/a/b/", false, "/a/b/"},
    {"/a.b/c..d/.e", false, "/a.b/c..d/.e"},
    {"/...", false, "/..."},
    {"/.", false, "/"},
    {"/./", false, "/"},
    {"/./a", false, "/a"},
    {"/a/.", false, "/a/"},
    {"/a/..", false, "/"},
    {"/a/../", false, "/"},
    {"/a/b/../c", false, "/a/c"},
    {"/a/b/../../c", false, "/c"},
    {"/a/./b/./c", false, "/a/b/c"},
    {"/%61/%7e%2D%5F%2e", false, "/a/~-_."},
    {"/%2e/a", false, "/a"},
    {"/a/%2E%2e/b", false, "/b"},
    {"/a/.%2e/b", false, "/b"},
    {"/%2f", false, "/%2F"},
    {"/a%2Fb", false, "/a%2Fb"},
    {"/%e4%bd%a0", false, "/%E4%BD%A0"},
    {"/%25", false, "/%25"},
    {"/%252e%252e/a", false, "/%252e%252e/a"},
    {"//a//b", false, "//a//b"},
    {"//a//b", true, "/a/b"},
    {"/a///", true, "/a/"},
    {"//", true, "/"},
    {"/a//../b", false, "/a/b"},
    {"/a//../b", true, "/b"},
    {"//..//a", true, ""},
    {"//../a", false, "/a"},
    {"/a\\b", false, "/a\\b"},
    {"/a;b=1/c", false, "/a;b=1/c"},
    {"*", false, "*"},
    // Climbing above the root, seen or hidden.
    {"/..", false, ""},
    {"/../a", false, ""},
    {"/a/../../b", false, ""},
    {"/%2e%2e/a", false, ""},
    {"/a/..%2fb", false, ""},
    {"/a/..%5cb", false, ""},
    {"/a/..\\b", false, ""},
    {"/a/b%2f..", false, ""},
    {"/a/b%2F%2e%2e%2Fc", false, ""},
    {"/a\\..\\b", false, ""},
    {"/a/..;/b", false, ""},
    {"/a/..;x=1/b", false, ""},
    // Broken escapes and NUL.
    {"/%", false, ""},
    {"/%4", false, ""},
    {"/%zz", false, ""},
    {"/%4/a", false, ""},
    {"/a%00b", false, ""},
};

}  // namespace

TEST_CASE("normalise_path", "[http][rules]") {
  BlockPool pool;
  Arena arena(pool);
  for (const PathCase& row : kPaths) {
    INFO(row.path);
    const std::string_view path = row.path;
    const std::string_view normal = normalise_path(path, row.merge, arena);
    CHECK(normal == row.normal);
    if (normal == path) CHECK(normal.data() == path.data());
    // Normal paths are fixed points.
    if (!normal.empty()) CHECK(normalise_path(normal, row.merge, arena) == normal);
  }
}

TEST_CASE("tokens, values and targets by byte", "[http][rules]") {
  const std::string_view token_marks = "!#$%&'*+-.^_`|~";
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    CAPTURE(i);
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool mark = c != '\0' && token_marks.find(c) != std::string_view::npos;
    // Long enough to take the 16-byte way, and at both ends of it.
    for (const size_t at : {size_t{0}, size_t{9}, size_t{15}, size_t{16}, size_t{19}}) {
      std::string text(20, 'a');
      text[at] = c;
      CHECK(is_token(text) == (alnum || mark));
      CHECK(is_field_value(text) == ((i >= 0x20 && i != 0x7f) || c == '\t'));
      CHECK(is_request_target(text) == (i > 0x20 && i < 0x7f && c != '#'));
    }
  }
  CHECK_FALSE(is_token(""));
  CHECK(is_field_value(""));
  CHECK_FALSE(is_request_target(""));
}
