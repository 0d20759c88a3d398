#include "http/cache_fields.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "base/arena.h"

namespace weir::http {
namespace {

const struct {
  const char* name;
  HeaderId field;
} kNamed[] = {
    {"Accept-Encoding", HeaderId::kAcceptEncoding},
    {"Authorization", HeaderId::kAuthorization},
    {"If-Match", HeaderId::kIfMatch},
    {"If-Modified-Since", HeaderId::kIfModifiedSince},
    {"If-None-Match", HeaderId::kIfNoneMatch},
    {"If-Range", HeaderId::kIfRange},
    {"If-Unmodified-Since", HeaderId::kIfUnmodifiedSince},
    {"Pragma", HeaderId::kPragma},
    {"Range", HeaderId::kRange},
    {"Age", HeaderId::kAge},
    {"Cache-Control", HeaderId::kCacheControl},
    {"CDN-Cache-Control", HeaderId::kCdnCacheControl},
    {"Content-Encoding", HeaderId::kContentEncoding},
    {"Content-Location", HeaderId::kContentLocation},
    {"Content-Range", HeaderId::kContentRange},
    {"Date", HeaderId::kDate},
    {"ETag", HeaderId::kEtag},
    {"Expires", HeaderId::kExpires},
    {"Last-Modified", HeaderId::kLastModified},
    {"Set-Cookie", HeaderId::kSetCookie},
    {"Vary", HeaderId::kVary},
};

TEST_CASE("names of cache fields, in any case", "[http][cache]") {
  REQUIRE(std::size(kNamed) == kCachingFields);
  for (const auto& row : kNamed) {
    INFO(row.name);
    std::string upper = row.name;
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    CHECK(classify(row.name) == row.field);
    CHECK(classify(upper) == row.field);
    for (size_t i = 0; i < upper.size(); ++i) {
      std::string other = upper;
      other[i] = '_';
      CHECK(classify(other) == HeaderId::kOther);
    }
    CHECK(classify(upper + "X") == HeaderId::kOther);
  }
  CHECK(classify("") == HeaderId::kOther);
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

  CHECK(fields.has(HeaderId::kVary));
  CHECK(fields.repeated(HeaderId::kVary));
  CHECK(fields.first(HeaderId::kVary) == "Accept");
  CHECK(fields.single(HeaderId::kVary).empty());
  std::vector<std::string> lines;
  fields.for_each(HeaderId::kVary, [&](std::string_view line) { lines.emplace_back(line); });
  CHECK(lines == std::vector<std::string>{"Accept", "Origin", "Cookie"});

  CHECK(fields.joined(HeaderId::kVary, arena) == "Accept, Origin, Cookie");
  CHECK(fields.joined(HeaderId::kAge, arena) == "7");
  CHECK(fields.joined(HeaderId::kDate, arena).empty());

  CHECK_FALSE(fields.repeated(HeaderId::kAge));
  CHECK(fields.single(HeaderId::kAge) == "7");
  CHECK_FALSE(fields.has(HeaderId::kDate));
  CHECK(fields.first(HeaderId::kDate).empty());
  fields.for_each(HeaderId::kDate, [](std::string_view) { FAIL(); });
}

}  // namespace
}  // namespace weir::http
