#include "http/accept_encoding.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "cache_support.h"

namespace weir::http {
namespace {

constexpr Encoding kOffered[] = {Encoding::kBr, Encoding::kZstd, Encoding::kGzip};

std::string chosen(std::string_view line, std::span<const Encoding> offered = kOffered) {
  AcceptEncoding accepted;
  accepted.add(line);
  return std::string(encoding_name(accepted.choose(offered)));
}

uint32_t weight(std::string_view line, Encoding encoding) {
  AcceptEncoding accepted;
  accepted.add(line);
  return accepted.weight(encoding);
}

std::string normal(const std::vector<std::string_view>& lines) {
  test::Fields fields;
  for (const std::string_view line : lines) fields.emplace_back("Accept-Encoding", line);
  char form[kNormalEncodingsMax];
  const NormalForm result = normal_encodings(test::Head(fields).index(), form);
  return result.fits ? std::string(form, result.size) : "does not fit";
}

TEST_CASE("what a client likes best", "[http][encoding]") {
  CHECK(chosen("") == "identity");
  CHECK(chosen("gzip") == "gzip");
  CHECK(chosen("x-gzip") == "gzip");
  CHECK(chosen("GZIP, Deflate") == "gzip");
  CHECK(chosen("gzip, deflate, br, zstd") == "br");
  CHECK(chosen("gzip, deflate, zstd") == "zstd");
  CHECK(chosen("gzip;q=1.0, br;q=0.5") == "gzip");
  CHECK(chosen("br;q=0.001, gzip;q=0.002") == "gzip");
  CHECK(chosen("br;q=0, gzip;q=0.001") == "gzip");
  CHECK(chosen("deflate, compress") == "identity");
  CHECK(chosen("gzip ; q=0.5 , br ; Q=0.6") == "br");
}

TEST_CASE("the server's order decides between equals", "[http][encoding]") {
  constexpr Encoding kGzipFirst[] = {Encoding::kGzip, Encoding::kBr};
  CHECK(chosen("br, gzip", kGzipFirst) == "gzip");
  CHECK(chosen("br, gzip;q=0.9", kGzipFirst) == "br");
  CHECK(chosen("zstd", kGzipFirst) == "identity");
  CHECK(chosen("gzip", {}) == "identity");
}

TEST_CASE("identity and the star", "[http][encoding]") {
  CHECK(chosen("*") == "br");
  CHECK(chosen("*;q=0") == "identity");
  CHECK(chosen("*;q=0, gzip") == "gzip");
  CHECK(chosen("gzip, *;q=0") == "gzip");
  CHECK(chosen("identity, gzip;q=0.5") == "identity");
  CHECK(chosen("identity, gzip") == "gzip");
  CHECK(chosen("identity;q=0.5, gzip;q=0.4, *;q=0.5") == "br");
  CHECK(chosen("identity;q=0") == "identity");
  CHECK(chosen("identity;q=0, *") == "br");
  CHECK(chosen("br;q=0, *;q=0.1") == "zstd");

  CHECK(weight("identity;q=0", Encoding::kIdentity) == 0);
  CHECK(weight("*;q=0", Encoding::kIdentity) == 0);
  CHECK(weight("*;q=0, identity;q=0.3", Encoding::kIdentity) == 300);
  CHECK(weight("gzip", Encoding::kIdentity) == 1);
  CHECK(weight("gzip", Encoding::kBr) == 0);
  CHECK(weight("*;q=0.7", Encoding::kBr) == 700);
}

TEST_CASE("weights are thousandths", "[http][encoding]") {
  const struct {
    const char* text;
    uint32_t weight;
  } rows[] = {{"0", 0},     {"0.", 0},     {"0.0", 0},     {"0.000", 0},   {"0.001", 1},
              {"0.01", 10}, {"0.1", 100},  {"0.123", 123}, {"0.999", 999}, {"1", 1000},
              {"1.", 1000}, {"1.0", 1000}, {"1.000", 1000}};
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(weight(std::string("gzip;q=") + row.text, Encoding::kGzip) == row.weight);
  }
  for (const char* text : {"", "1.001", "2", "-0", "0.1234", ".5", "0,5", "a", "1x", "0.x", "00"}) {
    INFO(text);
    CHECK(weight(std::string("gzip;q=") + text, Encoding::kGzip) == (*text == '\0' ? 1000 : 0));
  }
}

TEST_CASE("of a coding that is there twice the lower weight counts", "[http][encoding]") {
  CHECK(weight("gzip, gzip;q=0", Encoding::kGzip) == 0);
  CHECK(weight("gzip;q=0, x-gzip", Encoding::kGzip) == 0);
  CHECK(weight("*, *;q=0", Encoding::kGzip) == 0);
}

TEST_CASE("members that are none are skipped", "[http][encoding]") {
  CHECK(chosen(",, gz ip, gzip;q=x, =, ;q=1, br\x01, zstd;level=3") == "zstd");
  CHECK(chosen("gzip;level=1;q=0") == "identity");
}

TEST_CASE("Accept-Encoding of several lines, and of none", "[http][encoding]") {
  BlockPool pool;
  Arena arena(pool);
  HeaderList headers(arena);
  CHECK(AcceptEncoding(CacheFields(headers)).choose(kOffered) == Encoding::kIdentity);
  CHECK(AcceptEncoding(CacheFields(headers)).accepts(Encoding::kIdentity));
  headers.add("Accept-Encoding", "gzip");
  headers.add("accept-encoding", "br;q=0.5");
  const AcceptEncoding accepted{CacheFields(headers)};
  CHECK(accepted.weight(Encoding::kGzip) == 1000);
  CHECK(accepted.weight(Encoding::kBr) == 500);
  CHECK(accepted.choose(kOffered) == Encoding::kGzip);
}

TEST_CASE("names of codings", "[http][encoding]") {
  Encoding encoding = Encoding::kIdentity;
  for (const Encoding each :
       {Encoding::kIdentity, Encoding::kGzip, Encoding::kBr, Encoding::kZstd}) {
    CHECK(read_encoding(encoding_name(each), encoding));
    CHECK(encoding == each);
  }
  CHECK(read_encoding("X-GZip", encoding));
  CHECK(encoding == Encoding::kGzip);
  CHECK_FALSE(read_encoding("deflate", encoding));
  CHECK_FALSE(read_encoding("", encoding));
}

TEST_CASE("the normal form says what is acceptable", "[http][encoding]") {
  CHECK(normal({}).empty());
  CHECK(normal({""}) == "=i");
  CHECK(normal({"gzip, deflate, br"}) == "=bdgi");
  CHECK(normal({"br;q=1.0, gzip;q=0.8, deflate;q=0.1"}) == "=bdgi");
  CHECK(normal({" DEFLATE ,x-gzip", "br"}) == "=bdgi");
  CHECK(normal({"gzip;q=0, br"}) == "=bi");
  CHECK(normal({"gzip, gzip;q=0"}) == "=i");
  CHECK(normal({"gzip, identity;q=0"}) == "=g");
  CHECK(normal({"*;q=0"}) == "=");
  CHECK(normal({"*"}) == "=bcdgiz*");
  CHECK(normal({"*, br;q=0"}) == "=cdgiz*");
  CHECK(normal({"gzip;q=0.0, *;q=0.000"}) == "=");
  CHECK(normal({"zstd, x-compress"}) == "=ciz");
  CHECK(normal({"Dcb, gzip"}) == ",dcb=gi");
  CHECK(normal({"*, dcb;q=0"}) == ";dcb=bcdgiz*");
}

TEST_CASE("the normal form has a bound", "[http][encoding]") {
  std::string many = "gzip";
  for (int i = 0; i < 30; ++i) many += ", coding" + std::to_string(i);
  CHECK(normal({many}) == "does not fit");
  CHECK(normal({std::string(200, 'x')}) == "does not fit");
  const std::string fits(kNormalEncodingsMax - 9, 'x');
  CHECK(normal({fits + ", *"}) == "," + fits + "=bcdgiz*");
  CHECK(normal({fits + "x, *"}) == "does not fit");
}

}  // namespace
}  // namespace weir::http
