#include <string_view>
#include <unordered_set>
#include <utility>

#include "config/build.h"
#include "http/rules.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

// Reports what is wrong with the text; does not resolve it.
void check_server_address(const Node& node, std::string_view text, Problems& problems) {
  constexpr std::string_view kNoun = "a server's address";
  if (text.find("://") != std::string_view::npos) {
    problems.invalid(node, kNoun, "write host:port without a scheme");
    return;
  }
  if (text.starts_with("unix:")) {
    Result<net::SocketAddress> parsed = net::parse_address(text);
    if (!parsed.ok()) problems.invalid(node, kNoun, parsed.error());
    return;
  }
  Result<net::HostPort> parts = net::split_host_port(text);
  if (!parts.ok()) {
    problems.invalid(node, kNoun, parts.error());
  } else if (parts.value().port == 0) {
    problems.invalid(node, kNoun, "the port must be a number from 1 to 65535");
  } else if (!http::is_valid_host(text)) {
    problems.invalid(node, kNoun, "the host is neither a name nor an IP address");
  }
}

}  // namespace

void read_hash_key(const Node& node, Problems& problems, const char* noun, upstream::HashKey& out) {
  std::string text;
  if (!read_string(node, problems, text)) return;
  if (!upstream::parse_hash_key(text, out)) {
    problems.invalid(node, noun,
                     "it is client_ip, path, uri, header:NAME, cookie:NAME or "
                     "query:NAME");
  } else if (out.source == upstream::HashKey::Source::kHeader && !http::is_token(out.name)) {
    problems.invalid(node, noun, "what follows header: is not a header name");
  }
}

upstream::Server build_server(const Node& node, Problems& problems) {
  upstream::Server server;
  MapReader map(node, problems);
  const Node* address = map.require("address", "host:port, [v6]:port or unix:/path");
  if (address != nullptr && read_string(*address, problems, server.address)) {
    check_server_address(*address, server.address, problems);
  }
  map.u32("weight", {1, 1000}, server.weight);
  map.u32("max_fails", {0, 1'000'000}, server.max_fails);
  map.duration_ms("fail_timeout", {1, kDayMs}, server.fail_timeout_ms);
  map.boolean("backup", server.backup);
  map.u32("max_connections", {1, 1'000'000}, server.max_connections);
  map.finish();
  return server;
}

namespace {

void build_servers(Build& build, MapReader& upstream, upstream::Cluster& cluster) {
  const Node* list = upstream.require("servers",
                                      "one at least, as in servers: "
                                      "[{address: \"127.0.0.1:3000\"}]");
  std::vector<const Node*> items;
  if (list == nullptr || !read_list(*list, build.problems, items)) return;
  std::unordered_set<std::string> seen;
  bool only_backups = true;
  for (const Node* item : items) {
    upstream::Server server = build_server(*item, build.problems);
    only_backups &= server.backup;
    if (!server.address.empty() && !seen.insert(server.address).second) {
      build.problems.warning(*item, "the server is listed twice in this upstream",
                             "both entries share one state");
    }
    build.servers.push_back({build.clusters.size(), cluster.servers.size(), item});
    cluster.servers.push_back(std::move(server));
  }
  if (items.empty()) {
    build.problems.error(*list, "is empty", "one server at least is needed");
  } else if (only_backups) {
    build.problems.error(*list, "has only backups", "one server without backup is needed");
  } else if (cluster.balance == upstream::Balance::kHash &&
             items.size() > upstream::HashTable::kServersMax) {
    build.problems.error(*list, "is too long", "balance: hash takes at most 12000 servers");
  }
}

void build_timeouts(const Node& section, Problems& problems, upstream::UpstreamTimeouts& out) {
  MapReader map(section, problems);
  map.duration_ms("connect", kDeadlineMs, out.connect_ms);
  map.duration_ms("send", kDeadlineMs, out.send_ms);
  map.duration_ms("read", kDeadlineMs, out.read_ms);
  map.duration_ms("tunnel", kDeadlineMs, out.tunnel_ms);
  map.duration_ms("total", kDeadlineOrNoneMs, out.total_ms);
  map.finish();
}

void build_keepalive(const Node& section, Problems& problems, upstream::KeepaliveConfig& out) {
  MapReader map(section, problems);
  map.u32("idle", {0, 100'000}, out.idle);
  map.duration_ms("timeout", kDeadlineMs, out.timeout_ms);
  map.u32("requests", {1, UINT32_MAX}, out.requests);
  map.finish();
}

void build_balance(MapReader& map, Problems& problems, upstream::Cluster& cluster) {
  enum class Word : uint8_t { kLeastConn, kRoundRobin, kRandomTwo, kIpHash, kHash };
  Word word = Word::kLeastConn;
  const Node* balance = map.find("balance");
  const bool read = map.choice<Word>("balance",
                                     {{"least_conn", Word::kLeastConn},
                                      {"round_robin", Word::kRoundRobin},
                                      {"random_two", Word::kRandomTwo},
                                      {"ip_hash", Word::kIpHash},
                                      {"hash", Word::kHash}},
                                     {}, word);
  const bool known = balance == nullptr || read;
  const Node* key = map.find("hash_key");
  const Node* bound = map.find("bounded_load");
  switch (word) {
    case Word::kLeastConn: break;
    case Word::kRoundRobin: cluster.balance = upstream::Balance::kRoundRobin; break;
    case Word::kRandomTwo: cluster.balance = upstream::Balance::kRandomTwo; break;
    case Word::kIpHash:
      cluster.hash_key.source = upstream::HashKey::Source::kClientIp;
      [[fallthrough]];
    case Word::kHash: cluster.balance = upstream::Balance::kHash; break;
  }
  if (key != nullptr) read_hash_key(*key, problems, "a hash key", cluster.hash_key);
  map.number("bounded_load", {1, 100}, cluster.bounded_load);
  if (!known) return;
  if (word == Word::kHash && key == nullptr) {
    map.require("hash_key", "with balance: hash; as in hash_key: header:X-User");
  } else if (word != Word::kHash && key != nullptr) {
    problems.error(*key, "does nothing without balance: hash");
  }
  if (cluster.balance != upstream::Balance::kHash && bound != nullptr) {
    problems.error(*bound, "does nothing without balance: hash or ip_hash");
  }
}

// After the servers.
void build_breaker(MapReader& upstream, Problems& problems, upstream::Cluster& cluster) {
  upstream::BreakerConfig& out = cluster.breaker;
  upstream.choice<bool>("concurrency", {{"off", false}, {"adaptive", true}}, {}, out.adaptive);
  const Node* section = upstream.section("circuit_breaker");
  out.on = out.adaptive || upstream.find("circuit_breaker") != nullptr;
  if (section == nullptr) return;
  MapReader map(*section, problems);
  map.u32("max_connections", {1, 1'000'000}, out.max_connections);
  map.u32("max_pending", {0, 100'000}, out.max_pending);
  map.duration_ms("pending_timeout", kDeadlineMs, out.pending_timeout_ms);
  map.finish();
  bool limited = !out.on || out.adaptive || out.max_connections != 0;
  for (const upstream::Server& server : cluster.servers) limited |= server.max_connections != 0;
  if (!limited) {
    problems.warning(*section, "limits nothing",
                     "say how many requests at once, as in max_connections: 1000, here or for "
                     "each server");
  }
}

void build_upstream(Build& build, const Node& node) {
  Problems& problems = build.problems;
  const size_t errors_before = problems.error_count();
  auto cluster = std::make_shared<upstream::Cluster>();
  cluster->name = node.key;
  MapReader map(node, problems);
  build_balance(map, problems, *cluster);
  map.duration_ms("resolve", {100, kDayMs}, cluster->resolve_ms);
  const bool servers_elsewhere =
      node.find("servers_file") != nullptr || node.find("srv") != nullptr;
  if (!servers_elsewhere || node.find("servers") != nullptr) {
    build_servers(build, map, *cluster);
  }
  build_members(build, map, *cluster);
  build_srv(build, map, *cluster);
  build_sticky(build, map, *cluster);
  build_transport(build, map, *cluster);
  build_health(build, map, *cluster);
  if (const Node* section = map.section("timeouts")) {
    build_timeouts(*section, problems, cluster->timeouts);
  }
  if (const Node* section = map.section("keepalive")) {
    build_keepalive(*section, problems, cluster->keepalive);
  }
  build_breaker(map, problems, *cluster);
  build_retry(map, problems, *cluster);
  build_hedge(map, problems, *cluster);
  map.finish();
  build.clusters.push_back(cluster);
  const bool good = problems.error_count() == errors_before;
  build.upstreams.emplace(node.key, good ? std::move(cluster) : nullptr);
}

}  // namespace

void build_upstreams(Build& build, const Node& section) {
  MapReader map(section, build.problems);
  if (!map.is_map()) return;
  ask_for_srv(build, section);
  for (const auto& node : section.children) build_upstream(build, *node);
}

void bind_upstreams(Build& build) {
  for (const auto& cluster : build.clusters) {
    cluster->state = build.environment.states.cluster(cluster->name);
    cluster->index = cluster->state->index;
    build.snapshot.clusters.push_back(cluster);
  }
  std::vector<upstream::NameWatch> watches;
  std::vector<const Node*> places;
  for (const Build::ServerPlace& place : build.servers) {
    upstream::Cluster& cluster = *build.clusters[place.cluster];
    upstream::Server& server = cluster.servers[place.server];
    server.state = build.environment.states.endpoint(cluster.name, server.address);
    Result<net::SocketAddress> literal = net::parse_address(server.address);
    if (literal.ok()) {
      server.state->set_addresses({literal.value()});
      continue;
    }
    net::HostPort name = net::split_host_port(server.address).value();
    watches.push_back({server.state, std::move(name.host), name.port, cluster.resolve_ms});
    places.push_back(place.node);
  }
  for (const auto& cluster : build.clusters) {
    upstream::build_hash_tables(*cluster);
    upstream::build_turn_tables(*cluster);
  }
  if (watches.empty()) return;
  const std::vector<std::string> reasons = build.environment.watch_names(watches);
  for (size_t i = 0; i < reasons.size(); ++i) {
    if (reasons[i].empty()) continue;
    const Node* address = places[i]->find("address");  // null: a servers_file or srv has it
    const std::string shown =
        address == nullptr ? options::quote(watches[i].state->server) : address->shown();
    build.problems.warning(address == nullptr ? *places[i] : *address,
                           shown + " does not resolve: " + reasons[i],
                           "the server is down until it does");
  }
}

}  // namespace weir::config
