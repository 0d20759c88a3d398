#include "filters/cache/invalidate.h"

#include <string>

#include "filters/cache/key.h"
#include "filters/cache/purges.h"
#include "http/cache_fields.h"
#include "http/freshness.h"

namespace weir::filters::cache {

namespace {

// With whatever query.
void drop_resource(Store& store, std::string_view origin, std::string_view path) {
  const std::string url = std::string(origin) + std::string(path);
  purge_url(store, url, Purge::kRemove);
  purge_prefix(store, url + "?", Purge::kRemove);
}

}  // namespace

void invalidate(Store& store, proxy::Exchange& exchange, const http::ResponseHead& head) {
  const http::RequestHead& request = exchange.request();
  if (!http::invalidates(request.method, head.status)) return;
  const std::string_view scheme = exchange.scheme();
  const std::string_view origin =
      origin_of(scheme, request.host, request.authority, exchange.arena());
  drop_resource(store, origin, request.path);
  std::string_view path = request.path;
  if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash != std::string_view::npos && slash > 0) {  // "/products" of "/products/5"
    drop_resource(store, origin, path.substr(0, slash));
    drop_resource(store, origin, path.substr(0, slash + 1));
  }
  for (const http::Header& field : head.headers) {
    if (field.id != http::HeaderId::kLocation &&
        http::cache_field(field.name) != http::CacheField::kContentLocation) {
      continue;
    }
    const std::string_view target = http::own_target(field.value, scheme, request.authority);
    if (!target.empty()) drop_resource(store, origin, target.substr(0, target.find('?')));
  }
}

}  // namespace weir::filters::cache
