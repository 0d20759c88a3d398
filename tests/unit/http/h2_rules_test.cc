#include "http/h2_rules.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "unit/http/h1_support.h"

namespace weir::http {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

const Fields kGet = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}};

struct Read {
  Arena arena{test::pool()};
  RequestHead head{arena};
  H2Refusal refusal;

  explicit Read(const Fields& fields, bool end = true) {
    Arena of_session(test::pool());  // is gone when the head is looked at
    HeaderList list(of_session);
    for (const auto& [name, value] : fields) {
      const std::string_view line = of_session.concat({name, ": ", value, "\r\n"});
      list.add(line.substr(0, name.size()), line.substr(name.size() + 2, value.size()),
               classify(name), true);
    }
    refusal = read_h2_request(list, end, true, {}, head);
  }
  size_t count(std::string_view name) const {
    size_t count = 0;
    for (const Header& header : head.headers) count += header.name == name ? 1 : 0;
    return count;
  }
};

Fields with(const Fields& more) {
  Fields fields = kGet;
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

Fields changed(const std::string& name, const std::string& value) {
  Fields fields = kGet;
  for (auto& field : fields) {
    if (field.first == name) field.second = value;
  }
  return fields;
}

TEST_CASE("h2 rules: a request is what it would be over HTTP/1.1") {
  const Read read(changed(":authority", "A.example:81"));
  REQUIRE_FALSE(read.refusal);
  CHECK(read.head.version == Version::kHttp2);
  CHECK(read.head.method == Method::kGet);
  CHECK(read.head.target == "/");
  CHECK(read.head.authority == "A.example:81");
  CHECK(read.head.host == "a.example");
  CHECK(read.head.framing == Framing::kNone);
  CHECK(read.count("host") == 1);
}

TEST_CASE("h2 rules: the framing of a body") {
  CHECK(Read(kGet, false).head.framing == Framing::kChunked);
  const Read sized(with({{"content-length", "7"}}), false);
  CHECK(sized.head.framing == Framing::kLength);
  CHECK(sized.head.content_length == 7);
  CHECK_FALSE(Read(with({{"content-length", "0"}})).refusal);
  CHECK(Read(with({{"content-length", "7"}})).refusal.malformed);
  CHECK(Read(with({{"content-length", "07x"}}), false).refusal.status == 400);
}

TEST_CASE("h2 rules: crumbs of cookies become one field") {
  const Read read(with({{"cookie", "a=1"}, {"x", "y"}, {"cookie", ""}, {"cookie", "b=2"}}));
  REQUIRE_FALSE(read.refusal);
  CHECK(read.count("cookie") == 1);
  CHECK(read.head.headers.find(HeaderId::kCookie)->value == "a=1; b=2");
}

TEST_CASE("h2 rules: malformed requests") {
  const std::vector<std::pair<Fields, std::string>> table = {
      {with({{":path", "/"}}), "pseudo_header_twice"},
      {with({{":status", "200"}}), "pseudo_header_unknown"},
      {{{":method", "GET"}, {"x", "y"}, {":scheme", "http"}, {":path", "/"}}, "pseudo_header_late"},
      {changed(":path", ""), "path_invalid"},
      {changed(":path", "*"), "path_invalid"},
      {changed(":path", "/\x80"), "path_invalid"},
      {changed(":method", ""), "method_invalid"},
      {changed(":scheme", ""), "scheme_invalid"},
      {with({{"Upper", "x"}}), "header_name_invalid"},
      {with({{"", "x"}}), "header_name_invalid"},
      {with({{"x", std::string("a\0b", 3)}}), "header_value_invalid"},
      {with({{"x", "\ta"}}), "header_value_blanks"},
      {with({{"upgrade", "websocket"}}), "connection_header"},
      {with({{"te", "gzip"}}), "te_not_trailers"},
      {with({{"host", "b"}}), "host_against_authority"},
      {with({{":protocol", "websocket"}}), "protocol_unexpected"},
  };
  for (const auto& [fields, reason] : table) {
    const Read read(fields);
    CAPTURE(reason);
    CHECK(read.refusal.malformed);
    CHECK(read.refusal.reason == reason);
  }
}

TEST_CASE("h2 rules: a tab among the lines of a head hides nothing") {
  const Fields fields = with({{"a", "b\tc"}, {"d", "e"}, {"f", "g\th"}});
  const Read read(fields);
  REQUIRE_FALSE(read.refusal);
  REQUIRE(read.head.headers.size() == 4);
  for (const Header& field : read.head.headers) CHECK(field.in_line == (field.name != "host"));
  for (const char control : {'\0', '\r', '\n', '\x1f', '\x7f'}) {
    for (size_t i = kGet.size(); i < fields.size(); ++i) {
      Fields bad = fields;
      bad[i].second += std::string(1, control) + "x";
      CHECK(Read(bad).refusal.reason == std::string("header_value_invalid"));
      bad = fields;
      bad[i].first += control;
      CHECK(Read(bad).refusal.reason == std::string("header_name_invalid"));
    }
  }
}

TEST_CASE("h2 rules: a head of more lines than a block or a table holds") {
  Fields more;
  for (int i = 0; i < 90; ++i) more.push_back({"x" + std::to_string(i), std::string(250, 'v')});
  const Read read(with(more));
  REQUIRE_FALSE(read.refusal);
  REQUIRE(read.head.headers.size() == more.size() + 1);
  for (size_t i = 0; i < more.size(); ++i) {
    const Header& field = read.head.headers.begin()[i];
    CHECK((field.name == more[i].first && field.value == more[i].second));
    CHECK(field.line() == more[i].first + ": " + more[i].second + "\r\n");
  }
}

TEST_CASE("h2 rules: a CONNECT to a websocket is the upgrade that servers know") {
  Fields fields = with({{":protocol", "websocket"}, {"sec-websocket-version", "13"}});
  std::swap(fields[4], fields[0]);
  fields[4] = {"x", "y"};
  fields.insert(fields.begin(), {":method", "CONNECT"});
  const Read read(fields, false);
  REQUIRE_FALSE(read.refusal);
  CHECK(read.head.method == Method::kGet);
  CHECK(read.head.method_text == "GET");
  CHECK(read.head.upgrade == "websocket");
  CHECK(read.head.framing == Framing::kNone);
  fields[1].second = "webtransport";
  CHECK(Read(fields, false).refusal.status == 501);
  CHECK(Read({{":method", "CONNECT"}, {":authority", "a:1"}}).refusal.status == 0);
}

TEST_CASE("h2 rules: answers") {
  const auto read = [](const Fields& fields, bool end, ResponseHead& out) {
    HeaderList list(out.headers.arena());
    for (const auto& [name, value] : fields) list.add(name, value);
    return read_h2_response(list, end, Method::kGet, {}, out);
  };
  Arena arena(test::pool());
  ResponseHead open(arena);
  CHECK_FALSE(read({{":status", "200"}, {"x", "y"}}, false, open));
  CHECK((open.status == 200 && open.framing == Framing::kChunked && open.keep_alive));
  ResponseHead empty(arena);
  CHECK_FALSE(read({{":status", "200"}}, true, empty));
  CHECK(empty.framing == Framing::kNone);
  for (const Fields& fields :
       {Fields{}, Fields{{":status", "101"}}, Fields{{":status", "20"}}, Fields{{":status", "abc"}},
        Fields{{":path", "/"}}, Fields{{":status", "200"}, {"connection", "close"}},
        Fields{{":status", "200"}, {"content-length", "3"}}}) {
    ResponseHead head(arena);
    CHECK(read(fields, true, head));
  }
}

TEST_CASE("h2 rules: trailers") {
  Arena arena(test::pool());
  HeaderList fields(arena);
  HeaderList out(arena);
  fields.add("grpc-status", "0");
  fields.add("content-length", "3");
  CHECK_FALSE(read_h2_trailers(fields, out));
  CHECK(out.size() == 1);
  fields.add(":status", "200");
  CHECK(read_h2_trailers(fields, out).malformed);
}

TEST_CASE("h2 rules: priorities") {
  const auto is = [](std::string_view text, uint32_t urgency, bool incremental) {
    const H2Priority priority = read_h2_priority(text);
    return priority.urgency == urgency && priority.incremental == incremental;
  };
  CHECK(is("", 3, false));
  CHECK(is("u=0", 0, false));
  CHECK(is("u=7, i", 7, true));
  CHECK(is("i=?1,u=5", 5, true));
  CHECK(is("i, i=?0", 3, false));
  CHECK(is("u=8", 3, false));
  CHECK(is("u=-1", 3, false));
  CHECK(is("nonsense;u=1", 3, false));
}

TEST_CASE("h2 rules: the key of a websocket is base64 of 16 bytes") {
  Arena arena(test::pool());
  const uint8_t random[kWebsocketKeyBytes] = {'t', 'h', 'e', ' ', 's', 'a', 'm', 'p',
                                              'l', 'e', ' ', 'n', 'o', 'n', 'c', 'e'};
  CHECK(websocket_key(random, arena) == "dGhlIHNhbXBsZSBub25jZQ==");
}

}  // namespace
}  // namespace weir::http
