// Named values inside a request: parameters of its query (as HTML forms write them) and cookies of
// its Cookie fields (RFC 6265 4.2). Pure functions on views; nothing is copied or allocated.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/strings.h"
#include "http/headers.h"

namespace weir::http {

// True when `encoded`, percent-decoded and with every "+" read as a space, is `plain`. A broken
// escape stands for itself.
bool equals_decoded(std::string_view encoded, std::string_view plain);
// The same decoding into `out`; `size` is what was written. False when it does not fit.
bool decode(std::string_view encoded, std::span<char> out, size_t& size);

// Calls visit(name, value) for each "name=value" of a query, still encoded, in order. A name alone
// has an empty value; empty pieces are skipped.
template <typename Visit>
void for_each_parameter(std::string_view query, Visit visit) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view piece = query.substr(0, end);
    const size_t equals = piece.find('=');
    if (!piece.empty()) {
      visit(piece.substr(0, equals),
            equals == std::string_view::npos ? std::string_view() : piece.substr(equals + 1));
    }
    if (end == std::string_view::npos) return;
    query.remove_prefix(end + 1);
  }
}

// Calls visit(name, value) for each cookie of every Cookie field, as it was sent, in order. What
// has no "=" names nothing and is skipped.
template <typename Visit>
void for_each_cookie(const HeaderList& headers, Visit visit) {
  for (const Header& header : headers) {
    if (header.id != HeaderId::kCookie) continue;
    for (std::string_view rest = header.value; !rest.empty();) {
      const size_t end = rest.find(';');
      const std::string_view piece = trim_ows(rest.substr(0, end));
      const size_t equals = piece.find('=');
      if (equals != std::string_view::npos) {
        visit(trim_ows(piece.substr(0, equals)), trim_ows(piece.substr(equals + 1)));
      }
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
}

}  // namespace weir::http
