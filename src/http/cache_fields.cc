#include "http/cache_fields.h"

#include "base/strings.h"

namespace weir::http {

CacheFields::CacheFields(const HeaderList& headers) : headers_(&headers) {
  for (const Header& header : headers) {
    const uint64_t mark = bit(header.id) & kCachingMask;
    if (mark == 0) continue;
    repeated_ |= present_ & mark;
    if ((present_ & mark) == 0) first_[index(header.id)] = &header;
    present_ |= mark;
  }
}

std::string_view CacheFields::joined(HeaderId field, Arena& arena) const {
  if (!repeated(field)) return first(field);
  constexpr std::string_view kBetween = ", ";
  size_t bytes = 0;
  for_each(field, [&](std::string_view line) { bytes += line.size() + kBetween.size(); });
  auto* const text = static_cast<char*>(arena.allocate(bytes, 1));
  char* at = text;
  for_each(field, [&](std::string_view line) {
    if (at != text) at = put_text(at, kBetween);
    at = put_text(at, line);
  });
  return {text, static_cast<size_t>(at - text)};
}

}  // namespace weir::http
