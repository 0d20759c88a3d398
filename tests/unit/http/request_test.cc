#include <catch2/catch.hpp>

#include "h1_support.h"
#include "http/chars.h"

using namespace weir::http;
using weir::http::test::Request;
using namespace std::string_literals;

namespace {

// `head` without its last CRLF and without the empty line.
std::string with_host(const std::string& fields) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

int status_of(const std::string& bytes) {
  const Request request(bytes);
  if (!request.refusal) CHECK(request.complete);
  return request.refusal.status;
}

std::string names_of(const HeaderList& headers) {
  std::string names;
  for (const Header& header : headers) names += std::string(header.name) + " ";
  return names;
}

}  // namespace

TEST_CASE("a browser's request is understood", "[http][request]") {
  const Request request(
      "GET /items?page=3&q=a?b HTTP/1.1\r\n"
      "Host: Shop.Example.com:8443\r\n"
      "Connection: keep-alive\r\n"
      "User-Agent: \t Mozilla/5.0 (X11) \t\r\n"
      "X-Empty:\r\n"
      "X-Blank:   \r\n"
      "accept:text/html\r\n"
      "Cookie: a=1; b=2\r\n\r\nrest");
  REQUIRE_FALSE(request.refusal);
  const RequestHead& head = request.head;
  CHECK(head.method == Method::kGet);
  CHECK(head.method_text == "GET");
  CHECK(head.version == Version::kHttp11);
  CHECK(head.target == "/items?page=3&q=a?b");
  CHECK(head.path == "/items");
  CHECK(head.query == "page=3&q=a?b");
  CHECK(head.authority == "Shop.Example.com:8443");
  CHECK(head.host == "shop.example.com");
  CHECK(head.framing == Framing::kNone);
  CHECK(head.keep_alive);
  CHECK(head.upgrade.empty());
  CHECK(names_of(head.headers) == "Host Connection User-Agent X-Empty X-Blank accept Cookie ");
  CHECK(head.headers.find(HeaderId::kUserAgent)->value == "Mozilla/5.0 (X11)");
  CHECK(head.headers.find("X-Empty")->value.empty());
  CHECK(head.headers.find("X-Blank")->value.empty());
  CHECK(head.headers.find(HeaderId::kAccept)->value == "text/html");
  CHECK(request.rest == "rest");
}

namespace {

struct RequestLine {
  std::string line;
  int status;
};

const RequestLine kRequestLines[] = {
    {"GET / HTTP/1.1", 0},
    {"GET / HTTP/1.0", 0},
    {"OPTIONS * HTTP/1.1", 0},
    {"PROPFIND / HTTP/1.1", 0},
    {"M-SEARCH / HTTP/1.1", 0},
    {"PURGE / HTTP/1.1", 0},
    {"GET /a|b^c`{}\"<>\\ HTTP/1.1", 0},
    {"CONNECT a:443 HTTP/1.1", 0},
    {"CONNECT [::1]:443 HTTP/1.1", 0},
    {"GET http://a/x HTTP/1.1", 0},
    {"GET HTTPS://A HTTP/1.1", 0},
    // The shape of the line.
    {"GET  / HTTP/1.1", 400},
    {"GET /  HTTP/1.1", 400},
    {"GET / HTTP/1.1 ", 400},
    {" GET / HTTP/1.1", 400},
    {"GET\t/ HTTP/1.1", 400},
    {"GET /\tHTTP/1.1", 400},
    {"GET /a b HTTP/1.1", 400},
    {"GET /", 400},
    {"GET", 400},
    {"GET / http/1.1", 400},
    {"GET / HTTP/1", 400},
    {"GET / HTTP/11", 400},
    {"GET / HTTP/1.10", 400},
    {"GET / HTTP/1.x", 400},
    {"GET / HTPT/1.1", 400},
    {"G(T / HTTP/1.1", 400},
    {"G\x80T / HTTP/1.1", 400},
    // Versions.
    {"GET / HTTP/2.0", 505},
    {"GET / HTTP/0.9", 505},
    {"GET / HTTP/1.2", 505},
    {"GET / HTTP/3.0", 505},
    {"PRI * HTTP/2.0", 505},
    // Methods.
    {"QUERY / HTTP/1.1", 501},
    {"get / HTTP/1.1", 501},
    {"GETX / HTTP/1.1", 501},
    {"FOO / HTTP/1.1", 501},
    {"DESCRIBE / HTTP/1.1", 501},
    {"X!#$%&'*+-.^_`|~ / HTTP/1.1", 501},
    // Targets.
    {"GET * HTTP/1.1", 400},
    {"GET a HTTP/1.1", 400},
    {"GET a:443 HTTP/1.1", 400},
    {"GET ?x HTTP/1.1", 400},
    {"GET /a#b HTTP/1.1", 400},
    {"GET /\x80 HTTP/1.1", 400},
    {"GET /b\xc3\xbc HTTP/1.1", 400},
    {"GET ftp://a/ HTTP/1.1", 400},
    {"GET http:// HTTP/1.1", 400},
    {"GET http:///x HTTP/1.1", 400},
    {"GET http:/a HTTP/1.1", 400},
    {"GET http://user@a/ HTTP/1.1", 400},
    {"GET http://user:pass@a/ HTTP/1.1", 400},
    {"GET http://b/ HTTP/1.1", 400},
    {"GET http://a:80/ HTTP/1.1", 400},
    {"GET //a@b HTTP/1.1", 0},
    {"CONNECT a HTTP/1.1", 400},
    {"CONNECT [::1] HTTP/1.1", 400},
    {"CONNECT /x HTTP/1.1", 400},
    {"CONNECT http://a/ HTTP/1.1", 400},
    {"CONNECT user@a:443 HTTP/1.1", 400},
    {"OPTIONS ** HTTP/1.1", 400},
};

}  // namespace

TEST_CASE("request lines", "[http][request]") {
  for (const RequestLine& row : kRequestLines) {
    INFO(row.line);
    CHECK(status_of(row.line + "\r\nHost: a\r\n\r\n") == row.status);
  }
  CHECK(status_of("GET /" + std::string(8191, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
  CHECK(status_of("GET /" + std::string(8192, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 414);
}

TEST_CASE("absolute-form becomes origin-form", "[http][request]") {
  const struct {
    const char* method;
    const char* target;
    const char* becomes;
    const char* path;
    const char* query;
  } rows[] = {
      {"GET", "http://a:81/p?q", "/p?q", "/p", "q"},
      {"GET", "http://a:81", "/", "/", ""},
      {"GET", "HTTPS://a:81/", "/", "/", ""},
      {"GET", "http://a:81?x=http://b/", "/?x=http://b/", "/", "x=http://b/"},
      {"OPTIONS", "http://a:81", "*", "*", ""},
      {"OPTIONS", "*", "*", "*", ""},
      {"GET", "/http://b/", "/http://b/", "/http://b/", ""},
      {"GET", "/?", "/?", "/", ""},
      {"CONNECT", "a:81", "a:81", "", ""},
  };
  for (const auto& row : rows) {
    INFO(row.target);
    const Request request(std::string(row.method) + " " + row.target +
                          " HTTP/1.1\r\nHost: a:81\r\n\r\n");
    REQUIRE_FALSE(request.refusal);
    CHECK(request.head.target == row.becomes);
    CHECK(request.head.path == row.path);
    CHECK(request.head.query == row.query);
    CHECK(request.head.authority == "a:81");
    CHECK(request.head.host == "a");
  }
  CHECK_FALSE(Request("GET http://A:81/ HTTP/1.1\r\nHost: a:81\r\n\r\n").refusal);
  const Request old("GET http://B:82/p HTTP/1.0\r\n\r\n");
  REQUIRE_FALSE(old.refusal);
  CHECK(old.head.authority == "B:82");
  CHECK(old.head.host == "b");
}

TEST_CASE("Host", "[http][request]") {
  const struct {
    std::string fields;
    int status11;
    int status10;
  } rows[] = {
      {"Host: a\r\n", 0, 0},
      {"HOST:a\r\n", 0, 0},
      {"Host: [::1]:80\r\n", 0, 0},
      {"", 400, 0},
      {"Host:\r\n", 400, 400},
      {"Host: a\r\nHost: a\r\n", 400, 400},
      {"Host: a\r\nhost: b\r\n", 400, 400},
      {"Host: a, b\r\n", 400, 400},
      {"Host: a b\r\n", 400, 400},
      {"Host: a/b\r\n", 400, 400},
      {"Host: u@a\r\n", 400, 400},
      {"Host: a:99999\r\n", 400, 400},
      {"Host: \xc3\xbc\r\n", 400, 400},
      {"Host : a\r\n", 400, 400},
      {"Host\t: a\r\n", 400, 400},
      {"Connection: host\r\nHost: a\r\n", 0, 0},
  };
  for (const auto& row : rows) {
    INFO(row.fields);
    CHECK(status_of("GET / HTTP/1.1\r\n" + row.fields + "\r\n") == row.status11);
    CHECK(status_of("GET / HTTP/1.0\r\n" + row.fields + "\r\n") == row.status10);
  }
}

namespace {

struct FramingCase {
  std::string fields;
  int status;
  Framing framing;
  uint64_t length;
};

const FramingCase kFramingCases[] = {
    {"", 0, Framing::kNone, 0},
    {"Content-Length: 0\r\n", 0, Framing::kLength, 0},
    {"Content-Length: 5\r\n", 0, Framing::kLength, 5},
    {"Content-Length:  \t5 \r\n", 0, Framing::kLength, 5},
    {"content-length: 007\r\n", 0, Framing::kLength, 7},
    {"Content-Length: 9223372036854775807\r\n", 0, Framing::kLength, INT64_MAX},
    {"Transfer-Encoding: chunked\r\n", 0, Framing::kChunked, 0},
    {"transfer-encoding: Chunked\r\n", 0, Framing::kChunked, 0},
    {"Transfer-Encoding: \tchunked \r\n", 0, Framing::kChunked, 0},
    {"Content-Length: 9223372036854775808\r\n", 400, {}, 0},
    {"Content-Length: 18446744073709551616\r\n", 400, {}, 0},
    {"Content-Length: 99999999999999999999999\r\n", 400, {}, 0},
    {"Content-Length:\r\n", 400, {}, 0},
    {"Content-Length: -1\r\n", 400, {}, 0},
    {"Content-Length: +3\r\n", 400, {}, 0},
    {"Content-Length: 0x10\r\n", 400, {}, 0},
    {"Content-Length: 3 3\r\n", 400, {}, 0},
    {"Content-Length: 3,\r\n", 400, {}, 0},
    {"Content-Length: 3, 3\r\n", 400, {}, 0},
    {"Content-Length: 3.0\r\n", 400, {}, 0},
    {"Content-Length: \"3\"\r\n", 400, {}, 0},
    {"Content-Length: 3\r\nContent-Length: 3\r\n", 400, {}, 0},
    {"Content-Length: 3\r\nContent-Length: 4\r\n", 400, {}, 0},
    {"Content-Length : 3\r\n", 400, {}, 0},
    {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400, {}, 0},
    {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400, {}, 0},
    {"Transfer-Encoding: gzip\r\nContent-Length: 3\r\n", 400, {}, 0},
    {"Transfer-Encoding:\r\n", 400, {}, 0},
    {"Transfer-Encoding: ,chunked,\r\n", 400, {}, 0},
    {"Transfer-Encoding: chunked,\r\n", 400, {}, 0},
    {"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", 400, {}, 0},
    {"Transfer-Encoding: xchunked\r\n", 400, {}, 0},
    {"Transfer-Encoding: chunkedx\r\n", 400, {}, 0},
    {"Transfer-Encoding: identity\r\n", 400, {}, 0},
    {"Transfer-Encoding: gzip\r\n", 400, {}, 0},
    {"Transfer-Encoding: chunked, gzip\r\n", 400, {}, 0},
    {"Transfer-Encoding: chunked, identity\r\n", 400, {}, 0},
    {"Transfer-Encoding: chunked, chunked\r\n", 400, {}, 0},
    {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, {}, 0},
    {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400, {}, 0},
    {"Transfer-Encoding: chunked;q=1\r\n", 400, {}, 0},
    {"Transfer-Encoding: \"chunked\"\r\n", 400, {}, 0},
    {"Transfer-Encoding: chu nked\r\n", 400, {}, 0},
    {"Transfer-Encoding: \x0b"
     "chunked\r\n",
     400,
     {},
     0},
    {"Transfer-Encoding : chunked\r\n", 400, {}, 0},
    {"Transfer\xa0-Encoding: chunked\r\n", 400, {}, 0},
    {"Transfer-Encoding: gzip, chunked\r\n", 501, {}, 0},
    {"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501, {}, 0},
    {"Transfer-Encoding: identity, chunked\r\n", 501, {}, 0},
};

}  // namespace

TEST_CASE("request framing", "[http][request]") {
  for (const FramingCase& row : kFramingCases) {
    INFO(row.fields);
    const Request request(with_host(row.fields));
    CHECK(request.refusal.status == row.status);
    if (row.status != 0) continue;
    CHECK(request.head.framing == row.framing);
    CHECK(request.head.content_length == row.length);
    CHECK(request.parser.framing() == row.framing);
  }
  CHECK(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
  CHECK(status_of("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n") == 0);
}

TEST_CASE("request field syntax", "[http][request]") {
  const struct {
    std::string field;
    int status;
  } rows[] = {
      {"X!#$%&'*+-.^_`|~9: v", 0},
      {"X: \x80\xff", 0},
      {"X: a\tb", 0},
      {"X:", 0},
      {"X: :", 0},
      {": v", 400},
      {":", 400},
      {"X", 400},
      {"X v", 400},
      {"X : v", 400},
      {"X\t: v", 400},
      {"X Y: v", 400},
      {"X\x80: v", 400},
      {"X: a\x01"
       "b",
       400},
      {"X: a\0b"s, 400},
      {"X: a\x7f", 400},
      {"X: a\rb", 400},
      {"X: a\nY: b", 400},
      {"X: a\r\n b", 400},
  };
  for (const auto& row : rows) {
    INFO(row.field);
    CHECK(status_of(with_host(row.field + "\r\n")) == row.status);
  }
  for (const char c : "()<>@,;\\\"/[]?={} "s) {
    INFO(c);
    CHECK(status_of(with_host("X"s + c + "Y: v\r\n")) == 400);
  }
}

TEST_CASE("every byte is judged wherever it stands in a long field", "[http][request]") {
  // Longer than the 16 bytes that the parser may look at together.
  const std::string name = "X-" + std::string(38, 'n');
  const std::string value(40, 'v');
  const auto is_good = [](const std::string& field) {
    Request request("");
    const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n" + field + "\r\n\r\n";
    return !request.parser.parse_request(head, {}, request.head);
  };
  size_t wrong = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    for (size_t at = 0; at < name.size(); ++at) {
      std::string field = name + ": " + value;
      field[at] = c;
      if (c != ':') wrong += is_good(field) != is_byte(c, kTokenByte);
      field = name + ": " + value;
      field[name.size() + 2 + at] = c;
      wrong += is_good(field) != (c == '\t' || !is_byte(c, kControlByte));
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("number of fields", "[http][request]") {
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "X: v\r\n";
  CHECK(status_of(with_host(fields)) == 0);
  CHECK(status_of(with_host(fields + "X: v\r\n")) == 431);
  CHECK(status_of(with_host(fields + fields)) == 431);
}

TEST_CASE("Expect", "[http][request]") {
  const struct {
    std::string version;
    std::string fields;
    int status;
    bool waits;
  } rows[] = {
      {"1.1", "Content-Length: 3\r\nExpect: 100-continue\r\n", 0, true},
      {"1.1", "Content-Length: 3\r\nexpect: 100-Continue\r\n", 0, true},
      {"1.1", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", 0, true},
      {"1.1", "Content-Length: 3\r\n", 0, false},
      {"1.1", "Expect: 100-continue\r\n", 0, false},
      {"1.1", "Content-Length: 0\r\nExpect: 100-continue\r\n", 0, false},
      {"1.0", "Content-Length: 3\r\nExpect: 100-continue\r\n", 0, false},
      {"1.1", "Expect: 200-ok\r\n", 417, false},
      {"1.1", "Expect:\r\n", 417, false},
      {"1.1", "Expect: 100-continue, x\r\n", 417, false},
      {"1.1", "Expect: 100-continue\r\nExpect: x\r\n", 417, false},
  };
  for (const auto& row : rows) {
    INFO(row.fields);
    const Request request("POST / HTTP/" + row.version + "\r\nHost: a\r\n" + row.fields + "\r\n");
    CHECK(request.refusal.status == row.status);
    CHECK(request.head.expect_continue == row.waits);
  }
}

TEST_CASE("persistence", "[http][request]") {
  const struct {
    std::string fields;
    bool keep11;
    bool keep10;
  } rows[] = {
      {"", true, false},
      {"Connection: keep-alive\r\n", true, true},
      {"Connection: Keep-Alive\r\n", true, true},
      {"Connection: close\r\n", false, false},
      {"Connection: Close\r\n", false, false},
      {"Connection: keep-alive, close\r\n", false, false},
      {"Connection: keep-alive\r\nConnection: x, close\r\n", false, false},
      {"Connection: closed\r\n", true, false},
      {"Connection:\r\n", true, false},
  };
  for (const auto& row : rows) {
    INFO(row.fields);
    CHECK(Request("GET / HTTP/1.1\r\nHost: a\r\n" + row.fields + "\r\n").head.keep_alive ==
          row.keep11);
    CHECK(Request("GET / HTTP/1.0\r\nHost: a\r\n" + row.fields + "\r\n").head.keep_alive ==
          row.keep10);
  }
}

TEST_CASE("Upgrade", "[http][request]") {
  const struct {
    std::string line;
    std::string fields;
    const char* upgrade;
  } rows[] = {
      {"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "websocket"},
      {"GET / HTTP/1.1", "Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n", "WebSocket"},
      {"GET / HTTP/1.1", "Upgrade: websocket\r\n", ""},
      {"GET / HTTP/1.1", "Connection: Upgrade\r\n", ""},
      {"GET / HTTP/1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", ""},
      {"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", ""},
      {"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n", ""},
      {"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket/13\r\n", ""},
      {"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", ""},
      {"GET / HTTP/1.1",
       "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", ""},
      {"GET / HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", ""},
      {"POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", ""},
  };
  for (const auto& row : rows) {
    INFO(row.fields);
    const Request request(row.line + "\r\nHost: a\r\n" + row.fields + "\r\n");
    CHECK_FALSE(request.refusal);
    CHECK(request.head.upgrade == row.upgrade);
  }
}

TEST_CASE("fields that Connection names end here, but guarded ones cannot be named away",
          "[http][request]") {
  const Request request(
      "GET / HTTP/1.1\r\nX-Secret: 1\r\nHost: a\r\nX-Kept: 1\r\n"
      "Connection: close, x-secret, Cookie, Authorization, X-Forwarded-For, Host\r\n"
      "connection: X-OTHER\r\n"
      "Cookie: c\r\nAuthorization: Basic x\r\nX-Forwarded-For: 1.2.3.4\r\nx-other: 2\r\n"
      "X-Secret: 3\r\n\r\n");
  REQUIRE_FALSE(request.refusal);
  CHECK(names_of(request.head.headers) ==
        "Host X-Kept Connection connection Cookie Authorization X-Forwarded-For ");
  CHECK(connection_names(request.head.headers, "X-Other"));
  CHECK_FALSE(connection_names(request.head.headers, "X-Kept"));

  const Request caching(with_host(
      "Connection: If-None-Match, range, date, cache-control\r\nIf-None-Match: *\r\nDate: x\r\n"
      "Range: bytes=0-1\r\nIf-Match: *\r\ncache-control: no-store\r\n"));
  REQUIRE_FALSE(caching.refusal);
  CHECK(names_of(caching.head.headers) == "Host Connection Date If-Match ");

  std::string many = "Connection: ";
  for (int i = 0; i < 31; ++i) many += "a,";
  CHECK(status_of(with_host(many + "b\r\n")) == 0);
  CHECK(status_of(with_host(many + "b\r\nConnection: c\r\n")) == 400);
}

TEST_CASE("a plain head is taken in one pass, and stays", "[http][request]") {
  const auto take = [](std::string bytes, const HeadLimits& limits = {}) {
    weir::Arena arena(weir::http::test::pool());
    RequestHead head(arena);
    H1Parser parser;
    size_t taken = 0;
    const Refusal refusal = parser.parse_plain_request(bytes, limits, head, taken);
    bytes.assign(bytes.size(), '#');
    std::string said = std::to_string(taken) + " " + std::to_string(refusal.status) + " " +
                       std::string(head.method_text) + " " + std::string(head.target) + " ";
    for (const Header& header : head.headers) {
      said += std::string(header.name) + "=" + std::string(header.value) + ",";
    }
    return said;
  };
  const std::string plain = "PUT /a?b HTTP/1.1\r\nHost: c\r\nX: y\r\n\r\n";
  const std::string size = std::to_string(plain.size());
  CHECK(take(plain) == size + " 0 PUT /a?b Host=c,X=y,");
  CHECK(take(plain + plain) == size + " 0 PUT /a?b Host=c,X=y,");
  CHECK(take("GET / HTTP/1.1\r\n\r\n") == "18 400 GET / ");  // without Host
  const std::string nothing = "0 0   ";
  CHECK(take(plain + "x") == nothing);
  CHECK(take(plain.substr(0, plain.size() - 2)) == nothing);
  CHECK(take("\r\n" + plain) == nothing);
  CHECK(take("GET http://c/ HTTP/1.1\r\nHost: c\r\n\r\n") == nothing);
  CHECK(take("GET /\x01 HTTP/1.1\r\nHost: c\r\n\r\n") == nothing);
  CHECK(take("GET / HTTP/1.1\r\nHost: c\r\nX: \x01\r\n\r\n") == nothing);
  CHECK(take("GET / HTTP/1.1\r\nHost: c\r\n X\r\n\r\n") == nothing);
  HeadLimits limits;
  limits.header_size_bytes = static_cast<uint32_t>(plain.size());
  CHECK(take(plain + plain, limits).starts_with(size));
  limits.header_size_bytes -= 1;
  CHECK(take(plain, limits) == nothing);
  limits = {};
  limits.headers = 1;
  CHECK(take(plain, limits) == nothing);
}

TEST_CASE("look-alikes with underscores are dropped", "[http][request]") {
  const Request request(with_host(
      "X_Forwarded_For: 1\r\nx_forwarded-proto: 1\r\nX_Real_IP: 1\r\nContent_Length: 5\r\n"
      "Transfer_Encoding: chunked\r\nX-Forwarded_Host: b\r\nx_api_key: 1\r\ncontent_type: b\r\n"
      "X_Forwarded_Port: 1\r\nProxy_Authorization: 1\r\nkeep_alive: 1\r\nhttp2_settings: 1\r\n"));
  REQUIRE_FALSE(request.refusal);
  CHECK(names_of(request.head.headers) == "Host x_api_key content_type ");
}

TEST_CASE("names of which a backend makes one variable", "[http][request]") {
  CHECK(same_variable("X-Client-Subject", "X-Client-Subject"));
  CHECK(same_variable("x_client-SUBJECT", "X-Client_Subject"));
  CHECK_FALSE(same_variable("X-Client-Subject", "X-Client-Subjec"));
  CHECK_FALSE(same_variable("X-Client-Subject", "X Client Subject"));
  CHECK_FALSE(same_variable("XClientSubject--", "X-Client-Subject"));
}

TEST_CASE("a head is parsed alike however often the parser was used", "[http][request]") {
  Request request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  REQUIRE_FALSE(request.refusal);
  // The next message on the connection, with the body of the first one never read.
  const std::string_view next = "GET /2 HTTP/1.0\r\n\r\n";
  REQUIRE_FALSE(request.parser.parse_request(next, {}, request.head));
  CHECK(request.head.framing == Framing::kNone);
  CHECK(request.head.target == "/2");
  CHECK(request.head.authority.empty());
  CHECK(request.head.host.empty());
  CHECK_FALSE(request.head.keep_alive);
  CHECK(request.head.headers.size() == 0);
  CHECK(request.parser.finish_on_close());
}
