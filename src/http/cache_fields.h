// The fields that caching, conditionals, ranges and content coding are about, found in one pass
// over a head. A head on a route that does none of this is never looked at by it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/strings.h"
#include "http/headers.h"

namespace weir::http {

enum class CacheField : uint8_t {
  kNone,
  // Of requests.
  kAcceptEncoding,
  kAuthorization,
  kIfMatch,
  kIfModifiedSince,
  kIfNoneMatch,
  kIfRange,
  kIfUnmodifiedSince,
  kPragma,
  kRange,
  // Of answers; Cache-Control of both.
  kAge,
  kCacheControl,
  kCdnCacheControl,
  kContentEncoding,
  kContentLocation,
  kContentRange,
  kDate,
  kEtag,
  kExpires,
  kLastModified,
  kSetCookie,
  kVary,
};
inline constexpr size_t kCacheFields = static_cast<size_t>(CacheField::kVary) + 1;

CacheField cache_field(std::string_view name);

// A view of a HeaderList: valid until that changes. Thread-confined; lives on the stack.
class CacheFields {
 public:
  explicit CacheFields(const HeaderList& headers);

  const HeaderList& headers() const { return *headers_; }
  bool has(CacheField field) const { return (present_ >> index(field) & 1) != 0; }
  bool repeated(CacheField field) const { return (repeated_ >> index(field) & 1) != 0; }
  // The value of the first line of that field; empty when there is none.
  std::string_view first(CacheField field) const {
    return has(field) ? first_[index(field)]->value : std::string_view();
  }
  // The value of a field that may be there once only; empty when it is there twice.
  std::string_view single(CacheField field) const {
    return repeated(field) ? std::string_view() : first(field);
  }
  // Calls visit(value) for each line of that field, in order.
  template <typename Visit>
  void for_each(CacheField field, Visit visit) const {
    if (!has(field)) return;
    const Header* at = first_[index(field)];
    visit(at->value);
    if (!repeated(field)) return;
    const std::string_view name = at->name;
    for (++at; at != headers_->end(); ++at) {
      if (iequals(at->name, name)) visit(at->value);
    }
  }

 private:
  static size_t index(CacheField field) { return static_cast<size_t>(field); }

  const HeaderList* headers_;
  uint32_t present_ = 0;
  uint32_t repeated_ = 0;
  const Header* first_[kCacheFields];  // set where present_ says so
};

}  // namespace weir::http
