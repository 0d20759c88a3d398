#include "http/mime.h"

#include <catch2/catch.hpp>

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

}  // namespace
}  // namespace weir::http
