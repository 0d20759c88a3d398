#include <algorithm>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/strings.h"
#include "config/build.h"
#include "http/rules.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

// Who claimed a host on a listener, for the error that names both places.
using Claims = std::vector<std::unordered_map<std::string, const Node*>>;

// As a message at a place in `file` says it.
std::string place_of(const Node& node, const std::string& file) {
  const std::string line = std::to_string(node.line);
  return node.path() +
         (*node.file == file ? " (line " + line + ")" : " (" + *node.file + ", line " + line + ")");
}

// As requests are looked up: lower case, without a trailing dot, and an IPv6 address in its one
// form. Empty after reporting.
std::string read_host(const Node& node, Problems& problems) {
  constexpr std::string_view kNoun = "a host";
  std::string host;
  if (!read_string(node, problems, host)) return {};
  std::transform(host.begin(), host.end(), host.begin(), to_lower);
  if (host == "*") return host;
  if (host.ends_with('.')) host.pop_back();
  std::string_view name = host;
  if (name.starts_with("*.")) name.remove_prefix(2);
  const size_t colon = name.rfind(':');
  const bool has_port = colon != std::string_view::npos && name.back() != ']';
  if (name.find('*') != std::string_view::npos) {
    problems.invalid(node, kNoun, "a * stands alone or before the first dot: *.example.com");
  } else if (name.find("//") != std::string_view::npos || has_port) {
    problems.invalid(node, kNoun, "write it without scheme and port");
  } else if (name.empty() || !http::is_valid_host(name) ||
             (name.front() == '[' && name.size() != host.size())) {
    problems.invalid(node, kNoun, "a name, an IP address or [an IPv6 address] is due");
  } else if (http::Address address;
             name.front() == '[' && http::Address::parse(name, address) && !address.v4) {
    char text[45];
    return "[" + std::string(text, address.format(text)) + "]";
  } else {
    return host;
  }
  return {};
}

void read_listeners(Build& build, MapReader& map, proxy::Site& site) {
  std::vector<const Node*> items;
  if (!map.list("listeners", items)) {
    for (uint32_t i = 0; i < build.snapshot.listeners.size(); ++i) site.listeners.push_back(i);
    return;
  }
  if (items.empty()) build.problems.key_error(map.node(), "listeners", "is empty");
  std::vector<std::string_view> names;
  for (const auto& [name, index] : build.listeners) names.push_back(name);
  for (const Node* item : items) {
    std::string name;
    if (!read_string(*item, build.problems, name)) continue;
    const auto found = build.listeners.find(name);
    if (found == build.listeners.end()) {
      build.problems.unknown(*item, "listener", names);
    } else if (std::count(site.listeners.begin(), site.listeners.end(), found->second) == 0) {
      site.listeners.push_back(found->second);
    }
  }
}

// Where clients of the site's other listeners find it by https: the first that has TLS.
void note_https_port(const Build& build, proxy::Site& site) {
  for (const uint32_t index : site.listeners) {
    const proxy::ListenerConfig& listener = build.snapshot.listeners[index];
    const uint16_t port = listener.address.port();
    if (listener.tls == nullptr || port == 0) continue;  // 0: a unix path, or any free port
    site.https_port = port;
    return;
  }
}

// One error per host, for the first listener on which it is taken.
void claim(Build& build, const Node& node, const std::string& host, uint32_t site_index,
           const proxy::Site& site, Claims& claims) {
  for (const uint32_t listener : site.listeners) {
    const auto [other, fresh] = claims[listener].emplace(host, &node);
    if (fresh) {
      build.snapshot.hosts[listener].add(host, site_index);
      continue;
    }
    const std::string& name = build.snapshot.listeners[listener].name;
    build.problems.error(node, "host " + node.shown() + " on listener " + options::quote(name) +
                                   " is claimed by " + place_of(*other->second, *node.file) +
                                   " already");
    return;
  }
}

// What one route's servers believe weir in, clients may not say on the way to another: both may
// lead to the same servers.
void collect_own_fields(proxy::Site& site) {
  for (const proxy::Route& route : site.routes) {
    for (const auto& factory : route.filters) {
      const std::span<const std::string> names = factory->own_fields();
      site.own_fields.insert(site.own_fields.end(), names.begin(), names.end());
    }
  }
  std::sort(site.own_fields.begin(), site.own_fields.end());
  site.own_fields.erase(std::unique(site.own_fields.begin(), site.own_fields.end()),
                        site.own_fields.end());
  if (site.own_fields.empty()) return;
  for (proxy::Route& route : site.routes) {
    route.drops_site_fields =
        std::all_of(route.filters.begin(), route.filters.end(),
                    [](const auto& factory) { return factory->own_fields().empty(); });
  }
}

void build_site(Build& build, const Node& node, uint32_t index, const Level& defaults,
                Claims& claims) {
  proxy::Site& site = build.snapshot.sites[index];
  MapReader map(node, build.problems);
  read_listeners(build, map, site);
  note_https_port(build, site);

  const Node* hosts = map.require("hosts", "as in hosts: [example.com], or [\"*\"] for all");
  std::vector<const Node*> items;
  if (hosts != nullptr && read_list(*hosts, build.problems, items) && items.empty()) {
    build.problems.error(*hosts, "is empty", "hosts: [\"*\"] claims what no other site does");
  }
  for (const Node* item : items) {
    std::string host = read_host(*item, build.problems);
    if (host.empty()) continue;
    claim(build, *item, host, index, site, claims);
    site.hosts.push_back(std::move(host));
  }

  Level level = defaults;
  build_level(build, map, level);
  read_slashes(map, level);
  site.merge_slashes = level.merge_slashes;
  site.filters = make_filters(level);
  site.error_pages = level.error_pages;
  if (const Node* routes = map.require("routes",
                                       "one at least, as in "
                                       "routes: [{path: /, upstream: app}]")) {
    build_routes(build, *routes, level, site);
    warn_of_shared_cookies(build, node, site);
  }
  collect_own_fields(site);
  map.finish();
}

}  // namespace

void build_sites(Build& build, const Node& section, const Level& defaults) {
  std::vector<const Node*> items;
  if (!read_list(section, build.problems, items)) return;
  if (items.empty()) build.problems.error(section, "is empty", "one site at least is needed");
  build.snapshot.sites.resize(items.size());
  Claims claims(build.snapshot.listeners.size());
  for (uint32_t i = 0; i < items.size(); ++i) build_site(build, *items[i], i, defaults, claims);
  warn_of_user_keys(build);
}

}  // namespace weir::config
