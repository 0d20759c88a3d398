#include "proxy/snapshot.h"

namespace weir::proxy {

namespace {

// A route that names its methods seldom names OPTIONS: a browser's question whether it may send a
// request belongs to the route that would take the request. Null: an ordinary request, or a route
// whose server answers itself.
const Route* find_for_preflight(const Site& site, const http::RequestHead& request,
                                std::string_view path) {
  if (request.method != http::Method::kOptions) return nullptr;
  const http::Header* wanted = request.headers.find("Access-Control-Request-Method");
  if (wanted == nullptr || request.headers.find(http::HeaderId::kOrigin) == nullptr) return nullptr;
  const Route* route =
      site.router.find(site.routes, request, http::parse_method(wanted->value), path);
  return route != nullptr && route->answers_preflights ? route : nullptr;
}

}  // namespace

bool HostIndex::add(std::string_view host, uint32_t site) {
  if (host == "*") {
    if (any_ != UINT32_MAX) return false;
    any_ = site;
    return true;
  }
  if (host.starts_with("*."))
    return wildcard_.try_emplace(std::string(host.substr(1)), site).second;
  return exact_.try_emplace(std::string(host), site).second;
}

uint32_t HostIndex::find(std::string_view host) const {
  if (const auto found = exact_.find(host); found != exact_.end()) return found->second;
  if (!wildcard_.empty()) {
    for (size_t dot = host.find('.'); dot != std::string_view::npos;
         dot = host.find('.', dot + 1)) {
      if (dot == 0) continue;
      const auto found = wildcard_.find(host.substr(dot));
      if (found != wildcard_.end()) return found->second;
    }
  }
  return any_;
}

Snapshot::Match Snapshot::match(uint32_t listener, const http::RequestHead& request,
                                Arena& arena) const {
  const uint32_t index = hosts[listener].find(request.host);
  const Site* site = index == UINT32_MAX ? nullptr : &sites[index];
  const std::string_view path =
      http::normalise_path(request.path, site != nullptr && site->merge_slashes, arena);
  if (path.empty() || site == nullptr) return {site, nullptr, path};
  const Route* route = find_for_preflight(*site, request, path);
  if (route == nullptr) route = site->router.find(site->routes, request, path);
  return {site, route, path};
}

uint32_t Labels::id(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto [at, added] = ids_.try_emplace(name, static_cast<uint32_t>(names_.size()));
  if (added) names_.push_back(name);
  return at->second;
}

std::vector<std::string> Labels::names() {
  std::lock_guard lock(mutex_);
  return names_;
}

Labels& labels() {
  static Labels instance;
  return instance;
}

}  // namespace weir::proxy
