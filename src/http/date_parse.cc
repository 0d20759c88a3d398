#include "base/strings.h"
#include "http/date.h"

namespace weir::http {
namespace {

constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
constexpr size_t kShortName = 3;  // letters of a day's and a month's name

struct Fields {
  int year = 0;
  int month = 0;  // 1 to 12
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

// Reads exactly the digits of text[at, at + count).
bool read_digits(std::string_view text, size_t at, size_t count, int& out) {
  out = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  return true;
}

bool is_short_day(std::string_view text) {
  for (const std::string_view day : kDays) {
    if (iequals(text, day.substr(0, kShortName))) return true;
  }
  return false;
}

bool is_long_day(std::string_view text) {
  for (const std::string_view day : kDays) {
    if (iequals(text, day)) return true;
  }
  return false;
}

// REQUIRES three bytes.
bool read_month(std::string_view text, int& out) {
  constexpr std::string_view kMonths = "janfebmaraprmayjunjulaugsepoctnovdec";
  const char name[] = {to_lower(text[0]), to_lower(text[1]), to_lower(text[2])};
  for (size_t at = 0; at < kMonths.size(); at += kShortName) {
    if (kMonths[at] == name[0] && kMonths[at + 1] == name[1] && kMonths[at + 2] == name[2]) {
      out = static_cast<int>(at / kShortName) + 1;
      return true;
    }
  }
  return false;
}

// "08:49:37", REQUIRES eight bytes at `at`.
bool read_time(std::string_view text, size_t at, Fields& out) {
  return text[at + 2] == ':' && text[at + 5] == ':' && read_digits(text, at, 2, out.hour) &&
         read_digits(text, at + 3, 2, out.minute) && read_digits(text, at + 6, 2, out.second);
}

// "Sun, 06 Nov 1994 08:49:37 GMT", REQUIRES its size.
bool read_imf(std::string_view text, Fields& out) {
  return is_short_day(text.substr(0, 3)) && text.substr(3, 2) == ", " && text[7] == ' ' &&
         text[11] == ' ' && text[16] == ' ' && read_digits(text, 5, 2, out.day) &&
         read_month(text.substr(8, 3), out.month) && read_digits(text, 12, 4, out.year) &&
         read_time(text, 17, out) && iequals(text.substr(25), " gmt");
}

// "Sun Nov  6 08:49:37 1994", REQUIRES its size.
bool read_asctime(std::string_view text, Fields& out) {
  const bool padded = text[8] == ' ';
  return is_short_day(text.substr(0, 3)) && text[3] == ' ' && text[7] == ' ' && text[10] == ' ' &&
         text[19] == ' ' && read_month(text.substr(4, 3), out.month) &&
         read_digits(text, padded ? 9 : 8, padded ? 1 : 2, out.day) && read_time(text, 11, out) &&
         read_digits(text, 20, 4, out.year);
}

// "06-Nov-94 08:49:37 GMT" behind the day's name; the year comes out with its two digits.
bool read_rfc850(std::string_view text, Fields& out) {
  constexpr size_t kChars = 22;
  return text.size() == kChars && text[2] == '-' && text[6] == '-' && text[9] == ' ' &&
         read_digits(text, 0, 2, out.day) && read_month(text.substr(3, 3), out.month) &&
         read_digits(text, 7, 2, out.year) && read_time(text, 10, out) &&
         iequals(text.substr(18), " gmt");
}

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

bool is_in_range(const Fields& date) {
  constexpr int kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int last = kLengths[date.month - 1] + (date.month == 2 && is_leap(date.year) ? 1 : 0);
  return date.day >= 1 && date.day <= last && date.hour <= 23 && date.minute <= 59 &&
         date.second <= 60;  // a leap second
}

// Days since 1970 in the Gregorian calendar: years are counted from March, so that the leap day is
// their last, and in eras of 400 of them, which are all of one length.
int64_t days_since_epoch(const Fields& date) {
  constexpr int64_t kDaysPerEra = 146'097;
  constexpr int64_t kEpoch = 719'468;  // 1970-01-01, from 0000-03-01
  const int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t month = (date.month + 9) % 12;
  const int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * kDaysPerEra + day_of_era - kEpoch;
}

int64_t unix_time(const Fields& date) {
  return days_since_epoch(date) * 86'400 + date.hour * 3'600 + date.minute * 60 + date.second;
}

// The year of these two digits that is nearest (RFC 9110 5.6.7).
int full_year(Fields date, int64_t now_s) {
  constexpr int64_t kYearS = 31'556'952;
  const int two_digits = date.year;
  const int this_year = 1970 + static_cast<int>(now_s / kYearS);
  date.year = this_year - this_year % 100 + two_digits;
  const int64_t off_s = unix_time(date) - now_s;
  if (off_s > 50 * kYearS) return date.year - 100;
  return off_s < -50 * kYearS ? date.year + 100 : date.year;
}

}  // namespace

bool parse_date(std::string_view text, int64_t now_s, int64_t& out_s) {
  constexpr size_t kAsctimeChars = 24;
  Fields date;
  if (text.size() == kDateChars) {
    if (!read_imf(text, date)) return false;
  } else if (text.size() == kAsctimeChars) {
    if (!read_asctime(text, date)) return false;
  } else {
    const size_t comma = text.find(", ");
    if (comma == std::string_view::npos || !is_long_day(text.substr(0, comma)) ||
        !read_rfc850(text.substr(comma + 2), date)) {
      return false;
    }
    date.year = full_year(date, now_s);
  }
  if (!is_in_range(date)) return false;
  out_s = unix_time(date);
  return true;
}

}  // namespace weir::http
