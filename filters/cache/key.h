// The primary key of an answer: the URL as it was asked for, and what else of the request the route
// says tells answers apart.
//
//   https://example.com/products?a=1&b=2<LF>v=3:app
//   https://example.com/products?a=1<LF>h:x-tenant=4:acme<LF>u=2:42<LF>v=3:app
//
// The upstream is always one of them, and so is what a route's `match` asks for: other routes, on
// other listeners maybe, may give the same URL another meaning.
//
// Each part behind the URL has its length before it, and no URL has a line feed: no two requests
// that differ in what counts have one key (T28). Purges by URL and by prefix find them by text.
#pragma once

#include <string_view>

#include "base/arena.h"
#include "filters/cache/options.h"

namespace weir::http {
struct RequestHead;
}
namespace weir::proxy {
struct Conditions;
struct Subject;
}  // namespace weir::proxy

namespace weir::filters::cache {

struct Keyed {
  const http::RequestHead& head;
  std::string_view scheme;
  const proxy::Subject* subject = nullptr;        // null: nobody was asked, or nobody in particular
  std::string_view upstream;                      // that answers; empty: not known
  const proxy::Conditions* conditions = nullptr;  // that the route asks for beside its path
};

// A URL, taken apart.
struct UrlParts {
  std::string_view origin;  // origin_of()
  std::string_view path;
  std::string_view query;  // without "?"
  bool has_query = false;  // there is a "?"
};

// What keys begin with. In the arena; empty where no key is as long.
std::string_view url_of_key(const KeyOptions& options, const UrlParts& url, Arena& arena);

// Whether the route's `user` is known of the request: it keys nobody else's answers.
bool knows_user(const KeyOptions& options, const proxy::Subject* subject);

// In the arena. Empty where the key is longer than the store takes.
std::string_view make_key(const KeyOptions& options, const Keyed& request, Arena& arena);

// What stands behind the scheme in the key of a request: the host in lower case, the port only
// where it is not the scheme's.
std::string_view authority_of_key(const http::RequestHead& request, std::string_view scheme,
                                  Arena& arena);

// "https://example.com" of a request, as keys begin: the port only where it is not the scheme's.
// REQUIRES that `host` is http::host_of(authority): that never adds anything, so where both are of
// one size the authority has no port.
std::string_view origin_of(std::string_view scheme, std::string_view host,
                           std::string_view authority, Arena& arena);

}  // namespace weir::filters::cache
