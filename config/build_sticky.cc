// upstreams.NAME.sticky
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "config/build.h"
#include "http/rules.h"
#include "proxy/split.h"
#include "upstream/sticky.h"

namespace weir::config {

using options::MapReader;
using options::Node;
using options::Problems;

void read_cookie_name(const Node& node, Problems& problems, std::string& out) {
  std::string name;
  if (!read_string(node, problems, name)) return;
  if (http::is_token(name)) {
    out = std::move(name);
  } else {
    problems.invalid(node, "a cookie name", "letters, digits and _ or - are fine");
  }
}

void build_sticky(Build& build, MapReader& upstream, upstream::Cluster& cluster) {
  const Node* section = upstream.find("sticky");
  if (section == nullptr) return;
  constexpr size_t kSecretBytes = 32;  // as many as the tag's hash has
  Problems& problems = build.problems;
  MapReader map(*section, problems);
  std::string cookie = "weir_srv";
  std::string secret;
  uint64_t ttl_ms = 3'600'000;
  if (const Node* name = map.find("cookie")) {
    read_cookie_name(*name, problems, cookie);
  } else {
    map.note_default("cookie", cookie);
  }
  map.duration_ms("ttl", {1'000, 365 * kDayMs}, ttl_ms);
  if (const Node* node = map.find("secret")) {
    if (read_string(*node, problems, secret) && secret.size() < kSecretBytes) {
      problems.error(*node, "is too short", "32 bytes or more, as of: openssl rand -hex 32");
    }
  }
  map.finish();
  cluster.sticky = std::make_shared<const upstream::Sticky>(std::move(cookie), ttl_ms / 1000,
                                                            secret, cluster.name, cluster.servers);
}

// Sides of one split may share a cookie: a user has one side.
void warn_of_shared_cookies(Build& build, const Node& site_node, const proxy::Site& site) {
  struct User {
    const upstream::Cluster* cluster;
    const proxy::Route* route;
  };
  std::map<std::string_view, User> users;
  std::set<std::string_view> told;
  const auto use = [&](const upstream::Cluster& cluster, const proxy::Route& route) {
    if (cluster.sticky == nullptr) return;
    const std::string& cookie = cluster.sticky->cookie();
    const User& first = users.try_emplace(cookie, User{&cluster, &route}).first->second;
    if (first.cluster == &cluster || first.route == &route || !told.insert(cookie).second) return;
    build.problems.warning(site_node,
                           "upstreams " + first.cluster->name + " and " + cluster.name +
                               " are both sticky by the cookie " + cookie,
                           "clients have one cookie of a name: each takes the other's away");
  };
  for (const proxy::Route& route : site.routes) {
    if (route.split != nullptr) {
      for (const proxy::SplitTarget& target : route.split->to) use(*target.cluster, route);
    } else if (route.cluster != nullptr) {
      use(*route.cluster, route);
    }
  }
}

}  // namespace weir::config
