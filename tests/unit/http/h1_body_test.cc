#include <catch2/catch.hpp>

#include <vector>

#include "h1_support.h"

using namespace weir::http;
using weir::http::test::Request;
using weir::http::test::Response;
using Body = H1Parser::Body;

namespace {

const std::string kChunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

struct Outcome {
  Body last = Body::kNeed;
  std::string body;
  std::string trailers;
  std::string reason;
  size_t taken = 0;
  size_t pieces = 0;
  friend bool operator==(const Outcome& a, const Outcome& b) {
    return a.last == b.last && a.body == b.body && a.trailers == b.trailers &&
           a.reason == b.reason && (a.last != Body::kDone || a.taken == b.taken);
  }
};

// Feeds `bytes` cut at each of `cuts` to the parser; every input dies before the next is made.
template <typename Message>
Outcome read_body(Message& message, const std::string& bytes, const std::vector<size_t>& cuts) {
  Outcome outcome;
  size_t from = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    const size_t to = i < cuts.size() ? cuts[i] : bytes.size();
    const std::string part = bytes.substr(from, to - from);
    from = to;
    std::string_view input = part;
    std::string_view piece;
    while ((outcome.last = message.parser.next(input, piece, message.trailers)) == Body::kPiece) {
      REQUIRE_FALSE(piece.empty());
      REQUIRE(piece.data() >= part.data());
      REQUIRE(piece.data() + piece.size() <= part.data() + part.size());
      outcome.body += piece;
      ++outcome.pieces;
    }
    if (outcome.last == Body::kNeed) REQUIRE(input.empty());
    outcome.taken += part.size() - input.size();
    if (outcome.last != Body::kNeed) break;
  }
  for (const Header& header : message.trailers) {
    outcome.trailers += std::string(header.name) + "=" + std::string(header.value) + ";";
  }
  outcome.reason = message.parser.error_reason();
  return outcome;
}

Outcome read_chunked(const std::string& bytes, const std::vector<size_t>& cuts = {}) {
  Request request(kChunkedHead);
  REQUIRE_FALSE(request.refusal);
  return read_body(request, bytes, cuts);
}

std::vector<size_t> every_byte(const std::string& bytes) {
  std::vector<size_t> cuts;
  for (size_t i = 1; i < bytes.size(); ++i) cuts.push_back(i);
  return cuts;
}

}  // namespace

namespace {

struct ChunkedBody {
  std::string bytes;
  Body last;
  std::string body;
  std::string trailers;
  size_t left;  // bytes of the next message
};

const ChunkedBody kChunkedBodies[] = {
    {"0\r\n\r\n", Body::kDone, "", "", 0},
    {"5\r\nhello\r\n0\r\n\r\n", Body::kDone, "hello", "", 0},
    {"5\r\nhello\r\n0\r\n\r\nGET /", Body::kDone, "hello", "", 5},
    {"1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", Body::kDone, "abcdef", "", 0},
    {"a\r\n0123456789\r\n0\r\n\r\n", Body::kDone, "0123456789", "", 0},
    {"A\r\n0123456789\r\n000\r\n\r\n", Body::kDone, "0123456789", "", 0},
    {"0000000000000001\r\na\r\n0\r\n\r\n", Body::kDone, "a", "", 0},
    {"2\r\n\r\n\r\n0\r\n\r\n", Body::kDone, "\r\n", "", 0},
    {"1;a\r\na\r\n0;b=c\r\n\r\n", Body::kDone, "a", "", 0},
    {"1 ;a=\"x;y\t\"\r\na\r\n0\t ; z\r\n\r\n", Body::kDone, "a", "", 0},
    {"1\r\na\r\n0\r\nX-Sum: 12 \r\nX-Empty:\r\n\r\n", Body::kDone, "a", "X-Sum=12;X-Empty=;", 0},
    {"0\r\nContent-Length: 5\r\nHost: b\r\nX-Ok: 1\r\nSet-Cookie: a\r\n\r\n", Body::kDone, "",
     "X-Ok=1;", 0},
    {"5\r\nhel", Body::kNeed, "hel", "", 0},
    {"5\r\nhello\r\n", Body::kNeed, "hello", "", 0},
    {"5\r\nhello\r\n0\r\n", Body::kNeed, "hello", "", 0},
    {"0\r\nX-Ok: 1\r\n", Body::kNeed, "", "X-Ok=1;", 0},
    // Broken framing.
    {"\r\n", Body::kBad, "", "", 0},
    {"x\r\n", Body::kBad, "", "", 0},
    {"0x5\r\nhello\r\n", Body::kBad, "", "", 0},
    {"-1\r\n", Body::kBad, "", "", 0},
    {"+5\r\nhello\r\n", Body::kBad, "", "", 0},
    {" 5\r\nhello\r\n", Body::kBad, "", "", 0},
    {"5 \r\nhello\r\n", Body::kBad, "", "", 0},
    {"5 5\r\nhello\r\n", Body::kBad, "", "", 0},
    {"5,\r\nhello\r\n", Body::kBad, "", "", 0},
    {";a\r\n", Body::kBad, "", "", 0},
    {"5\nhello\r\n", Body::kBad, "", "", 0},
    {"5\rhello\r\n", Body::kBad, "", "", 0},
    {"5;a\nhello\r\n", Body::kBad, "", "", 0},
    {"5;a\rb\r\nhello\r\n", Body::kBad, "", "", 0},
    {std::string("5;a\0\r\nhello\r\n", 12), Body::kBad, "", "", 0},
    {"00000000000000001\r\na\r\n", Body::kBad, "", "", 0},
    {"8000000000000000\r\na\r\n", Body::kBad, "", "", 0},
    {"10000000000000001\r\na\r\n", Body::kBad, "", "", 0},
    {"ffffffffffffffff\r\na\r\n", Body::kBad, "", "", 0},
    {"5\r\nhello!\r\n", Body::kBad, "hello", "", 0},
    {"5\r\nhello\n0\r\n\r\n", Body::kBad, "hello", "", 0},
    {"5\r\nhello\rx", Body::kBad, "hello", "", 0},
    {"5\r\nhello0\r\n\r\n", Body::kBad, "hello", "", 0},
    {"0\r\n\n", Body::kBad, "", "", 0},
    {"0\r\nX: 1\n\r\n", Body::kBad, "", "", 0},
    {"0\r\nX : 1\r\n\r\n", Body::kBad, "", "", 0},
    {"0\r\n: 1\r\n\r\n", Body::kBad, "", "", 0},
    {"0\r\nX\r\n\r\n", Body::kBad, "", "", 0},
    {"0\r\nX: a\r\n b\r\n\r\n", Body::kBad, "", "X=a;", 0},
    {"0\r\nX: a\rb\r\n\r\n", Body::kBad, "", "", 0},
    {std::string("0\r\nX: a\0b\r\n\r\n", 13), Body::kBad, "", "", 0},
};

}  // namespace

TEST_CASE("chunked bodies, whole and cut at every byte", "[http][body]") {
  for (const ChunkedBody& row : kChunkedBodies) {
    CAPTURE(row.bytes);
    const Outcome whole = read_chunked(row.bytes);
    CHECK(whole.last == row.last);
    CHECK(whole.body == row.body);
    CHECK(whole.trailers == row.trailers);
    CHECK(whole.reason.empty() == (row.last != Body::kBad));
    if (row.last == Body::kDone) CHECK(whole.taken + row.left == row.bytes.size());

    CHECK(read_chunked(row.bytes, every_byte(row.bytes)) == whole);
    for (size_t cut = 0; cut <= row.bytes.size(); ++cut) {
      CAPTURE(cut);
      CHECK(read_chunked(row.bytes, {cut}) == whole);
    }
  }
}

TEST_CASE("a large chunk is one piece and many small ones cost no bound", "[http][body]") {
  const std::string large = "10000\r\n" + std::string(65536, 'x') + "\r\n0\r\n\r\n";
  const Outcome one = read_chunked(large);
  CHECK(one.last == Body::kDone);
  CHECK(one.pieces == 1);
  CHECK(one.body.size() == 65536);

  std::string small;
  for (int i = 0; i < 50000; ++i) small += "1\r\nx\r\n";
  const Outcome many = read_chunked(small + "0\r\n\r\n");
  CHECK(many.last == Body::kDone);
  CHECK(many.body.size() == 50000);
}

TEST_CASE("chunk overhead is bounded per line and over a body", "[http][body]") {
  const auto line = [](size_t size) { return "1;" + std::string(size - 4, 'e') + "\r\n"; };
  CHECK(read_chunked(line(4096) + "x\r\n0\r\n\r\n").last == Body::kDone);
  CHECK(read_chunked(line(4097) + "x\r\n0\r\n\r\n").reason == "chunk_overhead");
  CHECK(read_chunked("1;" + std::string(8192, 'e')).reason == "chunk_overhead");

  std::string body;
  for (int i = 0; i < 50; ++i) body += line(1000) + "x\r\n";
  CHECK(read_chunked(body + "0\r\n\r\n").reason == "chunk_overhead");
  // The same lines in front of bodies that are worth them.
  std::string fair;
  for (int i = 0; i < 50; ++i) {
    fair += "3e8;" + std::string(994, 'e') + "\r\n" + std::string(1000, 'x') + "\r\n";
  }
  CHECK(read_chunked(fair + "0\r\n\r\n").last == Body::kDone);
}

TEST_CASE("trailers are bounded in bytes and number", "[http][body]") {
  HeadLimits limits;
  limits.header_size_bytes = 1000;
  limits.headers = 3;
  const auto read = [&limits](const std::string& trailers) {
    Request request(kChunkedHead, limits);
    REQUIRE_FALSE(request.refusal);
    const std::string bytes = "0\r\n" + trailers + "\r\n";
    const Outcome whole = read_body(request, bytes, {});
    Request again(kChunkedHead, limits);
    CHECK(read_body(again, bytes, every_byte(bytes)) == whole);
    return whole;
  };
  CHECK(read("A: 1\r\nB: 2\r\nC: 3\r\n").trailers == "A=1;B=2;C=3;");
  CHECK(read("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n").reason == "trailers_too_many");
  // Dropped ones count too.
  CHECK(read("Host: 1\r\nHost: 2\r\nHost: 3\r\nD: 4\r\n").reason == "trailers_too_many");
  CHECK(read("A: " + std::string(900, 'x') + "\r\n").last == Body::kDone);
  CHECK(read("A: " + std::string(1000, 'x') + "\r\n").reason == "trailers_too_large");
}

TEST_CASE("trailers that may be passed on", "[http][body]") {
  const char* const allowed[] = {"X-Checksum", "Digest", "Server-Timing", "grpc-status",
                                 "ETag",       "Server", "Trace-Id"};
  const char* const forbidden[] = {"Transfer-Encoding",
                                   "content-length",
                                   "Host",
                                   "Trailer",
                                   "Connection",
                                   "Keep-Alive",
                                   "TE",
                                   "Upgrade",
                                   "Proxy",
                                   "Proxy-Authorization",
                                   "Authorization",
                                   "Cookie",
                                   "Set-Cookie",
                                   "Content-Type",
                                   "Content-Encoding",
                                   "Content-Range",
                                   "Cache-Control",
                                   "Expect",
                                   "Max-Forwards",
                                   "Range",
                                   "If-Match",
                                   "Date",
                                   "Location",
                                   "Vary",
                                   "Age",
                                   "Expires",
                                   "WWW-Authenticate",
                                   "X-Forwarded-For",
                                   "Forwarded",
                                   "X-Real-IP",
                                   "Via",
                                   "X_Forwarded_For",
                                   "Content_Length"};
  for (const char* const name : allowed) {
    INFO(name);
    CHECK(trailer_allowed({name, "v", classify(name)}));
  }
  for (const char* const name : forbidden) {
    INFO(name);
    CHECK_FALSE(trailer_allowed({name, "v", classify(name)}));
  }
}

TEST_CASE("bodies with a length", "[http][body]") {
  for (size_t cut = 0; cut <= 8; ++cut) {
    Request request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    REQUIRE_FALSE(request.refusal);
    CHECK_FALSE(request.parser.finish_on_close());
    CHECK(request.parser.body_left() == 5);
    const Outcome outcome = read_body(request, "helloGET", {cut});
    CHECK(outcome.last == Body::kDone);
    CHECK(outcome.body == "hello");
    CHECK(outcome.taken == 5);
    CHECK(request.parser.body_left() == 0);
    CHECK(request.parser.finish_on_close());
  }
  Request part("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  CHECK(read_body(part, "hel", {}).last == Body::kNeed);
  CHECK(part.parser.body_left() == 2);
  CHECK_FALSE(part.parser.finish_on_close());

  Request empty("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  CHECK(read_body(empty, "GET", {}).last == Body::kDone);
  CHECK(read_body(empty, "GET", {}).taken == 0);
}

TEST_CASE("no body, and bodies until the end of the connection", "[http][body]") {
  Request none("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const Outcome nothing = read_body(none, "GET /", {});
  CHECK(nothing.last == Body::kDone);
  CHECK(nothing.taken == 0);
  CHECK(none.parser.finish_on_close());

  Response open("HTTP/1.1 200 OK\r\n\r\n");
  const Outcome all = read_body(open, "HTTP/1.1 200 OK", {4});
  CHECK(all.last == Body::kNeed);
  CHECK(all.body == "HTTP/1.1 200 OK");
  CHECK(open.parser.finish_on_close());
}

TEST_CASE("closing inside a chunked body is never a clean end", "[http][body]") {
  const std::string bytes = "5\r\nhello\r\n0\r\nX: 1\r\n\r\n";
  for (size_t size = 0; size <= bytes.size(); ++size) {
    Request request(kChunkedHead);
    read_body(request, bytes.substr(0, size), {});
    CHECK(request.parser.finish_on_close() == (size == bytes.size()));
  }
  Request bad(kChunkedHead);
  read_body(bad, "x", {});
  CHECK_FALSE(bad.parser.finish_on_close());
  CHECK(read_body(bad, "5\r\nhello\r\n", {}).last == Body::kBad);
}
