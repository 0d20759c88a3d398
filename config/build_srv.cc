// upstreams.NAME.srv: the servers are what the SRV records of a name say.
#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/limits.h"
#include "config/build.h"
#include "net/address.h"
#include "net/clock.h"

namespace weir::config {

namespace {

using options::Node;
using options::Problems;

bool is_dns_name(const std::string& text) {
  constexpr size_t kNameMaxBytes = 253;  // RFC 1035 2.3.4, as text
  const std::string dotted = "." + text + ".";
  return !text.empty() && text.size() <= kNameMaxBytes && dotted.find("..") == std::string::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

// Empty: there is none, or it is reported.
std::string read_name(options::MapReader& upstream, Problems& problems) {
  const Node* node = upstream.find("srv");
  std::string name;
  if (node == nullptr || !read_string(*node, problems, name)) return {};
  if (name.ends_with('.')) name.pop_back();
  if (is_dns_name(name)) return name;
  problems.invalid(*node, "a DNS name", "as in srv: _http._tcp.app.internal");
  return {};
}

// The rule of RFC 2782, as far as an upstream has it: the lowest priority value serves, the others
// when none of it is left.
upstream::Server server_of(const net::SrvRecord& record, uint16_t lowest_priority) {
  upstream::Server server;
  server.address = record.target + ":" + std::to_string(record.port);
  server.weight = record.weight;
  server.backup = record.priority != lowest_priority;
  return server;
}

// To what servers[].weight may be: proportions are kept where some are above it.
void fit_weights(std::vector<upstream::Server>& servers, bool backups) {
  constexpr uint32_t kWeightMax = 1000;
  uint32_t largest = kWeightMax;
  for (const upstream::Server& server : servers) {
    if (server.backup == backups) largest = std::max(largest, server.weight);
  }
  for (upstream::Server& server : servers) {
    if (server.backup != backups) continue;
    server.weight = std::max(1u, (server.weight * kWeightMax + largest / 2) / largest);
  }
}

}  // namespace

void ask_for_srv(Build& build, const Node& upstreams) {
  build.srv_until_ms = net::monotonic_ms() + limits::kFirstLookUpMs;
  for (const auto& node : upstreams.children) {
    if (node->find("srv") == nullptr) continue;
    Problems unheard;  // each upstream reports its own
    options::MapReader map(*node, unheard);
    upstream::SrvName asked = {read_name(map, unheard), 0};
    map.duration_ms("resolve", {100, kDayMs}, asked.every_ms);
    if (unheard.ok()) build.environment.srv_list(asked, 0);
  }
}

void build_srv(Build& build, options::MapReader& upstream, upstream::Cluster& cluster) {
  const Node* node = upstream.find("srv");
  if (node == nullptr) return;
  for (const char* other : {"servers", "servers_file"}) {
    if (upstream.find(other) == nullptr) continue;
    build.problems.error(*node, std::string("does not go with ") + other,
                         "the records of the name are all its servers");
    return;
  }
  const upstream::SrvName asked = {read_name(upstream, build.problems), cluster.resolve_ms};
  if (asked.name.empty()) return;
  cluster.members_from = "srv " + asked.name;
  const uint64_t now_ms = net::monotonic_ms();
  const uint64_t wait_ms = build.srv_until_ms > now_ms ? build.srv_until_ms - now_ms : 0;
  const upstream::SrvList list = build.environment.srv_list(asked, wait_ms);
  build.srv_names.emplace_back(asked, list.version);
  if (!list.error.empty()) {
    cluster.members_error = "srv is not followed: " + list.error;
    build.problems.warning(*node, "is not followed: " + list.error,
                           list.records.empty() ? "it has no servers until there is an answer"
                                                : "the last good servers stay");
  } else if (list.records.empty()) {
    cluster.members_error = "srv says that the service is not offered";
    build.problems.warning(*node, "says that the service is not offered",
                           "it has no servers until it is");
  }
  std::unordered_set<std::string> seen;  // the records are in order: the best of each counts
  for (const net::SrvRecord& record : list.records) {
    upstream::Server server = server_of(record, list.records.front().priority);
    if (!seen.insert(server.address).second) continue;
    build.servers.push_back({build.clusters.size(), cluster.servers.size(), node});
    cluster.servers.push_back(std::move(server));
  }
  for (const bool backups : {false, true}) fit_weights(cluster.servers, backups);
}

}  // namespace weir::config
