// What a route asks of a request beside its path: `methods` and `match`. Immutable once built; any
// thread. Evaluation allocates nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "http/message.h"

namespace weir::proxy {

// One named value that a request must have. Of several fields, parameters or cookies of that name,
// one is enough.
struct Condition {
  enum class Kind : uint8_t { kHeader, kQuery, kCookie };
  Kind kind = Kind::kHeader;
  std::string name;   // of a header in lower case, matched without regard to case; others exactly
  std::string value;  // exact; a query's is compared percent-decoded

  bool holds(const http::RequestHead& request) const;
  friend auto operator<=>(const Condition&, const Condition&) = default;
};

struct Conditions {
  http::MethodSet methods = 0;   // 0: any
  std::vector<Condition> named;  // every one must hold; sorted

  bool empty() const { return methods == 0 && named.empty(); }
  bool take_method(http::Method method) const {
    return methods == 0 || (methods & http::bit(method)) != 0;
  }
  // The first of `named` that does not hold; null when all do.
  const Condition* first_failing(const http::RequestHead& request) const;
  // `method` takes the place of the request's own.
  bool hold(const http::RequestHead& request, http::Method method) const {
    return empty() || (take_method(method) && first_failing(request) == nullptr);
  }
  // Every request that meets `narrower` meets these.
  bool cover(const Conditions& narrower) const;
};

}  // namespace weir::proxy
