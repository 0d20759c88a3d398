// mirror, in defaults, a site or a route
#include <algorithm>
#include <string>
#include <utility>

#include "base/limits.h"
#include "config/build.h"
#include "proxy/split.h"

namespace weir::config {

using options::MapReader;
using options::Node;

namespace {

bool sends_to(const proxy::Route& route, const upstream::Cluster& cluster) {
  if (route.split == nullptr) return route.cluster.get() == &cluster;
  const auto& to = route.split->to;
  return std::any_of(to.begin(), to.end(),
                     [&cluster](const auto& target) { return target.cluster.get() == &cluster; });
}

}  // namespace

void build_mirror(Build& build, MapReader& map, Level& level) {
  const Node* node = map.find("mirror");
  if (node == nullptr) return;
  if (options::is_off(*node)) {
    level.mirror = nullptr;
    return;
  }
  if (node->kind != options::Kind::kMap) {
    if (!node->broken) {
      build.problems.error(*node, "must be a map or off, not " + node->shown());
    }
    return;
  }
  auto mirror = std::make_shared<proxy::Mirror>();
  MapReader section(*node, build.problems);
  if (const Node* upstream = section.require("upstream", "as in upstream: shadow")) {
    mirror->cluster = find_upstream(build, *upstream, false);
  }
  if (const Node* sample = section.find("sample")) {
    read_percent(*sample, build.problems, mirror->sample);
  }
  section.size_bytes("max_body", {0, uint64_t{limits::kShadowBytesMax}}, mirror->max_body_bytes);
  section.duration_ms("timeout", kDeadlineMs, mirror->timeout_ms);
  section.finish();
  // Broken, or never drawn: no mirror.
  const bool used = mirror->cluster != nullptr && mirror->sample > 0;
  level.mirror = used ? std::move(mirror) : nullptr;
  build.snapshot.mirrors |= used;
}

void use_mirror(Build& build, const Node& node, const Level& level, proxy::Route& route) {
  const Node* own = node.find("mirror");
  if (route.action != proxy::Action::kUpstream) {
    if (own != nullptr && !options::is_off(*own)) {
      build.problems.error(*own, "does nothing on a route that has no upstream");
    }
    return;
  }
  route.mirror = level.mirror;
  if (route.mirror == nullptr || !sends_to(route, *route.mirror->cluster)) return;
  build.problems.warning(own != nullptr ? *own : node, "the route mirrors to its own upstream",
                         "its servers get such requests twice");
}

}  // namespace weir::config
