#include "filters/compression/types.h"

#include <catch2/catch.hpp>

using weir::filters::compression::TypeSet;

TEST_CASE("compression types: the usual ones") {
  const TypeSet usual = TypeSet::usual();
  for (const char* type :
       {"text/plain", "text/html; charset=utf-8", "TEXT/CSS", "text/event-stream",
        "text/javascript", "application/json", "application/json;charset=utf-8",
        "Application/JSON ; charset=utf-8", "application/ld+json", "application/problem+json",
        "application/javascript", "application/xml", "application/rss+xml", "application/wasm",
        "image/svg+xml", "application/x-ndjson", "image/x-icon", "font/ttf"}) {
    CAPTURE(type);
    CHECK(usual.contains(type));
  }
  for (const char* type :
       {"image/png", "image/jpeg", "application/octet-stream", "application/zip", "font/woff2",
        "application/jsonx", "application/pdf", "video/mp4", "application/grpc", "", "json",
        ";text/html", "text", "application/json+x", "xtext/plain", "image/svg+xmls"}) {
    CAPTURE(type);
    CHECK_FALSE(usual.contains(type));
  }
}

TEST_CASE("compression types: patterns") {
  TypeSet types;
  CHECK_FALSE(types.contains("text/html"));
  CHECK(types.add("Text/HTML"));
  CHECK(types.contains("text/html"));
  CHECK_FALSE(types.contains("text/htm"));
  CHECK_FALSE(types.contains("text/html5"));
  CHECK(types.add("application/vnd.*+json"));
  CHECK(types.contains("application/vnd.api+JSON; v=1"));
  CHECK(types.contains("application/vnd.+json"));
  CHECK_FALSE(types.contains("application/vnd+json"));
  CHECK_FALSE(types.contains("application/vnd.+jso"));
  CHECK(types.add("application/ab*ba"));
  CHECK(types.contains("application/abba"));
  CHECK_FALSE(types.contains("application/aba"));  // neither end is used twice
  CHECK(types.add("audio/*"));
  CHECK(types.contains("audio/midi"));
  for (const char* bad : {"", "/", "text", "text/", "/html", "*/*", "*", "te*t/html", "text/*+*",
                          "text/ht ml", "text/html;q=1", "text/html,text/css", "text//html"}) {
    CAPTURE(bad);
    CHECK_FALSE(types.add(bad));
  }
}
