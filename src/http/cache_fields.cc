#include "http/cache_fields.h"

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

}  // namespace weir::http
