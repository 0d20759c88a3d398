#include "http/date.h"

#include <catch2/catch.hpp>

#include <string>

using weir::http::DateCache;
using weir::http::parse_date;

namespace {

constexpr int64_t kNow = 1'764'219'600;  // Thu, 27 Nov 2025 05:00:00 GMT
constexpr int64_t kBad = -1;

int64_t parsed(std::string_view text, int64_t now_s = kNow) {
  int64_t time_s = 0;
  return parse_date(text, now_s, time_s) ? time_s : kBad;
}

}  // namespace

TEST_CASE("IMF-fixdate", "[http][date]") {
  const struct {
    std::time_t at_s;
    const char* text;
  } rows[] = {
      {0, "Thu, 01 Jan 1970 00:00:00 GMT"},          {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
      {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},  {1709251199, "Thu, 29 Feb 2024 23:59:59 GMT"},
      {1735689599, "Tue, 31 Dec 2024 23:59:59 GMT"}, {4102444800, "Fri, 01 Jan 2100 00:00:00 GMT"},
  };
  DateCache cache;
  for (const auto& row : rows) {
    CHECK(cache.at(row.at_s) == row.text);
    CHECK(cache.at(row.at_s) == row.text);
    CHECK(parsed(row.text) == row.at_s);
  }
}

TEST_CASE("the three forms of a date", "[http][date]") {
  CHECK(parsed("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  CHECK(parsed("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777);
  CHECK(parsed("Sun Nov  6 08:49:37 1994") == 784111777);
  CHECK(parsed("Wed Nov 16 08:49:37 1994") == 784975777);
  CHECK(parsed("Wednesday, 16-Nov-94 08:49:37 GMT") == 784975777);
  CHECK(parsed("Thu, 01 Jan 1600 00:00:00 GMT") == -11676096000);
}

TEST_CASE("every day of four hundred years, and none that is none", "[http][date]") {
  char text[weir::http::kDateChars];
  int64_t wrong = 0;
  for (int64_t day = 0; day < 146'097; ++day) {
    const int64_t at_s = day * 86'400 + day % 86'400;
    weir::http::format_date(at_s, text);
    if (parsed({text, sizeof text}) != at_s) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(parsed("Wed, 29 Feb 2023 00:00:00 GMT") == kBad);
  CHECK(parsed("Thu, 29 Feb 1900 00:00:00 GMT") == kBad);
  CHECK(parsed("Mon, 31 Apr 2023 00:00:00 GMT") == kBad);
  CHECK(parsed("Mon, 00 Apr 2023 00:00:00 GMT") == kBad);
}

TEST_CASE("names of a date in any case, and another day's name", "[http][date]") {
  CHECK(parsed("SUN, 06 nov 1994 08:49:37 gMT") == 784111777);
  CHECK(parsed("sunday, 06-NOV-94 08:49:37 gmt") == 784111777);
  CHECK(parsed("sUN nOV  6 08:49:37 1994") == 784111777);
  CHECK(parsed("Mon, 06 Nov 1994 08:49:37 GMT") == 784111777);
}

TEST_CASE("the century of a year with two digits", "[http][date]") {
  CHECK(parsed("Sunday, 06-Nov-70 08:49:37 GMT") == 3'182'489'377);  // 2070: less than 50 years off
  CHECK(parsed("Sunday, 06-Nov-80 08:49:37 GMT") == 342'348'577);    // 1980, not 2080
  CHECK(parsed("Thursday, 01-Jan-99 00:00:00 GMT", 946'684'800) == 915'148'800);
  CHECK(parsed("Monday, 01-Jan-01 00:00:00 GMT", 915'148'800) == 978'307'200);  // asked in 1999
}

TEST_CASE("texts that are no dates", "[http][date]") {
  for (const char* text : {
           "",
           "0",
           "-1",
           "Sun, 06 Nov 1994 08:49:37 UTC",
           "Sun, 06 Nov 1994 08:49:37 +00",
           "Sun, 06 Nov 1994 08:49:37",
           "Sun, 06 Nov 94 08:49:37 GMT",
           "Sun 06 Nov 1994 08:49:37 GMT",
           "Sun, 06  Nov  1994 08:49:37 GMT",
           "Sun, 06-Nov-1994 08:49:37 GMT",
           "Sun, 06 Nov 1994 08.49.37 GMT",
           "Sun, 06 Nov 1994 8:49:37 GMT",
           "Sun, 6 Nov 1994 08:49:37 GMT",
           "Sun, 06 Nox 1994 08:49:37 GMT",
           "Xun, 06 Nov 1994 08:49:37 GMT",
           "Sun, 06 Nov 1994 24:49:37 GMT",
           "Sun, 06 Nov 1994 08:60:37 GMT",
           "Sun, 06 Nov 1994 08:49:61 GMT",
           "Sun, +6 Nov 1994 08:49:37 GMT",
           "Sun, 06-Nov-94 08:49:37 GMT",
           "Sunday, 06 Nov 94 08:49:37 GMT",
           "Sunday, 06-Nov-1994 08:49:37 GMT",
           "Sun Nov 06 08:49:37 94",
           "Sun Nov  6 08:49:37 1994 ",
           "Sun Nov 6  08:49:37 1994",
           " Sun, 06 Nov 1994 08:49:37 GMT",
       }) {
    INFO(text);
    CHECK(parsed(text) == kBad);
  }
}
