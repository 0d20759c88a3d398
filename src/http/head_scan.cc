#include <algorithm>
#include <cstring>

#include "http/chars.h"
#include "http/rules.h"

namespace weir::http {
namespace {

constexpr size_t kBlankLinesMax = 4;

const char* control_reason(char c) {
  if (c == '\n') return "bare_lf";
  return c == '\0' ? "nul" : "control_byte";
}

// How many bytes of CRLF precede the request line; a fifth blank line is left for the caller to
// refuse.
size_t skip_blank_lines(std::string_view bytes) {
  size_t at = 0;
  while (at < 2 * kBlankLinesMax && bytes.substr(at, 2) == "\r\n") at += 2;
  return at;
}

bool starts_fold(std::string_view window, size_t line) {
  return line < window.size() && (window[line] == ' ' || window[line] == '\t');
}

// At a CRLF behind a line that is not blank, and before what is neither a blank one nor folds.
bool ends_plain_line(std::string_view window, size_t at) {
  return at + 2 < window.size() && window[at] == '\r' && window[at + 1] == '\n' &&
         window[at - 1] != '\n' && static_cast<uint8_t>(window[at + 2]) > ' ';
}

}  // namespace

HeadScan scan_head(std::string_view bytes, size_t from, bool request, const HeadLimits& limits) {
  HeadScan scan;
  const auto refuse = [&scan](int status, const char* reason) {
    scan.refusal = {status, reason};
    return scan;
  };
  scan.begin = request ? skip_blank_lines(bytes) : 0;
  const size_t begin = scan.begin;
  const std::string_view window = bytes.substr(0, begin + limits.header_size_bytes);
  size_t at = std::max(from, begin);
  const size_t start_line_max = start_line_bytes_max(limits);
  bool start_line_open = true;
  if (at > begin) {
    start_line_open = std::memchr(window.data() + begin, '\n', at - begin) == nullptr;
    if (!start_line_open && window[at - 1] == '\n' && starts_fold(window, at)) {
      return refuse(400, "obs_fold");
    }
  }

  for (;;) {
    at = find_control(window, at);
    if (!start_line_open && ends_plain_line(window, at)) {  // nearly always
      at += 2;
      continue;
    }
    // Before any other verdict, so that it does not depend on how much has come.
    if (start_line_open && request && at - begin > start_line_max) {
      return refuse(414, "uri_too_long");
    }
    if (at + 1 >= window.size()) break;  // nothing, or a byte that the next one explains
    if (window[at] == '\t') {
      ++at;
      continue;
    }
    if (window[at] != '\r') return refuse(400, control_reason(window[at]));
    if (window[at + 1] != '\n') return refuse(400, "bare_cr");
    if (at == begin) return refuse(400, "blank_start_line");
    if (window[at - 1] == '\n') {
      scan.end = at + 2;
      return scan;
    }
    start_line_open = false;
    at += 2;
    if (starts_fold(window, at)) return refuse(400, "obs_fold");
  }

  if (at < window.size() && window[at] != '\r' && window[at] != '\t') {
    return refuse(400, control_reason(window[at]));
  }
  if (window.size() - begin == limits.header_size_bytes) return refuse(431, "head_too_large");
  scan.resume = at;
  return scan;
}

}  // namespace weir::http
