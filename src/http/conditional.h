// Conditional requests (RFC 9110 13): what a request's If-* fields ask, against what is known of
// the representation that would be answered with. Pure functions; nothing is allocated.
#pragma once

#include <cstdint>
#include <optional>

#include "http/cache_fields.h"
#include "http/entity_tag.h"
#include "http/message.h"

namespace weir::http {

// What a representation can be told apart by. Views of its head, which must outlive this.
struct Validators {
  EntityTag tag;
  std::optional<int64_t> last_modified_s;  // Unix time
  std::optional<int64_t> date_s;           // when the answer that holds it was made
};
// Of an answer's head. `now_s` is for dates with two digits of a year.
Validators validators_of(const CacheFields& answer, int64_t now_s);

enum class Precondition : uint8_t {
  kProceed,      // do what the method says; a Range may be looked at now
  kNotModified,  // 304, for GET and HEAD
  kFailed,       // 412
};

// Who asks. A cache leaves If-Match and If-Unmodified-Since to the origin and takes Date where
// there is no Last-Modified (RFC 9111 4.3.2).
enum class Evaluator : uint8_t { kOrigin, kCache };

// RFC 9110 13.2.2, in its order; CONNECT, OPTIONS and TRACE have no preconditions (13.2.1).
// `selected` is null when there is no current representation. To be asked only where the answer
// would otherwise be a 2xx (13.2.1).
Precondition check_preconditions(Evaluator evaluator, Method method, const CacheFields& request,
                                 const Validators* selected, int64_t now_s);

// True when a request asks what only the origin may answer: If-Match, If-Unmodified-Since.
inline bool is_for_origin(const CacheFields& request) {
  return request.has(HeaderId::kIfMatch) || request.has(HeaderId::kIfUnmodifiedSince);
}

// RFC 9110 13.1.5: whether a Range is to be honoured. True without If-Range. A tag must be the same
// and strong; a date must be exactly Last-Modified, and that one at least a second older than Date,
// for else the content may have changed twice within it.
bool if_range_holds(const CacheFields& request, const Validators& selected, int64_t now_s);

}  // namespace weir::http
