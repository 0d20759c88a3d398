#include "http/head_fields.h"

#include <algorithm>
#include <bit>

#include "base/strings.h"
#include "http/chars.h"
#include "http/rules.h"

namespace weir::http {
namespace {

constexpr uint64_t kFramingMask = bit(HeaderId::kContentLength) | bit(HeaderId::kTransferEncoding);

bool is_plain_framing(HeaderId id, std::string_view value) {
  constexpr size_t kDigitsMax = 18;  // of what surely fits a signed 64-bit number
  if (id == HeaderId::kTransferEncoding) return iequals(value, "chunked");
  return !value.empty() && value.size() <= kDigitsMax &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The first byte from `at` on that is no token byte: there is one before `end`.
const char* token_end(const char* at, const char* end) {
#if defined(__SSE2__)
  for (; end - at >= 16; at += 16) {
    const unsigned others = plain_token_mask(at) ^ 0xffffu;
    if (others == 0) continue;
    at += std::countr_zero(others);
    break;
  }
#endif
  while (is_byte(*at, kTokenByte)) ++at;
  return at;
}

// The first control byte from `at` on: there is one before `end`. find_control() has to be ready
// for a text that ends without.
const char* control_byte(const char* at, const char* end) {
#if defined(__SSE2__)
  for (; end - at >= 16; at += 16) {
    const unsigned mask = control_mask(at);
    if (mask != 0) return at + std::countr_zero(mask);
  }
#endif
  while (!is_byte(*at, kControlByte)) ++at;
  return at;
}

}  // namespace

bool is_plain_start(const RequestHead& head) {
  return head.method != Method::kOther && head.method != Method::kConnect &&
         head.target.starts_with('/') && is_request_target(head.target);
}

size_t split_fields(std::string_view bytes, size_t start_line_bytes, HeaderList& headers,
                    uint32_t headers_max) {
  headers.clear();
  // This stops every search below.
  if (start_line_bytes + 4 > bytes.size() || !bytes.ends_with("\r\n\r\n")) return 0;
  const char* const end = bytes.data() + bytes.size();
  const char* at = bytes.data() + start_line_bytes;
  if (at[0] != '\r' || at[1] != '\n') return 0;
  at += 2;
  uint32_t framings = 0;
  while (*at != '\r') {
    const char* const colon = token_end(at, end);
    if (*colon != ':' || colon == at || headers.size() == headers_max) return 0;
    const char* from = colon + 1;
    if (*from == ' ') ++from;
    const char* cr = control_byte(from, end);
    while (*cr == '\t') cr = control_byte(cr + 1, end);
    if (cr[0] != '\r' || cr[1] != '\n') return 0;
    const std::string_view name(at, static_cast<size_t>(colon - at));
    const std::string_view whole(from, static_cast<size_t>(cr - from));
    const bool has_blanks = is_ows(*from) || is_ows(cr[-1]);
    const std::string_view value = has_blanks ? trim_ows(whole) : whole;
    const HeaderId id = classify(name);
    if ((bit(id) & kFramingMask) != 0 &&
        (++framings > 1 || has_blanks || !is_plain_framing(id, value))) {
      return 0;
    }
    headers.add(name, value, id, from == colon + 2 && value.size() == whole.size());
    at = cr + 2;
  }
  return at + 2 <= end && at[1] == '\n' ? static_cast<size_t>(at + 2 - bytes.data()) : 0;
}

}  // namespace weir::http
