#include "filters/cache/invalidate.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "filters/cache/key.h"
#include "filters/cache/purges.h"
#include "filters/cache/tier_written.h"
#include "http/cache_fields.h"
#include "http/freshness.h"
#include "net/helpers.h"

namespace weir::filters::cache {

namespace {

// Answers that may go on the loop, some hundred microseconds of it. The rest is a helper's.
constexpr size_t kAtOnce = 500;
// Of Location and Content-Location: an answer has one of each.
constexpr size_t kTargetsMax = 4;

using Urls = std::vector<std::string>;

// Its URL, and the collection that it stands in: "/products" of "/products/5", with the slash or
// without.
Urls resource_of(std::string_view origin, std::string_view path) {
  Urls urls;
  const auto add = [&](std::string_view of) {
    urls.push_back(std::string(origin) + std::string(of));
  };
  add(path);
  if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return urls;
  add(path.substr(0, slash));
  add(path.substr(0, slash + 1));
  return urls;
}

bool has(const Urls& urls, std::string_view url) {
  return std::find(urls.begin(), urls.end(), url) != urls.end();
}

// Where nobody can purge it all any time soon, everything is validated before it is used again.
void purge_later(Store& store, Urls urls) {
  const bool taken = net::helpers().submit(
      [&store, urls = std::move(urls)] { purge_resources(store, urls, SIZE_MAX); });
  if (!taken) purge_all(store, Purge::kSoft);
}

// What is purged together has one walk: better that it has much of its text in common.
void drop(Store& store, Urls urls) {
  if (!purge_resources(store, urls, kAtOnce)) purge_later(store, std::move(urls));
}

}  // namespace

void invalidate(Store& store, proxy::Exchange& exchange, const http::ResponseHead& head) {
  const http::RequestHead& request = exchange.request();
  if (!http::invalidates(request.method, head.status)) return;
  const std::string_view scheme = exchange.scheme();
  const std::string_view origin =
      origin_of(scheme, request.host, request.authority, exchange.arena());
  Urls own = resource_of(origin, request.path);
  Urls others;
  for (const http::Header& field : head.headers) {
    if (field.id != http::HeaderId::kLocation && field.id != http::HeaderId::kContentLocation) {
      continue;
    }
    const std::string_view path =
        http::own_path(field.value, {scheme, request.authority, request.path}, exchange.arena());
    if (path.empty() || others.size() == kTargetsMax) continue;
    std::string url = std::string(origin) + std::string(path);
    if (has(own, url) || has(others, url)) continue;
    others.push_back(std::move(url));
  }
  Urls all = own;
  all.insert(all.end(), others.begin(), others.end());
  TierWritten::tell(exchange.worker(),
                    all);  // first: what is looked up meanwhile is not brought back
  drop(store, std::move(own));
  for (std::string& url : others) drop(store, {std::move(url)});
}

}  // namespace weir::filters::cache
