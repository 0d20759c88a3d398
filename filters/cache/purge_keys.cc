#include "filters/cache/purge_keys.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/arena.h"
#include "filters/cache/factory.h"
#include "filters/cache/key.h"
#include "http/rules.h"
#include "http/url.h"
#include "proxy/snapshot.h"

namespace weir::filters::cache {

namespace {

using proxy::Snapshot;

std::string_view origin_of_url(const http::Url& url, Arena& arena) {
  return origin_of(url.scheme, http::host_of(url.authority, arena), url.authority, arena);
}

// Sites that serve the host on some listener.
std::vector<const proxy::Site*> sites_of(const Snapshot& snapshot, std::string_view host) {
  std::vector<const proxy::Site*> sites;
  for (const proxy::HostIndex& index : snapshot.hosts) {
    const uint32_t number = index.find(host);
    if (number >= snapshot.sites.size()) continue;
    const proxy::Site* const site = &snapshot.sites[number];
    if (std::find(sites.begin(), sites.end(), site) == sites.end()) sites.push_back(site);
  }
  return sites;
}

}  // namespace

std::vector<std::string> keys_of_url(std::string_view text, const Snapshot& snapshot) {
  BlockPool pool;
  Arena arena(pool);
  const std::optional<http::Url> url = http::parse_url(text);
  if (!url) return {};
  const std::string_view target = url->target;
  const size_t mark = std::min(target.find('?'), target.size());
  const UrlParts parts = {.origin = origin_of_url(*url, arena),
                          .path = target.substr(0, mark),
                          .query = target.substr(std::min(mark + 1, target.size())),
                          .has_query = mark < target.size()};
  std::vector<std::string> keys;
  const auto add = [&](const KeyOptions& options) {
    std::string key(url_of_key(options, parts, arena));
    const bool has = std::find(keys.begin(), keys.end(), key) != keys.end();
    if (!key.empty() && !has) keys.push_back(std::move(key));
  };
  KeyOptions as_sent;
  as_sent.query = KeyOptions::Query::kAsSent;
  add(as_sent);
  add(KeyOptions());
  for (const proxy::Site* site : sites_of(snapshot, http::host_of(url->authority, arena))) {
    for (const proxy::Route& route : site->routes) {
      for (const auto& filter : route.filters) {
        const auto* const cache = dynamic_cast<const Factory*>(filter.get());
        if (cache != nullptr) add(cache->options().key);
      }
    }
  }
  return keys;
}

std::string key_prefix(std::string_view prefix) {
  BlockPool pool;
  Arena arena(pool);
  const std::optional<http::Url> url = http::parse_url(prefix);
  if (!url) return {};
  return std::string(origin_of_url(*url, arena)) + url->target;
}

}  // namespace weir::filters::cache
