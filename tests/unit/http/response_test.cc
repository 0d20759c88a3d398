#include <catch2/catch.hpp>

#include "h1_support.h"

using namespace weir::http;
using weir::http::test::Response;
using namespace std::string_literals;

TEST_CASE("an app server's answer is understood", "[http][response]") {
  const Response response(
      "HTTP/1.1 404 Not  Found here\r\nServer: x\r\nContent-Length: 12\r\n"
      "Connection: keep-alive\r\nKeep-Alive: max=100, timeout=5\r\n\r\nbody");
  REQUIRE_FALSE(response.refusal);
  CHECK(response.head.status == 404);
  CHECK(response.head.reason == "Not  Found here");
  CHECK(response.head.version == Version::kHttp11);
  CHECK(response.head.framing == Framing::kLength);
  CHECK(response.head.content_length == 12);
  CHECK(response.head.keep_alive);
  CHECK(response.head.keep_alive_timeout_s == 5);
  CHECK(response.head.headers.size() == 4);
  CHECK(response.rest == "body");
}

TEST_CASE("status lines", "[http][response]") {
  const struct {
    std::string line;
    int status;  // 0 = refused
  } rows[] = {
      {"HTTP/1.1 200 OK", 200},
      {"HTTP/1.0 200 OK", 200},
      {"HTTP/1.1 200 ", 200},
      {"HTTP/1.1 200", 200},
      {"HTTP/1.1 100 Continue", 100},
      {"HTTP/1.1 599 x", 599},
      {"HTTP/1.1 299 \xc3\xa9\tt\xc3\xa9", 299},
      {"HTTP/1.1 099 x", 0},
      {"HTTP/1.1 20 x", 0},
      {"HTTP/1.1 99 x", 0},
      {"HTTP/1.1 600 x", 0},
      {"HTTP/1.1 1000 x", 0},
      {"HTTP/1.1 2000", 0},
      {"HTTP/1.1 200OK", 0},
      {"HTTP/1.1 20x OK", 0},
      {"HTTP/1.1 -20 OK", 0},
      {"HTTP/1.1  200 OK", 0},
      {"HTTP/1.1\t200 OK", 0},
      {"HTTP/1.1", 0},
      {"HTTP/1.1 ", 0},
      {"HTTP/2.0 200 OK", 0},
      {"HTTP/0.9 200 OK", 0},
      {"HTTP/1.2 200 OK", 0},
      {"http/1.1 200 OK", 0},
      {"ICY 200 OK", 0},
      {"GET / HTTP/1.1", 0},
      {"x", 0},
  };
  for (const auto& row : rows) {
    INFO(row.line);
    const Response response(row.line + "\r\nContent-Length: 0\r\n\r\n");
    CHECK(response.refusal.status == (row.status == 0 ? 502 : 0));
    if (row.status != 0) CHECK(response.head.status == row.status);
  }
}

namespace {

struct FramingCase {
  int status;
  Method method;
  std::string fields;
  int refusal;
  Framing framing;
  uint64_t length;
  bool keeps_length;  // Content-Length is still among the fields
};

const FramingCase kFramingCases[] = {
    {200, Method::kGet, "Content-Length: 5\r\n", 0, Framing::kLength, 5, true},
    {200, Method::kGet, "Content-Length: 0\r\n", 0, Framing::kLength, 0, true},
    {200, Method::kGet, "Transfer-Encoding: chunked\r\n", 0, Framing::kChunked, 0, false},
    {200, Method::kGet, "", 0, Framing::kUntilClose, 0, false},
    {205, Method::kGet, "", 0, Framing::kUntilClose, 0, false},
    // Without a body whatever the fields say.
    {200, Method::kHead, "", 0, Framing::kNone, 0, false},
    {200, Method::kHead, "Content-Length: 5\r\n", 0, Framing::kNone, 5, true},
    {200, Method::kHead, "Transfer-Encoding: chunked\r\n", 0, Framing::kNone, 0, false},
    {304, Method::kGet, "Content-Length: 5\r\n", 0, Framing::kNone, 5, true},
    {304, Method::kGet, "Transfer-Encoding: chunked\r\n", 0, Framing::kNone, 0, false},
    {204, Method::kGet, "", 0, Framing::kNone, 0, false},
    {204, Method::kGet, "Content-Length: 5\r\n", 0, Framing::kNone, 0, false},
    {204, Method::kGet, "Transfer-Encoding: chunked\r\n", 0, Framing::kNone, 0, false},
    {100, Method::kPost, "Content-Length: 5\r\n", 0, Framing::kNone, 0, false},
    {103, Method::kGet, "Link: x\r\n", 0, Framing::kNone, 0, false},
    // Refused.
    {200, Method::kGet, "Content-Length: x\r\n", 502, {}, 0, false},
    {200, Method::kHead, "Content-Length: x\r\n", 502, {}, 0, false},
    {304, Method::kGet, "Content-Length: 3\r\nContent-Length: 4\r\n", 502, {}, 0, false},
    {200, Method::kGet, "Content-Length: 3, 3\r\n", 502, {}, 0, false},
    {200, Method::kGet, "Content-Length: 3\r\nContent-Length: 3\r\n", 502, {}, 0, false},
    {200, Method::kGet, "Content-Length: 9223372036854775808\r\n", 502, {}, 0, false},
    {200, Method::kGet, "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 502, {}, 0, false},
    {200, Method::kGet, "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 502, {}, 0, false},
    {200, Method::kHead, "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 502, {}, 0, false},
    {200, Method::kGet, "Transfer-Encoding: x\r\n", 502, {}, 0, false},
    {200, Method::kGet, "Transfer-Encoding: gzip, chunked\r\n", 502, {}, 0, false},
    {200, Method::kGet, "Transfer-Encoding: chunked, chunked\r\n", 502, {}, 0, false},
    {200, Method::kGet, "Transfer-Encoding:\r\n", 502, {}, 0, false},
};

}  // namespace

TEST_CASE("response framing", "[http][response]") {
  for (const FramingCase& row : kFramingCases) {
    CAPTURE(row.status, row.fields);
    const Response response(
        "HTTP/1.1 " + std::to_string(row.status) + " x\r\n" + row.fields + "\r\n", row.method);
    CHECK(response.complete);
    CHECK(response.refusal.status == row.refusal);
    if (row.refusal != 0) continue;
    CHECK(response.head.framing == row.framing);
    CHECK(response.head.content_length == row.length);
    CHECK(response.parser.framing() == row.framing);
    CHECK((response.head.headers.find(HeaderId::kContentLength) != nullptr) == row.keeps_length);
  }
  CHECK(Response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").refusal.status == 502);
}

TEST_CASE("persistence of an answer's connection", "[http][response]") {
  const struct {
    std::string head;
    bool keep;
  } rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n", false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n", false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n", true},
      {"HTTP/1.1 200 OK\r\n", false},
      {"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", false},
      {"HTTP/1.1 204 OK\r\n", true},
  };
  for (const auto& row : rows) {
    INFO(row.head);
    CHECK(Response(row.head + "\r\n").head.keep_alive == row.keep);
  }
}

TEST_CASE("Keep-Alive's timeout", "[http][response]") {
  const struct {
    const char* value;
    uint32_t seconds;
  } rows[] = {
      {"timeout=5", 5},  {"Timeout=5, max=7", 5}, {"max=7", 0},
      {"timeout=", 0},   {"timeout=x", 0},        {"timeout=99999999999", 86400},
      {"timeout=-1", 0}, {"xtimeout=5", 0},       {"", 0},
      {"timeout=0", 0},
  };
  for (const auto& row : rows) {
    INFO(row.value);
    const Response response("HTTP/1.1 204 No Content\r\nKeep-Alive: "s + row.value + "\r\n\r\n");
    CHECK(response.head.keep_alive_timeout_s == row.seconds);
    CHECK(response.head.keep_alive == (row.value != "timeout=0"s));
  }
}

TEST_CASE("101 names its protocol", "[http][response]") {
  const std::string fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const Response switched("HTTP/1.1 101 x\r\n" + fields);
  CHECK(switched.head.upgrade == "websocket");
  CHECK(switched.head.framing == Framing::kNone);
  CHECK(Response("HTTP/1.1 200 x\r\n" + fields).head.upgrade.empty());
  CHECK(Response("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n").head.upgrade.empty());
  CHECK(Response("HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n").head.upgrade.empty());
}

TEST_CASE("an answer's bad fields are refused, named ones dropped", "[http][response]") {
  const char* const bad[] = {": v", "X", "X : v", "X Y: v", "X: a\x01", "X: a\n b", "X: a\r\n b"};
  for (const char* const field : bad) {
    INFO(field);
    CHECK(Response("HTTP/1.1 200 OK\r\n"s + field + "\r\n\r\n").refusal.status != 0);
  }
  const Response named(
      "HTTP/1.1 200 OK\r\nX-Hop: 1\r\nConnection: x-hop, set-cookie2\r\nETag: 1\r\n\r\n");
  REQUIRE_FALSE(named.refusal);
  CHECK(named.head.headers.find("X-Hop") == nullptr);
  CHECK(named.head.headers.find("ETag") != nullptr);

  std::string many;
  for (int i = 0; i < 101; ++i) many += "X: v\r\n";
  CHECK(Response("HTTP/1.1 200 OK\r\n" + many + "\r\n").refusal.status == 502);
}
