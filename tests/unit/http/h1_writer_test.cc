#include <catch2/catch.hpp>

#include "h1_support.h"
#include "http/h1_writer.h"

using namespace weir;
using namespace weir::http;
using weir::http::test::pool;
using weir::http::test::Request;
using weir::http::test::Response;
using weir::http::test::text_of;

namespace {

std::string written(const RequestHead& head, std::string_view host, uint64_t skip = 0,
                    const ExtraField* extras = nullptr, size_t count = 0,
                    std::string_view upgrade = {}, size_t* dropped = nullptr) {
  Buffer out(pool());
  const size_t left_out = write_request_head(head, host, skip, extras, count, upgrade, out);
  if (dropped != nullptr) *dropped = left_out;
  return text_of(out);
}

std::string written(const ResponseHead& head, const ResponseFraming& framing,
                    std::string_view date = {}, const ExtraField* extras = nullptr,
                    size_t count = 0, std::string_view upgrade = {}) {
  Buffer out(pool());
  CHECK(write_response_head(head, framing, date, extras, count, upgrade, out) == 0);
  return text_of(out);
}

constexpr std::string_view kDate = "Sun, 06 Nov 1994 08:49:37 GMT";

}  // namespace

TEST_CASE("a request goes on without what ends at this hop", "[http][writer]") {
  const Request request(
      "POST /a?b HTTP/1.1\r\nHost: old\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n"
      "Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nProxy: http://evil\r\nUpgrade: h2c\r\n"
      "HTTP2-Settings: AA\r\nTrailer: X\r\nProxy-Authorization: x\r\nExpect: 100-continue\r\n"
      "X-Forwarded-For: 6.6.6.6\r\nVia: 1.0 before\r\nContent-Length: 007\r\nAccept:  */*\r\n\r\n");
  REQUIRE_FALSE(request.refusal);
  const ExtraField extras[] = {{"X-Forwarded-For", "192.0.2.1"}, {"Via", "1.1 weir"}};
  CHECK(written(request.head, "new:80", bit(HeaderId::kXForwardedFor), extras, 2) ==
        "POST /a?b HTTP/1.1\r\nHost: new:80\r\nVia: 1.0 before\r\nAccept: */*\r\n"
        "X-Forwarded-For: 192.0.2.1\r\nVia: 1.1 weir\r\nContent-Length: 7\r\n\r\n");
}

TEST_CASE("a request's framing is the writer's", "[http][writer]") {
  const Request chunked("PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\n\r\n");
  CHECK(written(chunked.head, "a") ==
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const Request empty("PUT / HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
  CHECK(written(empty.head, "a") == "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  const Request none("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(written(none.head, "a") == "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_CASE("an upgrade request carries Connection and Upgrade once", "[http][writer]") {
  const Request request(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\n\r\n");
  CHECK(written(request.head, "a", 0, nullptr, 0, request.head.upgrade) ==
        "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\n\r\n");
}

TEST_CASE("answers by framing", "[http][writer]") {
  const Response response(
      "HTTP/1.0 200 Fine\r\nConnection: close\r\nContent-Length: 3\r\nETag: \"x\"\r\nVia: 1.1 "
      "b\r\n\r\n");
  REQUIRE_FALSE(response.refusal);
  const std::string start = "HTTP/1.1 200 Fine\r\nETag: \"x\"\r\nVia: 1.1 b\r\n";
  const auto framed = [&](const ResponseFraming& framing) {
    const std::string text = written(response.head, framing);
    CHECK(text.substr(0, start.size()) == start);
    return text.substr(start.size());
  };
  CHECK(framed({Framing::kLength, 12, false, false, false}) == "Content-Length: 12\r\n\r\n");
  CHECK(framed({Framing::kChunked, 0, false, false, false}) ==
        "Transfer-Encoding: chunked\r\n\r\n");
  CHECK(framed({Framing::kNone, 0, false, false, false}) == "\r\n");
  CHECK(framed({Framing::kUntilClose, 0, false, true, false}) == "Connection: close\r\n\r\n");
  CHECK(framed({Framing::kLength, 0, false, false, true}) ==
        "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(framed({Framing::kLength, 0, false, true, true}) ==
        "Content-Length: 0\r\nConnection: close\r\n\r\n");
  CHECK(written(response.head, {Framing::kNone, 0, true, false, false}) ==
        "HTTP/1.1 200 Fine\r\nContent-Length: 3\r\nETag: \"x\"\r\nVia: 1.1 b\r\n\r\n");
}

TEST_CASE("Date is added only where there is none, the reason where it is empty",
          "[http][writer]") {
  const Response without("HTTP/1.1 404 \r\n\r\n");
  const ExtraField via[] = {{"Via", "1.1 weir"}};
  CHECK(written(without.head, {}, kDate, via, 1) ==
        "HTTP/1.1 404 Not Found\r\nVia: 1.1 weir\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
  const Response with("HTTP/1.1 200 OK\r\ndate: x\r\n\r\n");
  CHECK(written(with.head, {}, kDate) == "HTTP/1.1 200 OK\r\ndate: x\r\n\r\n");
  CHECK(written(without.head, {}) == "HTTP/1.1 404 Not Found\r\n\r\n");
  const Response odd("HTTP/1.1 299\r\n\r\n");
  CHECK(written(odd.head, {}) == "HTTP/1.1 299 Unknown\r\n\r\n");
}

TEST_CASE("101 carries its protocol", "[http][writer]") {
  const Response response("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
  CHECK(written(response.head, {Framing::kNone, 0, false, true, false}, {}, nullptr, 0,
                response.head.upgrade) ==
        "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST_CASE("no field can break a line, whoever put it there", "[http][writer]") {
  Arena arena(pool());
  RequestHead head(arena);
  head.method_text = "GET";
  head.target = "/";
  head.headers.add("Good", "tab\there");
  const std::string_view breaks[] = {"a\r\nX: b", "a\n",  "\r",  std::string_view("a\0b", 3),
                                     "a\x01",     "\x1f", "\x7f"};
  for (const std::string_view value : breaks) head.headers.add("Bad", value);
  head.headers.add("Bad\r\nX: y", "v");
  head.headers.add("", "v");
  const ExtraField extras[] = {{"Extra", "x\ny"}, {"Fine", "z"}};
  size_t dropped = 0;
  CHECK(written(head, "a", 0, extras, 2, {}, &dropped) ==
        "GET / HTTP/1.1\r\nHost: a\r\nGood: tab\there\r\nFine: z\r\n\r\n");
  CHECK(dropped == 10);

  // What would continue the line before, or be no field at all.
  for (const char* const name : {"", " x", "\tx", ":"}) {
    head.headers.clear();
    head.headers.add("Good", "a");
    head.headers.add(name, "v");
    CHECK(written(head, "a", 0, nullptr, 0, {}, &dropped) ==
          "GET / HTTP/1.1\r\nHost: a\r\nGood: a\r\n\r\n");
    CHECK(dropped == 1);
  }

  head.headers.clear();
  head.target = "/a\r\nX: y";
  CHECK(written(head, "h\r\n", 0) == "GET /a__X: y HTTP/1.1\r\nHost: h__\r\n\r\n");
}

TEST_CASE("lines go on as they were read, in rows, and are checked no more", "[http][writer]") {
  const Request request(
      "GET / HTTP/1.1\r\nA: 1\r\nB: tab\there\r\nHost: x\r\nC:2\r\nD: 3\r\nE: 4 \r\nF: "
      "5\r\n\r\n");
  REQUIRE_FALSE(request.refusal);
  const ExtraField extras[] = {{"Extra", "6"}};
  const std::string good =
      "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: tab\there\r\nC: 2\r\nD: 3\r\nE: 4\r\nF: 5\r\n";
  CHECK(written(request.head, "a", 0, extras, 1) == good + "Extra: 6\r\n\r\n");
  // One bad field takes the slow way, with the rest.
  const ExtraField bad[] = {{"Bad", "x\ny"}, {"Extra", "6"}};
  size_t dropped = 0;
  CHECK(written(request.head, "a", 0, bad, 2, {}, &dropped) == good + "Extra: 6\r\n\r\n");
  CHECK(dropped == 1);
}

TEST_CASE("a head over a block's size is written whole", "[http][writer]") {
  HeadLimits limits;
  limits.header_size_bytes = 100'000;
  std::string fields = "Host: a\r\n";
  for (int i = 0; i < 60; ++i) {
    fields += "X-" + std::to_string(i) + ": " + std::string(1000, 'v') + "\r\n";
  }
  const std::string text = "GET / HTTP/1.1\r\n" + fields + "\r\n";
  const Request request(text, limits);
  REQUIRE_FALSE(request.refusal);
  CHECK(written(request.head, "a") == text);

  // Right at the border between one block and two.
  for (size_t size = Block::capacity() - 60; size < Block::capacity() + 8; ++size) {
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    const std::string edge = start + std::string(size - start.size() - 4, 'v') + "\r\n\r\n";
    const Request one(edge, limits);
    REQUIRE_FALSE(one.refusal);
    CHECK(written(one.head, "a") == edge);
  }
}

TEST_CASE("writing appends", "[http][writer]") {
  const Request request("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  Buffer out(pool());
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    write_request_head(request.head, "a", 0, nullptr, 0, {}, out);
    expected += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  REQUIRE(out.size() == expected.size());
  CHECK(text_of(out) == expected);
}

TEST_CASE("chunk sizes and the last chunk", "[http][writer]") {
  const struct {
    uint64_t bytes;
    const char* text;
  } rows[] = {
      {0, "0\r\n"},    {1, "1\r\n"},     {15, "f\r\n"},        {16, "10\r\n"},
      {255, "ff\r\n"}, {256, "100\r\n"}, {65536, "10000\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"},
  };
  for (const auto& row : rows) {
    char text[18];
    CHECK(std::string_view(text, format_chunk_size(row.bytes, text)) == row.text);
  }
  Buffer out(pool());
  CHECK(write_last_chunk(nullptr, out) == 0);
  CHECK(text_of(out) == "0\r\n\r\n");

  Arena arena(pool());
  HeaderList trailers(arena);
  trailers.add("X-Sum", "1");
  trailers.add("X-Bad", "a\r\nb");
  Buffer with(pool());
  CHECK(write_last_chunk(&trailers, with) == 1);
  CHECK(text_of(with) == "0\r\nX-Sum: 1\r\n\r\n");
}
