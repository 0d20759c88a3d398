// The fields that caching, conditionals, ranges and content coding are about, found in one pass
// over a head. A head on a route that does none of this is never looked at by it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace weir::http {

// A view of a HeaderList: valid until that changes. Knows those of kCachingMask, and no others.
// Thread-confined; lives on the stack.
class CacheFields {
 public:
  explicit CacheFields(const HeaderList& headers);

  const HeaderList& headers() const { return *headers_; }
  bool has(HeaderId field) const { return (present_ & bit(field)) != 0; }
  bool repeated(HeaderId field) const { return (repeated_ & bit(field)) != 0; }
  // The value of the first line of that field; empty when there is none.
  std::string_view first(HeaderId field) const {
    return has(field) ? first_[index(field)]->value : std::string_view();
  }
  // The value of a field that may be there once only; empty when it is there twice.
  std::string_view single(HeaderId field) const {
    return repeated(field) ? std::string_view() : first(field);
  }
  // All lines as one (RFC 9110 5.3); several are put together in the arena.
  std::string_view joined(HeaderId field, Arena& arena) const;
  // Calls visit(value) for each line of that field, in order.
  template <typename Visit>
  void for_each(HeaderId field, Visit visit) const {
    if (!has(field)) return;
    const Header* at = first_[index(field)];
    visit(at->value);
    if (!repeated(field)) return;
    for (++at; at != headers_->end(); ++at) {
      if (at->id == field) visit(at->value);
    }
  }

 private:
  static size_t index(HeaderId field) {
    return static_cast<size_t>(field) - static_cast<size_t>(kCachingFirst);
  }

  const HeaderList* headers_;
  uint64_t present_ = 0;
  uint64_t repeated_ = 0;
  const Header* first_[kCachingFields];  // set where present_ says so
};

}  // namespace weir::http
