#include "http/url.h"

#include <catch2/catch.hpp>

namespace weir::http {
namespace {

TEST_CASE("URLs are taken apart") {
  struct Case {
    const char* text;
    const char* scheme;
    const char* authority;
    int port;
    const char* target;
  };
  const Case cases[] = {
      {"http://a.test", "http", "a.test", 80, "/"},
      {"https://a.test/x?y=z#part", "https", "a.test", 443, "/x?y=z"},
      {"HTTPS://A.test:8443/", "https", "A.test:8443", 8443, "/"},
      {"http://a.test?x", "http", "a.test", 80, "/?x"},
      {"http://[::1]:81/a//b", "http", "[::1]:81", 81, "/a//b"},
      {"http://[::1]", "http", "[::1]", 80, "/"},
  };
  for (const Case& one : cases) {
    INFO(one.text);
    const std::optional<Url> url = parse_url(one.text);
    REQUIRE(url);
    CHECK(url->scheme == one.scheme);
    CHECK(url->authority == one.authority);
    CHECK(url->port == one.port);
    CHECK(url->target == one.target);
  }
}

TEST_CASE("what is no http URL is none") {
  for (const char* text : {"", "a.test/x", "/x", "ftp://a.test/", "http:/a.test", "http://",
                           "http:///x", "http://user@a.test/", "http://a.test:x/", "://a.test"}) {
    INFO(text);
    CHECK_FALSE(parse_url(text));
  }
}

}  // namespace
}  // namespace weir::http
