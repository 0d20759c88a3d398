#include "filters/auth/request_part.h"

#include <algorithm>

#include "base/strings.h"
#include "filters/auth/authorization.h"
#include "http/params.h"
#include "http/rules.h"

namespace weir::filters::auth {

namespace {

FoundToken find_in(const Part& part, const http::HeaderList& headers) {
  FoundToken found;
  const auto take = [&found](std::string_view value) {
    found.several |= !found.token.empty();
    found.token = value;
  };
  if (part.kind == Part::Kind::kBearer) {
    const Authorization sent = find_authorization(headers, "Bearer");
    return {sent.credentials, sent.state == Authorization::State::kTwice};
  }
  if (part.kind == Part::Kind::kHeader) {
    for (const http::Header& header : headers) {
      // A look-alike, which a server may take for it, is held to the same.
      if (http::same_variable(header.name, part.name)) take(header.value);
    }
  } else {
    http::for_each_cookie(headers, [&](std::string_view name, std::string_view value) {
      if (name == part.name) take(value);
    });
  }
  return found;
}

std::string_view first_label(std::string_view host) {
  const size_t dot = host.find('.');
  return dot == std::string_view::npos ? std::string_view() : host.substr(0, dot);
}

}  // namespace

FoundToken find_token(const std::vector<Part>& places, const http::HeaderList& headers) {
  for (const Part& part : places) {
    const FoundToken found = find_in(part, headers);
    if (found.several || !found.token.empty()) return found;
  }
  return {};
}

bool matches(const Part& part, std::string_view claim, const http::RequestHead& head) {
  bool same = true;
  switch (part.kind) {
    case Part::Kind::kHost: return iequals(head.host, claim);
    case Part::Kind::kSubdomain: return iequals(first_label(head.host), claim);
    case Part::Kind::kQuery:
      http::for_each_parameter(head.query, [&](std::string_view name, std::string_view value) {
        if (http::equals_decoded(name, part.name)) same &= http::equals_decoded(value, claim);
      });
      return same;
    case Part::Kind::kCookie:
      http::for_each_cookie(head.headers, [&](std::string_view name, std::string_view value) {
        if (name == part.name) same &= value == claim;
      });
      return same;
    case Part::Kind::kHeader:
    case Part::Kind::kBearer:
      return std::all_of(head.headers.begin(), head.headers.end(), [&](const auto& header) {
        return !http::same_variable(header.name, part.name) || header.value == claim;
      });
  }
  return false;
}

}  // namespace weir::filters::auth
