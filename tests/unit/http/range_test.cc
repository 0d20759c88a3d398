#include "http/range.h"

#include <catch2/catch.hpp>

#include <string>

namespace weir::http {
namespace {

// "0-1,5-9", "whole" or "none".
std::string read(std::string_view field, uint64_t length) {
  RangeSet set;
  switch (read_ranges(field, length, set)) {
    case RangeAnswer::kWhole: return "whole";
    case RangeAnswer::kUnsatisfiable: return "none";
    case RangeAnswer::kPartial: break;
  }
  std::string text;
  for (const ByteRange& range : set.ranges()) {
    text +=
        (text.empty() ? "" : ",") + std::to_string(range.first) + "-" + std::to_string(range.last);
  }
  return text;
}

TEST_CASE("one range", "[http][range]") {
  CHECK(read("bytes=0-0", 10) == "0-0");
  CHECK(read("bytes=2-5", 10) == "2-5");
  CHECK(read("bytes=2-", 10) == "2-9");
  CHECK(read("bytes=9-", 10) == "9-9");
  CHECK(read("bytes=0-99", 10) == "0-9");
  CHECK(read("bytes=-3", 10) == "7-9");
  CHECK(read("bytes=-10", 10) == "0-9");
  CHECK(read("bytes=-11", 10) == "0-9");
  CHECK(read("BYTES = 0-1", 10) == "0-1");
  CHECK(read("bytes=0-1", UINT64_MAX) == "0-1");
}

TEST_CASE("ranges that lie outside", "[http][range]") {
  CHECK(read("bytes=10-", 10) == "none");
  CHECK(read("bytes=10-20", 10) == "none");
  CHECK(read("bytes=-0", 10) == "none");
  CHECK(read("bytes=10-,-0", 10) == "none");
  CHECK(read("bytes=10-,0-0", 10) == "0-0");
  CHECK(read("bytes=0-", 0) == "none");
  CHECK(read("bytes=0-0", 0) == "none");
  CHECK(read("bytes=-1", 0) == "whole");
}

TEST_CASE("numbers that no 64 bits hold", "[http][range]") {
  CHECK(read("bytes=0-99999999999999999999999", 10) == "0-9");
  CHECK(read("bytes=99999999999999999999999-", 10) == "none");
  CHECK(read("bytes=-99999999999999999999999", 10) == "0-9");
  CHECK(read("bytes=99999999999999999999998-99999999999999999999999", 10) == "none");
  CHECK(read("bytes=99999999999999999999999-5", 10) == "whole");
  CHECK(read("bytes=18446744073709551615-18446744073709551615", 10) == "none");
  CHECK(read("bytes=0-18446744073709551615", UINT64_MAX) == "0-18446744073709551614");
}

TEST_CASE("what is no range asks for nothing", "[http][range]") {
  for (const char* field : {"",
                            "bytes",
                            "bytes=",
                            "bytes=,",
                            "bytes= ",
                            "bytes=-",
                            "bytes=a-b",
                            "bytes=5-2",
                            "bytes=5",
                            "bytes=1-2-3",
                            "bytes=+1-2",
                            "bytes=1 - 2",
                            "bytes=0-1,x",
                            "bytes=0-1,5-2",
                            "bytes=--1",
                            "bytes 0-1",
                            "items=0-1",
                            "byte=0-1",
                            "=0-1",
                            "bytes=0x0-1",
                            "bytes=0-1;q=1",
                            "bytes=1-1a"}) {
    INFO(field);
    CHECK(read(field, 10) == "whole");
  }
}

TEST_CASE("lists of ranges keep their order, and join where they touch", "[http][range]") {
  CHECK(read("bytes=0-1,4-5", 10) == "0-1,4-5");
  CHECK(read("bytes=8-9 , 0-1,\t4-5,,", 10) == "8-9,0-1,4-5");
  CHECK(read("bytes=0-4,2-6", 10) == "0-6");
  CHECK(read("bytes=0-1,2-3", 10) == "0-3");
  CHECK(read("bytes=2-3,0-1", 10) == "0-3");
  CHECK(read("bytes=5-6,0-1,-4", 10) == "5-9,0-1");
  CHECK(read("bytes=0-0,4-4,8-8,1-3", 10) == "0-4,8-8");
  CHECK(read("bytes=8-8,4-4,0-0,1-7", 10) == "0-8");
  CHECK(read("bytes=0-0,2-2,-1,0-", 10) == "0-9");
}

TEST_CASE("a thousand ranges", "[http][range]") {
  std::string same = "bytes=0-";
  std::string apart = "bytes=0-0";
  std::string at_most = "bytes=0-0";
  for (size_t i = 1; i < 1000; ++i) {
    same += ",0-";
    apart += "," + std::to_string(i * 2) + "-" + std::to_string(i * 2);
    if (i == kRangesMax - 1) at_most = apart;
  }
  CHECK(read(same, 5000) == "0-4999");
  CHECK(read(apart, 5000) == "whole");
  RangeSet set;
  CHECK(read_ranges(at_most, 5000, set) == RangeAnswer::kPartial);
  CHECK(set.size() == kRangesMax);
  CHECK(read(at_most + ",1-1", 5000).starts_with("0-2,4-4"));
  CHECK(read(at_most + ",4000-", 5000) == "whole");
}

TEST_CASE("Content-Range of what is sent", "[http][range]") {
  char text[kContentRangeChars];
  CHECK(std::string_view(text, format_content_range({0, 99}, 1000, text)) == "bytes 0-99/1000");
  const std::string_view longest(
      text, format_content_range({UINT64_MAX - 1, UINT64_MAX - 1}, UINT64_MAX, text));
  CHECK(longest.size() == kContentRangeChars);
  CHECK(std::string_view(text, format_unsatisfied_range(1000, text)) == "bytes */1000");
}

TEST_CASE("Content-Range of what has come", "[http][range]") {
  ContentRange range;
  CHECK(read_content_range("bytes 0-99/1000", range));
  CHECK(range.satisfied);
  CHECK(range.has_length);
  CHECK(range.range == ByteRange{0, 99});
  CHECK(range.length_bytes == 1000);
  CHECK(read_content_range("Bytes 5-5/*", range));
  CHECK(range.satisfied);
  CHECK_FALSE(range.has_length);
  CHECK(read_content_range("bytes */7", range));
  CHECK_FALSE(range.satisfied);
  CHECK(range.length_bytes == 7);
  for (const char* text :
       {"", "bytes", "bytes */*", "bytes 0-9", "bytes 0-9/", "bytes 9-0/10", "bytes 0-10/10",
        "items 0-9/10", "bytes=0-9/10", "bytes 0-/10", "bytes -9/10", "bytes  0-9/10",
        "bytes/0-9 10", "bytes 0-9/1x", "bytes 0-99999999999999999999/*"}) {
    INFO(text);
    CHECK_FALSE(read_content_range(text, range));
  }
}

}  // namespace
}  // namespace weir::http
