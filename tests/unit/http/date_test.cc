#include <catch2/catch.hpp>

#include "http/date.h"

using weir::http::DateCache;

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
  }
}
