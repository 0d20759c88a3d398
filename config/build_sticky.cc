// upstreams.NAME.sticky
#include <string>
#include <utility>

#include "config/build.h"
#include "http/rules.h"
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

}  // namespace weir::config
