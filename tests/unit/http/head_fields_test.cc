#include <catch2/catch.hpp>
#include <string>

#include "h1_support.h"
#include "http/h1_grammar.h"
#include "http/head_fields.h"

using namespace weir;
using namespace weir::http;
using weir::http::test::pool;

namespace {

constexpr uint32_t kFieldsMax = 5;

std::string text_of(const HeaderList& headers) {
  std::string text;
  for (const Header& header : headers) {
    text += std::string(header.name) + "|" + std::string(header.value) + "|" +
            std::to_string(static_cast<int>(header.id)) + "\n";
  }
  return text;
}

// Of a complete head with these lines: what both readers find, or "" where only llhttp is asked.
std::string split(const std::string& lines, bool request = true) {
  const std::string start = request ? "GET /a HTTP/1.1" : "HTTP/1.1 200 OK";
  const std::string head = start + "\r\n" + lines + "\r\n";
  INFO(lines);
  REQUIRE(scan_head(head, 0, request, {}).end == head.size());
  Arena arena(pool());
  HeaderList found(arena);
  if (!split_fields(head, start.size(), found, kFieldsMax)) return {};
  HeaderList parsed(arena);
  CHECK_FALSE(parse_fields(head, request, parsed, kFieldsMax));
  CHECK(text_of(found) == text_of(parsed));
  return "found\n" + text_of(found);
}

std::string field(std::string_view name, std::string_view value) {
  return std::string(name) + "|" + std::string(value) + "|" +
         std::to_string(static_cast<int>(classify(name))) + "\n";
}

}  // namespace

TEST_CASE("plain fields are split as llhttp does", "[http][fields]") {
  for (const bool request : {true, false}) {
    CHECK(split("", request) == "found\n");
    CHECK(split("Host: a\r\naccept:*/*\r\n", request) ==
          "found\n" + field("Host", "a") + field("accept", "*/*"));
    CHECK(split("A:\r\nB: \r\nC:  \t x \t y\t \r\n", request) ==
          "found\n" + field("A", "") + field("B", "") + field("C", "x \t y"));
    CHECK(split("A: b:c: d\r\nX: \x80\xff\r\n", request) ==
          "found\n" + field("A", "b:c: d") + field("X", "\x80\xff"));
    CHECK(split("Transfer-Encoding: Chunked\r\n", request) ==
          "found\n" + field("Transfer-Encoding", "Chunked"));
    CHECK(split("content-length: 123456789012345678\r\n", request) ==
          "found\n" + field("content-length", "123456789012345678"));
  }
  // Names of all lengths, some with each kind of byte, before and behind the 16 that are read at
  // once.
  for (size_t size = 1; size < 40; ++size) {
    for (const char odd : std::string("aZ09-_!#$%&'*+.^`|~")) {
      std::string name(size, 'n');
      name[size / 2] = odd;
      CHECK(split(name + ": v\r\n") == "found\n" + field(name, "v"));
    }
  }
}

TEST_CASE("what is not plain is left to llhttp", "[http][fields]") {
  for (const bool request : {true, false}) {
    for (const char* const lines : {": v\r\n",
                                    "A\r\n",
                                    "A : v\r\n",
                                    "A(: v\r\n",
                                    "A\"b: v\r\n",
                                    "A\x80: v\r\n",
                                    "A: 1\r\nB\r\nC: 1\r\n",
                                    "Content-Length: 3\r\nContent-Length: 3\r\n",
                                    "Content-Length: 3, 3\r\n",
                                    "Content-Length: +3\r\n",
                                    "Content-Length:\r\n",
                                    "Content-Length: 3\t\r\n",
                                    "Content-Length: 3 \t\r\n",
                                    "Content-Length:  3\r\n",
                                    "Content-Length: 3 3\r\n",
                                    "Content-Length: 1234567890123456789\r\n",
                                    "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                                    "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                                    "Transfer-Encoding: gzip\r\n",
                                    "Transfer-Encoding: gzip, chunked\r\n",
                                    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                                    "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\n"}) {
      CHECK(split(lines, request).empty());
    }
  }
}

TEST_CASE("a head that is not whole is never split", "[http][fields]") {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n";
  Arena arena(pool());
  HeaderList found(arena);
  for (size_t size = 0; size < head.size(); ++size) {
    // In memory of its own, so that reading on is seen by the sanitizer.
    const std::string part = head.substr(0, size);
    CHECK_FALSE(split_fields(part, 14, found, kFieldsMax));
  }
  CHECK(split_fields(head, 14, found, kFieldsMax) == head.size());
  CHECK(split_fields(head + "x", 14, found, kFieldsMax) == 0);
}

TEST_CASE("of several heads the first is split", "[http][fields]") {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  Arena arena(pool());
  HeaderList found(arena);
  for (const std::string more : {"\r\n", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", " \n\r\n\r\n"}) {
    CHECK(split_fields(head + more, 14, found, kFieldsMax) == head.size());
    CHECK(found.size() == 1);
  }
  // A line that begins with a CR is the last or none.
  CHECK(split_fields("GET / HTTP/1.1\r\n\rHost: a\r\n\r\n", 14, found, kFieldsMax) == 0);
  CHECK(split_fields("GET / HTTP/1.1\rHost: a\r\n\r\n", 14, found, kFieldsMax) == 0);
  CHECK(split_fields("GET / HTTP/1.1\nHost: a\r\n\r\n", 14, found, kFieldsMax) == 0);
}

TEST_CASE("only what stands as it would be written is a line", "[http][fields]") {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nB:  c\r\nC: d \r\nD: e\tf\r\n\r\n";
  Arena arena(pool());
  HeaderList found(arena);
  REQUIRE(split_fields(head, 14, found, kFieldsMax));
  std::vector<std::string> lines;
  for (const Header& header : found) lines.emplace_back(header.line());
  CHECK(lines == std::vector<std::string>{"Host: a\r\n", "", "", "", "D: e\tf\r\n"});
  HeaderList copies(arena);
  copies.copy_from(found);
  CHECK(copies.begin()->line() == "Host: a\r\n");
  HeaderList others(arena);
  others.add(*found.begin());  // of which nothing is known but its parts
  CHECK(others.begin()->line().empty());
}

TEST_CASE("a start line that each method's grammar reads alike", "[http][fields]") {
  const auto plain = [](std::string_view method, std::string_view target) {
    Arena arena(pool());
    RequestHead head(arena);
    head.method = parse_method(method);
    head.target = target;
    return is_plain_start(head);
  };
  CHECK(plain("GET", "/"));
  CHECK(plain("POST", "/a?b=c/../%zz"));
  for (const char* const target : {"", "*", "http://a/", "a", "/a#b", "/\x80", "/ "}) {
    CHECK_FALSE(plain("GET", target));
  }
  CHECK_FALSE(plain("CONNECT", "/a"));
  CHECK_FALSE(plain("PROPFIND", "/a"));
}
