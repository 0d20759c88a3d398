// Dates as fields carry them: IMF-fixdate (RFC 9110 5.6.7).
#pragma once

#include <cstddef>
#include <ctime>
#include <string_view>

namespace weir::http {

constexpr size_t kDateChars = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"

// Writes kDateChars to `out`. Years have four digits: up to 9999.
void format_date(std::time_t time_s, char* out);

// The Date field, formatted once a second. One per worker. The view is valid until the next call.
class DateCache {
 public:
  std::string_view at(std::time_t now_s);

 private:
  std::time_t formatted_s_ = -1;
  char text_[kDateChars] = {};
};

}  // namespace weir::http
