#include "http/mime.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace weir::http {
namespace {

TEST_CASE("types of files", "[http][mime]") {
  const struct {
    const char* name;
    const char* type;
  } rows[] = {
      {"index.html", "text/html; charset=utf-8"},
      {"/a/b.c/INDEX.HTM", "text/html; charset=utf-8"},
      {"app.js", "text/javascript; charset=utf-8"},
      {"app.min.mjs", "text/javascript; charset=utf-8"},
      {"style.css", "text/css; charset=utf-8"},
      {"notes.txt", "text/plain; charset=utf-8"},
      {"data.json", "application/json"},
      {"app.js.map", "application/json"},
      {"site.webmanifest", "application/manifest+json"},
      {"m.wasm", "application/wasm"},
      {"p.avif", "image/avif"},
      {"p.webp", "image/webp"},
      {"p.JPG", "image/jpeg"},
      {"l.svg", "image/svg+xml"},
      {"f.woff2", "font/woff2"},
      {"v.mp4", "video/mp4"},
      {"feed.xml", "application/xml"},
      {"a.3g2", "video/3gpp2"},
      {"a.zst", "application/zstd"},
      {".html", "text/html; charset=utf-8"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    CHECK(content_type_of(row.name) == row.type);
  }
  for (const char* name :
       {"", ".", "a", "a.", "a.html/", "a.html/b", "a.unknown", "html", "a.htmlx", "a.html ",
        "a.aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a.\xff", "a.zzzz"}) {
    INFO(name);
    CHECK(content_type_of(name) == "application/octet-stream");
  }
  CHECK(content_type_of(std::string_view("a.html\0", 7)) == "application/octet-stream");
}

TEST_CASE("types without their parameters", "[http][mime]") {
  CHECK(essence_of("text/html") == "text/html");
  CHECK(essence_of(" Text/HTML ; charset=utf-8") == "Text/HTML");
  CHECK(essence_of("").empty());
  CHECK(essence_of(";a=b").empty());
}

TEST_CASE("types against patterns", "[http][mime]") {
  CHECK(matches_type("text/html; charset=utf-8", "text/html"));
  CHECK(matches_type("TEXT/Html;a", "text/HTML"));
  CHECK(matches_type("text/x", "Text/*"));
  CHECK(matches_type("image/png", "*/*"));
  CHECK(matches_type("image/png", "*"));
  CHECK_FALSE(matches_type("text/html", "text/htm"));
  CHECK_FALSE(matches_type("text/", "text/*"));
  CHECK_FALSE(matches_type("text", "text/*"));
  CHECK_FALSE(matches_type("textx/html", "text/*"));
  CHECK_FALSE(matches_type("application/json", "text/*"));
  CHECK_FALSE(matches_type("", "*"));
  CHECK_FALSE(matches_type("", ""));
  CHECK_FALSE(matches_type("x/y, text/html", "text/*"));
  const std::vector<std::string> patterns = {"text/*", "application/json"};
  CHECK(matches_any_type("application/json;q", patterns));
  CHECK_FALSE(matches_any_type("application/jsonx", patterns));
}

TEST_CASE("patterns by the grammar", "[http][mime]") {
  for (const char* good : {"*", "*/*", "text/*", "application/ld+json", "a/b"}) {
    CHECK(is_type_pattern(good));
  }
  for (const char* bad : {"", "/", "text", "text/", "/html", "*/html", "te*/x", "text/h*",
                          "text/html;q=1", "text /html", "a/b/c", "text/**"}) {
    INFO(bad);
    CHECK_FALSE(is_type_pattern(bad));
  }
  for (const std::string_view each : compressible_types()) CHECK(is_type_pattern(each));
}

TEST_CASE("what is compressed by default", "[http][mime]") {
  for (const char* name : {"a.html", "a.css", "a.js", "a.mjs", "a.json", "a.svg", "a.xml", "a.wasm",
                           "a.txt", "a.ttf", "a.ico", "a.webmanifest", "a.jsonld", "a.md"}) {
    INFO(name);
    CHECK(matches_any_type(content_type_of(name), compressible_types()));
  }
  for (const char* name : {"a.png", "a.jpg", "a.woff", "a.woff2", "a.zip", "a.gz", "a.mp4", "a.pdf",
                           "a.avif", "a.unknown"}) {
    INFO(name);
    CHECK_FALSE(matches_any_type(content_type_of(name), compressible_types()));
  }
}

}  // namespace
}  // namespace weir::http
