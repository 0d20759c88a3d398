#include "http/cache_fields.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "base/arena.h"

namespace weir::http {
namespace {

const struct {
  const char* name;
  CacheField field;
} kNamed[] = {
    {"Accept-Encoding", CacheField::kAcceptEncoding},
    {"Authorization", CacheField::kAuthorization},
    {"If-Match", CacheField::kIfMatch},
    {"If-Modified-Since", CacheField::kIfModifiedSince},
    {"If-None-Match", CacheField::kIfNoneMatch},
    {"If-Range", CacheField::kIfRange},
    {"If-Unmodified-Since", CacheField::kIfUnmodifiedSince},
    {"Pragma", CacheField::kPragma},
    {"Range", CacheField::kRange},
    {"Age", CacheField::kAge},
    {"Cache-Control", CacheField::kCacheControl},
    {"CDN-Cache-Control", CacheField::kCdnCacheControl},
    {"Content-Encoding", CacheField::kContentEncoding},
    {"Content-Location", CacheField::kContentLocation},
    {"Content-Range", CacheField::kContentRange},
    {"Date", CacheField::kDate},
    {"ETag", CacheField::kEtag},
    {"Expires", CacheField::kExpires},
    {"Last-Modified", CacheField::kLastModified},
    {"Set-Cookie", CacheField::kSetCookie},
    {"Vary", CacheField::kVary},
};

TEST_CASE("names of cache fields, in any case", "[http][cache]") {
  REQUIRE(std::size(kNamed) == kCacheFields - 1);
  for (const auto& row : kNamed) {
    INFO(row.name);
    std::string upper = row.name;
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    CHECK(cache_field(row.name) == row.field);
    CHECK(cache_field(upper) == row.field);
    for (size_t i = 0; i < upper.size(); ++i) {
      std::string other = upper;
      other[i] = '_';
      CHECK(cache_field(other) == CacheField::kNone);
    }
    CHECK(cache_field(upper + "X") == CacheField::kNone);
  }
  CHECK(cache_field("") == CacheField::kNone);
}

TEST_CASE("lines of fields that are there once, twice and never", "[http][cache]") {
  BlockPool pool;
  Arena arena(pool);
  HeaderList headers(arena);
  headers.add("Vary", "Accept");
  headers.add("X-Other", "1");
  headers.add("Age", "7");
  headers.add("vary", "Origin");
  headers.add("VARY", "Cookie");
  const CacheFields fields(headers);

  CHECK(fields.has(CacheField::kVary));
  CHECK(fields.repeated(CacheField::kVary));
  CHECK(fields.first(CacheField::kVary) == "Accept");
  CHECK(fields.single(CacheField::kVary).empty());
  std::vector<std::string> lines;
  fields.for_each(CacheField::kVary, [&](std::string_view line) { lines.emplace_back(line); });
  CHECK(lines == std::vector<std::string>{"Accept", "Origin", "Cookie"});

  CHECK_FALSE(fields.repeated(CacheField::kAge));
  CHECK(fields.single(CacheField::kAge) == "7");
  CHECK_FALSE(fields.has(CacheField::kDate));
  CHECK(fields.first(CacheField::kDate).empty());
  fields.for_each(CacheField::kDate, [](std::string_view) { FAIL(); });
}

}  // namespace
}  // namespace weir::http
