#include "proxy/conditions.h"

#include <algorithm>

#include "base/strings.h"
#include "http/params.h"

namespace weir::proxy {

bool Condition::holds(const http::RequestHead& request) const {
  bool found = false;
  switch (kind) {
    case Kind::kHeader:
      for (const http::Header& header : request.headers) {
        if (header.value == value && iequals(header.name, name)) return true;
      }
      break;
    case Kind::kQuery:
      http::for_each_parameter(request.query, [&](std::string_view key, std::string_view given) {
        found = found || (http::equals_decoded(key, name) && http::equals_decoded(given, value));
      });
      break;
    case Kind::kCookie:
      http::for_each_cookie(request.headers, [&](std::string_view key, std::string_view given) {
        found = found || (key == name && given == value);
      });
      break;
  }
  return found;
}

const Condition* Conditions::first_failing(const http::RequestHead& request) const {
  for (const Condition& condition : named) {
    if (!condition.holds(request)) return &condition;
  }
  return nullptr;
}

bool Conditions::cover(const Conditions& narrower) const {
  const bool methods_cover =
      methods == 0 || (narrower.methods != 0 && (narrower.methods & ~methods) == 0);
  return methods_cover &&
         std::includes(narrower.named.begin(), narrower.named.end(), named.begin(), named.end());
}

}  // namespace weir::proxy
