#include "http/multipart.h"

#include <catch2/catch.hpp>

#include <string>

namespace weir::http {
namespace {

// The whole body, as a client gets it.
std::string body_of(Multipart& multipart, std::string_view content) {
  std::string body;
  MultipartPiece piece;
  while (multipart.next(piece)) {
    if (piece.is_slice) {
      body += content.substr(piece.slice.first, piece.slice.size_bytes());
    } else {
      CHECK_FALSE(piece.text.empty());
      body += piece.text;
    }
  }
  CHECK_FALSE(multipart.next(piece));
  return body;
}

TEST_CASE("multipart/byteranges", "[http][range]") {
  RangeSet set;
  REQUIRE(read_ranges("bytes=0-1,-2", 10, set) == RangeAnswer::kPartial);
  Multipart multipart(set, 10, "text/plain; charset=utf-8", "B0");
  const std::string body = body_of(multipart, "0123456789");
  CHECK(body ==
        "--B0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Range: bytes 0-1/10\r\n\r\n"
        "01\r\n"
        "--B0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Range: bytes 8-9/10\r\n\r\n"
        "89\r\n"
        "--B0--\r\n");
  CHECK(multipart.total_bytes() == body.size());
}

TEST_CASE("multipart/byteranges of what has no type", "[http][range]") {
  RangeSet set;
  REQUIRE(read_ranges("bytes=9-,0-0", 10, set) == RangeAnswer::kPartial);
  Multipart multipart(set, 10, "", "B0");
  const std::string body = body_of(multipart, "0123456789");
  CHECK(body ==
        "--B0\r\nContent-Range: bytes 9-9/10\r\n\r\n9\r\n"
        "--B0\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n--B0--\r\n");
  CHECK(multipart.total_bytes() == body.size());
}

TEST_CASE("the length of every number of parts is known beforehand", "[http][range]") {
  const std::string content(100'000, 'x');
  const std::string boundary(kBoundaryMax, 'b');
  const std::string type(5000, 't');
  std::string field = "bytes=0-0";
  for (size_t parts = 2; parts <= kRangesMax; ++parts) {
    const size_t first = parts * parts * parts * 20;
    field += "," + std::to_string(first) + "-" + std::to_string(first + parts * 7);
    RangeSet set;
    REQUIRE(read_ranges(field, content.size(), set) == RangeAnswer::kPartial);
    REQUIRE(set.size() == parts);
    Multipart multipart(set, content.size(), type, boundary);
    const uint64_t total = multipart.total_bytes();
    CHECK(body_of(multipart, content).size() == total);
  }
}

TEST_CASE("the type of a multipart answer", "[http][range]") {
  BlockPool pool;
  Arena arena(pool);
  CHECK(multipart_type("B0", arena) == "multipart/byteranges; boundary=B0");
}

}  // namespace
}  // namespace weir::http
