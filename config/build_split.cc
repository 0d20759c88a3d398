// sites[].routes[].split
#include <cmath>
#include <string_view>
#include <utility>

#include "config/build.h"
#include "filters/header_name.h"
#include "http/rules.h"
#include "upstream/sticky.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;
using proxy::Split;

constexpr options::Range<uint64_t> kCookieMs = {1'000, 365 * kDayMs};

void read_override(const Node& section, Problems& problems, Split& split) {
  MapReader map(section, problems);
  if (const Node* header = map.find("header")) {
    if (read_string(*header, problems, split.override_header)) {
      filters::check_header_name(*header, split.override_header, problems);
    }
  }
  if (const Node* cookie = map.find("cookie")) {
    read_cookie_name(*cookie, problems, split.override_cookie);
  }
  map.finish();
  if (map.is_map() && section.children.empty()) {
    problems.error(section, "is empty", "as in override: {header: X-Side}, or {cookie: side}");
  }
}

// Percent to buckets; false where it has more decimals than buckets can tell.
bool read_weight(MapReader& map, proxy::SplitTarget& target) {
  const Node* node = map.require("weight", "a percentage, as in weight: 5");
  double percent = 0;
  if (node == nullptr || !read_number(*node, map.problems(), {0, 100}, percent)) return false;
  constexpr double kPerPercent = proxy::kSplitBuckets / 100.0;
  const double buckets = std::round(percent * kPerPercent);
  if (std::abs(buckets - percent * kPerPercent) > 1e-6) {
    map.problems().error(*node, node->shown() + " is too fine", "two decimals are kept");
    return false;
  }
  target.buckets = static_cast<uint32_t>(buckets);
  return true;
}

std::string percent_text(uint32_t buckets) {
  std::string text = std::to_string(buckets / 100);
  if (buckets % 100 != 0) {
    text += buckets % 100 < 10 ? ".0" : ".";
    text += std::to_string(buckets % 100);
    if (text.ends_with('0')) text.pop_back();
  }
  return text;
}

void read_targets(Build& build, const Node& list, Split& split) {
  Problems& problems = build.problems;
  std::vector<const Node*> items;
  if (!read_list(list, problems, items)) return;
  if (items.empty() || items.size() > proxy::kSplitTargetsMax) {
    problems.error(list, items.empty() ? "is empty" : "is too long",
                   "1 to 16 upstreams with their weights");
    return;
  }
  bool all_weights = true;
  uint32_t total = 0;
  for (const Node* item : items) {
    MapReader map(*item, problems);
    proxy::SplitTarget target;
    if (const Node* upstream = map.require("upstream")) {
      target.cluster = find_upstream(build, *upstream);
      for (const proxy::SplitTarget& other : split.to) {
        if (target.cluster == nullptr || other.cluster != target.cluster) continue;
        problems.error(*upstream, "is in this split already");
      }
    }
    all_weights &= read_weight(map, target);
    total += target.buckets;
    map.finish();
    split.to.push_back(std::move(target));
  }
  if (all_weights && total != proxy::kSplitBuckets) {
    problems.error(list, "the weights total " + percent_text(total),
                   "they are percentages, and must total 100");
  }
}

void read_key(MapReader& map, Split& split) {
  const Node* missing = map.find("missing");
  map.choice<bool>("missing", {{"control", false}, {"random", true}}, {}, split.remembers);
  if (const Node* key = map.find("key")) {
    read_hash_key(*key, map.problems(), "a key", split.key);
    split.key_text = key->text;
  } else if (missing == nullptr || !split.remembers) {
    map.require("key", "as in key: cookie:sid; or missing: random for everybody");
  }
  const Node* cookie = map.find("cookie");
  const Node* ttl = map.find("ttl");
  if (cookie != nullptr) read_cookie_name(*cookie, map.problems(), split.cookie);
  if (ttl != nullptr) read_duration_ms(*ttl, map.problems(), kCookieMs, split.ttl_ms);
  for (const Node* idle : {cookie, ttl}) {
    if (idle != nullptr && !split.remembers) {
      map.problems().error(*idle, "does nothing without missing: random");
    }
  }
}

// A client has one cookie of a name: the server's would be taken for the side's.
void check_cookie(MapReader& map, const Split& split) {
  if (!split.remembers) return;
  for (const proxy::SplitTarget& target : split.to) {
    if (target.cluster == nullptr || target.cluster->sticky == nullptr) continue;
    if (target.cluster->sticky->cookie() != split.cookie) continue;
    const Node* cookie = map.find("cookie");
    map.problems().error(
        cookie == nullptr ? map.node() : *cookie,
        "upstream " + target.cluster->name + " is sticky by the cookie " + split.cookie + ", too",
        "a side is remembered by a cookie of its own");
  }
}

void read_rollback(const Node& section, Problems& problems, Split& split) {
  constexpr double kP95OverMax = 100;  // times
  upstream::RollbackConfig rule;
  const size_t errors_before = problems.error_count();
  MapReader map(section, problems);
  if (const Node* node = map.find("error_rate_over")) {
    read_percent(*node, problems, rule.error_rate_over);
  }
  if (const Node* node = map.find("p95_over")) {
    read_percent(*node, problems, rule.p95_over, kP95OverMax);
  }
  map.duration_ms("window", {1'000, kDayMs}, rule.window_ms);
  map.u32("min_requests", {10, 1'000'000}, rule.min_requests);
  map.finish();
  const bool read = problems.error_count() == errors_before;
  if (read && rule.error_rate_over == 0 && rule.p95_over == 0) {
    problems.error(section, "has no rule", "as in rollback: {error_rate_over: 2%, p95_over: 50%}");
  } else if (split.to.size() == 1) {
    problems.error(section, "has nothing to take back", "the split has one upstream only");
  }
  split.rollback_rule = rule;
}

}  // namespace

void build_split(Build& build, const Node& node, const proxy::Site& site, proxy::Route& route) {
  Problems& problems = build.problems;
  const size_t errors_before = problems.error_count();
  auto split = std::make_shared<Split>();
  route.action = proxy::Action::kUpstream;
  MapReader map(node, problems);
  // Of its own for each route unless it is named: then routes that share it put users alike.
  split->name = (site.hosts.empty() ? std::string() : site.hosts.front()) + " " + route.name;
  if (const Node* name = map.find("name")) {
    if (read_string(*name, problems, split->name) && split->name.empty()) {
      problems.error(*name, "is empty");
    }
  }
  read_key(map, *split);
  if (const Node* to = map.require("to",
                                   "as in to: [{upstream: app, weight: 95}, "
                                   "{upstream: canary, weight: 5}]")) {
    read_targets(build, *to, *split);
  }
  check_cookie(map, *split);
  if (const Node* section = map.find("override")) read_override(*section, problems, *split);
  map.boolean("vary", split->vary);
  if (const Node* section = map.find("rollback")) read_rollback(*section, problems, *split);
  map.finish();
  const bool broken = problems.error_count() != errors_before;
  for (const proxy::SplitTarget& target : split->to) {
    if (target.cluster == nullptr) return;  // a broken upstream, which is reported there
  }
  if (broken || split->to.empty()) return;
  split->finish();
  if (split->rollback_rule) build.splits.push_back(split);
  route.cluster = split->to.front().cluster;
  route.split = std::move(split);
}

}  // namespace weir::config
