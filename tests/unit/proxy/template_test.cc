#include "proxy/template.h"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>

#include "support/edge.h"
#include "support/h1_client.h"

namespace weir::proxy {
namespace {

TEST_CASE("text without variables is constant, dollars or not") {
  CHECK(Template().empty());
  CHECK(Template::parse("").value().empty());
  for (const char* text : {"plain", "$$", "$$name", "a$$b$$"}) {
    Result<Template> parsed = Template::parse(text);
    REQUIRE(parsed.ok());
    CHECK(parsed.value().is_constant());
    CHECK_FALSE(parsed.value().empty());
  }
  CHECK_FALSE(Template::parse("$$$host").value().is_constant());
}

TEST_CASE("an unknown variable is told, with those that there are") {
  for (const char* text : {"$", "a $ b", "$nosuch", "$Host", "$1", "$hosts", "$host_"}) {
    CAPTURE(text);
    Result<Template> parsed = Template::parse(text);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().find("unknown variable \"$") == 0);
    CHECK(parsed.error().find("$client_ip $request_id") != std::string::npos);
  }
}

TEST_CASE("every variable says what it stands for in this request", "[threads]") {
  struct Case {
    const char* text;
    const char* expected;
  };
  // A name ends where no letter of a name follows.
  const Case cases[] = {
      {"$scheme://$host$uri", "http://shop.example.com/t/%61?q=1&r"},
      {"$path|$query|$method", "/t/%61|q=1&r|GET"},
      {"$client_ip,$upstream,$status", "127.0.0.1,,203"},
      {"$$host is $host.", "$host is shop.example.com."},
      {"$host$host", "shop.example.comshop.example.com"},
      {"no variable, $$5", "no variable, $5"},
  };
  for (const Case& row : cases) {
    CAPTURE(row.text);
    test::SnapshotBuilder builder;
    builder.respond_route("/", row.text).status = 203;
    test::Edge edge(builder.finish());
    const test::Answer answer =
        test::ask(edge.port(), "GET /t/%61?q=1&r HTTP/1.1\r\nHost: Shop.Example.com:80\r\n\r\n");
    CHECK(answer.status == 203);
    CHECK(answer.body == row.expected);
    CHECK(edge.stop() == test::Leftovers());
  }
}

TEST_CASE("a request id is the same wherever one request names it", "[threads]") {
  test::SnapshotBuilder builder;
  Route& route = builder.respond_route("/", "$request_id");
  route.respond_headers.emplace_back("X-Id", Template::parse("<$request_id>").value());
  test::Edge edge(builder.finish());
  const test::Answer first = test::ask(edge.port(), test::get("/"));
  const test::Answer second = test::ask(edge.port(), test::get("/"));
  CHECK(first.body.size() == 36);
  CHECK(first.field("x-id") == "<" + first.body + ">");
  CHECK(first.body != second.body);
  CHECK(edge.stop() == test::Leftovers());
}

}  // namespace
}  // namespace weir::proxy
