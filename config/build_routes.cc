#include <algorithm>
#include <string_view>
#include <utility>

#include "config/build.h"
#include "config/reachability.h"
#include "filters/header_name.h"
#include "filters/maintenance.h"

namespace weir::config {

namespace {

using options::Kind;
using options::MapReader;
using options::Node;
using options::Problems;

// A template without control characters.
bool read_line(const Node& node, Problems& problems, proxy::Template& out) {
  return filters::read_header_value(node, problems, out);
}

void build_upstream_action(Build& build, const Node& node, proxy::Route& route) {
  route.action = proxy::Action::kUpstream;
  route.cluster = find_upstream(build, node);
}

void build_respond(const Node& node, Problems& problems, proxy::Route& route) {
  route.action = proxy::Action::kRespond;
  MapReader map(node, problems);
  uint32_t status = 200;
  map.u32("status", {200, 599}, status);
  route.status = static_cast<int>(status);
  if (const Node* body = map.find("body")) {
    filters::read_template(*body, problems, route.body);
    if (!route.body.empty() && (status == 204 || status == 205 || status == 304)) {
      problems.error(*body, "an answer with status " + std::to_string(status) + " has no body");
    }
  }
  if (const Node* headers = map.find("headers")) {
    if (MapReader(*headers, problems).is_map()) {
      for (const auto& entry : headers->children) {
        proxy::Template value;
        const bool twice =
            std::any_of(route.respond_headers.begin(), route.respond_headers.end(),
                        [&entry](const auto& other) { return iequals(other.first, entry->key); });
        if (twice) {
          problems.error(*entry, options::quote(entry->key) + " is set twice here");
        } else if (filters::check_header_name(*entry, entry->key, problems) &&
                   filters::read_header_value(*entry, problems, value)) {
          route.respond_headers.emplace_back(entry->key, std::move(value));
        }
      }
    }
  }
  map.finish();
}

void build_redirect(const Node& node, Problems& problems, proxy::Route& route) {
  route.action = proxy::Action::kRedirect;
  route.status = 308;
  MapReader map(node, problems);
  if (const Node* to = map.require("to", "as in to: \"https://example.com$uri\"")) {
    if (read_line(*to, problems, route.redirect_to)) {
      const std::string_view text = to->text;
      const bool absolute = text.starts_with('/') || text.starts_with("http://") ||
                            text.starts_with("https://") || text.starts_with('$');
      if (!absolute) {
        problems.invalid(*to, "a redirect target", "it starts with http://, https://, / or $");
      }
    }
  }
  uint64_t status = 0;
  if (const Node* code = map.find("status");
      code != nullptr && read_u64(*code, problems, {0, 999}, status)) {
    route.status = static_cast<int>(status);
    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308) {
      problems.error(*code, "must be 301, 302, 303, 307 or 308, not " + code->shown());
    }
  }
  map.finish();
}

void build_action(Build& build, MapReader& map, const proxy::Site& site, proxy::Route& route) {
  const Node* upstream = map.find("upstream");
  const Node* split = map.find("split");
  const Node* respond = map.find("respond");
  const Node* redirect = map.find("redirect");
  const Node* files = map.find("files");
  if (upstream != nullptr) build_upstream_action(build, *upstream, route);
  if (split != nullptr) build_split(build, *split, site, route);
  if (respond != nullptr) build_respond(*respond, build.problems, route);
  if (redirect != nullptr) build_redirect(*redirect, build.problems, route);
  if (files != nullptr) build_files(build, *files, route);
  const int count = (upstream != nullptr) + (split != nullptr) + (respond != nullptr) +
                    (redirect != nullptr) + (files != nullptr);
  constexpr const char* kActions = "one of upstream, split, files, respond and redirect is due";
  if (count > 1) {
    build.problems.error(map.node(), "has several actions", kActions);
  } else if (count == 0 && map.is_map()) {
    build.problems.error(map.node(), "has no action", kActions);
  }
}

// False when the route is of no use for what follows; that is reported then.
bool build_route(Build& build, const Node& node, const Level& outer, const proxy::Site& site,
                 proxy::Route& route) {
  MapReader map(node, build.problems);
  if (!map.is_map()) return false;
  if (const Node* name = map.find("name");
      name != nullptr && read_string(*name, build.problems, route.name)) {
    if (route.name.empty()) build.problems.error(*name, "is empty");
    if (route.name == "unmatched") {
      build.problems.error(*name, "\"unmatched\" stands for requests without a route");
    }
  }
  const bool placed = build_match(build, map, outer, route);
  build_action(build, map, site, route);
  if (const Node* rewrite = map.find("rewrite")) build_rewrite(build, *rewrite, route);
  if (const Node* slashes = map.find("slashes")) {
    build.problems.error(*slashes, "is a site's key: paths are read before a route is chosen");
  }
  Level level = outer;
  build_level(build, map, level);
  check_user_key(build, node, level);
  map.finish();

  route.timeout_ms = level.timeout_ms;
  route.max_body_bytes = level.max_body_bytes;
  route.error_pages = std::move(level.error_pages);
  route.websocket = level.websocket;
  use_mirror(build, node, level, route);
  route.access_log = level.access_log;
  route.filters = make_filters(level);
  route.answers_preflights =
      std::any_of(route.filters.begin(), route.filters.end(),
                  [](const auto& factory) { return factory->answers_preflights(); });
  return placed;
}

void warn_unreachable(Problems& problems, const Node& route, const Node& earlier,
                      bool has_conditions) {
  const Node* path = route.find("path");
  problems.warning(path != nullptr ? *path : *route.find("path_regex"),
                   "no request reaches this route: " + earlier.path() + " (line " +
                       std::to_string(earlier.line) + ") takes all of its " +
                       (has_conditions ? "requests" : "paths"));
}

}  // namespace

std::shared_ptr<const upstream::Cluster> find_upstream(Build& build, const Node& node,
                                                       bool for_clients) {
  std::string name;
  if (!read_string(node, build.problems, name)) return nullptr;
  const auto found = build.upstreams.find(name);
  if (found != build.upstreams.end()) {
    upstream::Cluster* const cluster = found->second.get();
    if (cluster != nullptr) (for_clients ? cluster->for_clients : cluster->for_mirrors) = true;
    return found->second;
  }
  std::vector<std::string_view> names;
  for (const auto& [known, cluster] : build.upstreams) names.push_back(known);
  build.problems.unknown(node, "upstream", std::move(names));
  return nullptr;
}

Level standard_level() {
  Level level;
  for (const filters::Kind& kind : filters::registry()) level.filters.push_back(kind.standard());
  return level;
}

void build_level(Build& build, MapReader& map, Level& level) {
  map.duration_ms("timeout", kDeadlineOrNoneMs, level.timeout_ms);
  if (uint64_t bytes = 0; map.size_bytes("max_body", kBodyBytes, bytes)) {
    level.max_body_bytes = bytes == 0 ? UINT64_MAX : bytes;  // 0B switches the limit off
  }
  if (const Node* pages = map.find("error_pages")) {
    build_error_pages(build, *pages, level.error_pages);
  }
  build_mirror(build, map, level);
  if (const Node* cache = map.find("cache")) level.user_key = user_key_of(*cache);
  map.boolean("websocket", level.websocket);
  map.boolean("access_log", level.access_log);
  const filters::Reading reading = {
      .problems = map.problems(),
      .file = [&build](const Node& node,
                       std::string& out) { return read_named_file(build, node, out); },
      .https = std::any_of(build.snapshot.listeners.begin(), build.snapshot.listeners.end(),
                           [](const auto& listener) { return listener.tls != nullptr; }),
      .limits = &build.rate_limits,
      .upstream = [&build](const Node& node) { return find_upstream(build, node); },
      .uses_cache = &build.uses_cache};
  const auto kinds = filters::registry();
  for (size_t i = 0; i < kinds.size(); ++i) {
    const Node* value = map.find(kinds[i].key);
    if (value == nullptr) continue;
    if (options::is_off(*value)) {
      level.filters[i] = nullptr;
    } else if (value->kind == kinds[i].shape || value->kind == Kind::kNull ||
               (kinds[i].takes_words && value->kind == Kind::kScalar)) {
      level.filters[i] = kinds[i].read(*value, level.filters[i], reading);
      if (auto maintenance = filters::maintenance_of(level.filters[i].get())) {
        build.snapshot.maintenances.push_back(std::move(maintenance));
      }
    } else if (!value->broken && !kinds[i].second) {
      std::string noun = kinds[i].shape == Kind::kMap    ? "a map"
                         : kinds[i].shape == Kind::kList ? "a list"
                                                         : "a word";
      if (kinds[i].takes_words) noun += ", a word";
      map.problems().error(*value, "must be " + noun + " or off, not " + value->shown());
    }
  }
}

proxy::FilterChain make_filters(const Level& level) {
  proxy::FilterChain chain;
  for (const filters::SettingsPtr& settings : level.filters) {
    std::unique_ptr<proxy::FilterFactory> factory = settings ? settings->make() : nullptr;
    if (factory != nullptr) chain.push_back(std::move(factory));
  }
  return chain;
}

proxy::FilterChain stray_filters(const Level& defaults) {
  proxy::FilterChain chain;
  for (const auto& factory : make_filters(defaults)) {
    if (factory->is_for_any_answer()) chain.push_back(factory);
  }
  return chain;
}

void build_routes(Build& build, const Node& section, const Level& outer, proxy::Site& site) {
  std::vector<const Node*> items;
  if (!read_list(section, build.problems, items)) return;
  if (items.empty()) build.problems.error(section, "is empty", "one route at least is needed");
  Reachability reachability;
  std::vector<const Node*> nodes;  // of site.routes
  site.routes.reserve(items.size());
  for (const Node* item : items) {
    proxy::Route route;
    if (!build_route(build, *item, outer, site, route)) continue;
    if (const auto earlier = reachability.add(route)) {
      warn_unreachable(build.problems, *item, *nodes[*earlier], !route.conditions.empty());
    }
    nodes.push_back(item);
    site.routes.push_back(std::move(route));
  }
  site.router.build(site.routes);
}

}  // namespace weir::config
