#include "http/date.h"

#include <cstring>

namespace weir::http {
namespace {

char* put_two(char* at, int value) {
  *at++ = static_cast<char>('0' + value / 10);
  *at++ = static_cast<char>('0' + value % 10);
  return at;
}

char* put(char* at, std::string_view text) {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

}  // namespace

void format_date(std::time_t time_s, char* out) {
  constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  std::tm utc{};
  gmtime_r(&time_s, &utc);
  const int year = utc.tm_year + 1900;
  out = put(out, kDays.substr(static_cast<size_t>(utc.tm_wday) * 3, 3));
  out = put_two(put(out, ", "), utc.tm_mday);
  *out++ = ' ';
  out = put(out, kMonths.substr(static_cast<size_t>(utc.tm_mon) * 3, 3));
  *out++ = ' ';
  out = put_two(put_two(out, year / 100), year % 100);
  *out++ = ' ';
  out = put_two(out, utc.tm_hour);
  *out++ = ':';
  out = put_two(out, utc.tm_min);
  *out++ = ':';
  out = put_two(out, utc.tm_sec);
  put(out, " GMT");
}

std::string_view DateCache::at(std::time_t now_s) {
  if (now_s != formatted_s_) {
    format_date(now_s, text_);
    formatted_s_ = now_s;
  }
  return {text_, kDateChars};
}

}  // namespace weir::http
