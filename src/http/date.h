// Dates as fields carry them (RFC 9110 5.6.7): written as IMF-fixdate, read in all three forms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string_view>

namespace weir::http {

constexpr size_t kDateChars = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"

// Writes kDateChars to `out`. Years have four digits: up to 9999.
void format_date(std::time_t time_s, char* out);

// The Unix time of an IMF-fixdate, an RFC 850 date or what asctime() writes; names in any case
// (RFC 9111 4.2), nothing else but the form is forgiven: not another zone, not a missing digit. The
// name of the day is not held against the date. `now_s` decides on the century of a year with two
// digits: the one that is less than 50 years off.
bool parse_date(std::string_view text, int64_t now_s, int64_t& out_s);

// The Date field, formatted once a second. One per worker. The view is valid until the next call.
class DateCache {
 public:
  std::string_view at(std::time_t now_s);

 private:
  std::time_t formatted_s_ = -1;
  char text_[kDateChars] = {};
};

}  // namespace weir::http
