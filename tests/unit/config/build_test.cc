// What a valid file becomes.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support/match.h"
#include "world.h"

namespace weir::config {
namespace {

using proxy::Action;
using proxy::PathMatch;
using proxy::Route;
using proxy::Snapshot;
using Lines = std::vector<std::string>;

std::shared_ptr<const Snapshot> load(test::World& world, std::string_view text) {
  const LoadResult result = world.load(text);
  CHECK(result.errors == Lines{});
  REQUIRE(result.ok());
  return result.snapshot;
}

Lines filter_names(const Route& route) {
  Lines names;
  for (const auto& filter : route.filters) names.emplace_back(filter->name());
  return names;
}

Lines texts(const upstream::Server& server) {
  Lines lines;
  for (const net::SocketAddress& address : *server.state->addresses()) {
    lines.push_back(address.text());
  }
  return lines;
}

TEST_CASE("config: a minimal file has safe defaults for everything else") {
  test::World world;
  const auto snapshot = load(world, R"(
listeners: {http: {address: "0.0.0.0:80"}}
upstreams: {app: {servers: [{address: "10.0.0.1:3000"}, {address: "10.0.0.2:3000"}]}}
sites: [{hosts: ["*"], routes: [{path: /, upstream: app}]}]
)");
  CHECK(snapshot->workers == 6);
  CHECK(snapshot->shutdown_grace_ms == 30'000);
  CHECK(snapshot->log.level == "info");
  CHECK(snapshot->log.json);
  CHECK(snapshot->log.access.path == "stdout");
  CHECK(snapshot->log.access.sample == Approx(1.0));
  CHECK(snapshot->admin.address.length == 0);
  CHECK(snapshot->trusted_proxies.empty());

  REQUIRE(snapshot->listeners.size() == 1);
  const proxy::ListenerConfig& listener = snapshot->listeners[0];
  CHECK(listener.name == "http");
  CHECK(listener.address.text() == "0.0.0.0:80");
  CHECK(listener.timeouts.header_ms == 10'000);
  CHECK(listener.limits.headers == 100);
  CHECK(listener.body_bytes == 100u << 20);

  REQUIRE(snapshot->clusters.size() == 1);
  const upstream::Cluster& cluster = *snapshot->clusters[0];
  CHECK(cluster.balance == upstream::Balance::kLeastConn);
  CHECK(cluster.keepalive.idle == 64);
  REQUIRE(cluster.servers.size() == 2);
  CHECK(cluster.servers[1].address == "10.0.0.2:3000");
  CHECK(cluster.servers[1].weight == 1);
  CHECK(cluster.servers[1].max_fails == 1);
  CHECK(cluster.servers[1].fail_timeout_ms == 10'000);
  CHECK(cluster.servers[1].max_connections == 0);
  CHECK(texts(cluster.servers[1]) == Lines{"10.0.0.2:3000"});
  CHECK(cluster.servers[1].state->server == "10.0.0.2:3000");

  const proxy::Snapshot::Match match = test::match(*snapshot, 0, "any.example", "/x");
  REQUIRE(match.route != nullptr);
  CHECK(match.route->name == "/");
  CHECK(match.route->action == Action::kUpstream);
  CHECK(match.route->cluster == snapshot->clusters[0]);
  CHECK(match.route->websocket);
  CHECK(match.route->access_log);
  CHECK(match.route->timeout_ms == 0);
  CHECK(filter_names(*match.route) == Lines{"request_id"});
}

TEST_CASE("config: what concerns the process") {
  test::World world;
  const auto snapshot = load(world, test::with_top(R"(
workers: 3
shutdown: {grace: 5s}
trusted_proxies: [10.0.0.0/8, "fd00::/8"]
log:
  level: debug
  format: text
  access: {path: /var/log/weir.log, format: combined, sample: 0.25}
admin: {address: "0.0.0.0:9901", token: abc}
)"));
  CHECK(snapshot->workers == 3);
  CHECK(snapshot->shutdown_grace_ms == 5000);
  CHECK(snapshot->log.level == "debug");
  CHECK_FALSE(snapshot->log.json);
  CHECK(snapshot->log.access.path == "/var/log/weir.log");
  CHECK(snapshot->log.access.format == proxy::LogFormat::kCombined);
  CHECK(snapshot->log.access.sample == Approx(0.25));
  CHECK(snapshot->admin.address.text() == "0.0.0.0:9901");
  CHECK(snapshot->admin.token == "abc");
  http::Address inside;
  http::Address outside;
  REQUIRE(http::Address::parse("10.1.2.3", inside));
  REQUIRE(http::Address::parse("11.1.2.3", outside));
  CHECK(snapshot->trusted_proxies.contains(inside));
  CHECK_FALSE(snapshot->trusted_proxies.contains(outside));
}

TEST_CASE("config: an admin section without an address listens on loopback") {
  test::World world;
  CHECK(load(world, test::with_top("admin: {}"))->admin.address.text() == "127.0.0.1:9901");
  CHECK(load(world, test::with_top("admin: {address: \"unix:/run/weir.sock\"}"))
            ->admin.address.text() == "unix:/run/weir.sock");
  CHECK(load(world, test::with_top("admin: {address: \"[::1]:0\"}"))->admin.address.text() ==
        "[::1]:0");
}

TEST_CASE("config: numbers may come from quoted substitutions") {
  test::World world;
  world.variables = {{"N", "2"}, {"PORT", "8080"}};
  const auto snapshot = load(world, R"(
workers: "${N}"
listeners: {http: {address: "127.0.0.1:${PORT}", max_connections: "${N}"}}
sites: [{hosts: [a], routes: [{path: /, respond: {body: ok}, access_log: "${LOG:-false}"}]}]
)");
  CHECK(snapshot->workers == 2);
  CHECK(snapshot->listeners[0].address.port() == 8080);
  CHECK(snapshot->listeners[0].max_connections == 2);
  CHECK_FALSE(snapshot->sites[0].routes[0].access_log);
}

TEST_CASE("config: listeners") {
  test::World world;
  const auto snapshot = load(world, R"(
listeners:
  a:
    address: "[::]:8080"
    max_connections: 10
    connection: {requests: 7}
    timeouts: {header: 1s, body: 2s, send: 3s, keepalive: 4s}
    limits: {header_size: 64KiB, headers: 200, uri: 16KiB, body: 1GiB}
  b: {address: "unix:/run/weir.sock", limits: {body: 0B}}
  c: {address: "127.0.0.1:0"}
  d: {address: "127.0.0.1:0"}
sites: [{hosts: [x], routes: [{path: /, respond: {}}]}]
)");
  REQUIRE(snapshot->listeners.size() == 4);
  const proxy::ListenerConfig& a = snapshot->listeners[0];
  CHECK(a.address.text() == "[::]:8080");
  CHECK(a.max_connections == 10);
  CHECK(a.connection_requests == 7);
  CHECK(a.timeouts.header_ms == 1000);
  CHECK(a.timeouts.body_ms == 2000);
  CHECK(a.timeouts.send_ms == 3000);
  CHECK(a.timeouts.keepalive_ms == 4000);
  CHECK(a.limits.header_size_bytes == 65536);
  CHECK(a.limits.headers == 200);
  CHECK(a.limits.uri_bytes == 16384);
  CHECK(a.body_bytes == 1u << 30);
  CHECK(snapshot->listeners[1].address.is_unix());
  CHECK(snapshot->listeners[1].body_bytes == UINT64_MAX);
}

TEST_CASE("config: upstreams") {
  test::World world;
  const auto snapshot = load(world, test::with_top(R"(
)") + R"(
defaults: {timeout: 1s}
)");
  CHECK(snapshot->sites[0].routes[0].timeout_ms == 1000);

  const auto full = load(world, R"(
listeners: {http: {address: "127.0.0.1:0"}}
upstreams:
  app:
    balance: round_robin
    resolve: 5s
    servers:
      - {address: "app1.test:3000", weight: 3, max_fails: 0, fail_timeout: 30s,
         max_connections: 500}
      - {address: "[::1]:3000"}
      - {address: "unix:/run/app.sock", backup: true}
    keepalive: {idle: 0, timeout: 5s, requests: 100}
    timeouts: {connect: 1s, send: 2s, read: 3s, tunnel: 1d, total: 5s}
  other: {servers: [{address: "app1.test:3000"}]}
sites: [{hosts: [x], routes: [{path: /, upstream: app}]}]
)");
  const upstream::Cluster& app = *full->clusters[0];
  CHECK(app.balance == upstream::Balance::kRoundRobin);
  CHECK(app.servers[0].weight == 3);
  CHECK(app.servers[0].max_fails == 0);
  CHECK(app.servers[0].fail_timeout_ms == 30'000);
  CHECK(texts(app.servers[0]) == Lines{"192.0.2.1:3000"});
  CHECK(texts(app.servers[1]) == Lines{"[::1]:3000"});
  CHECK(app.servers[2].backup);
  CHECK(texts(app.servers[2]) == Lines{"unix:/run/app.sock"});
  CHECK(app.keepalive.idle == 0);
  CHECK(app.keepalive.timeout_ms == 5000);
  CHECK(app.keepalive.requests == 100);
  CHECK(app.timeouts.connect_ms == 1000);
  CHECK(app.timeouts.send_ms == 2000);
  CHECK(app.timeouts.read_ms == 3000);
  CHECK(app.timeouts.tunnel_ms == 86'400'000);
  CHECK(app.timeouts.total_ms == 5000);
  CHECK(app.index != full->clusters[1]->index);
  // One name in two upstreams is two servers.
  REQUIRE(world.watched.size() == 2);
  CHECK(world.watched[0].every_ms == 5'000);
  CHECK(world.watched[1].every_ms == 0);
  CHECK(app.servers[0].max_connections == 500);
  CHECK(app.servers[0].state != full->clusters[1]->servers[0].state);
}

TEST_CASE("config: what balances by hash has its tables") {
  test::World world;
  const auto snapshot = load(world, R"(
listeners: {http: {address: "127.0.0.1:0"}}
upstreams:
  ip: {balance: ip_hash, servers: [{address: "a.test:1"}, {address: "b.test:1"}]}
  key:
    balance: hash
    hash_key: header:X-User
    bounded_load: 1.25
    servers: [{address: "a.test:1"}, {address: "b.test:1", backup: true}]
  two: {balance: random_two, servers: [{address: "a.test:1"}]}
sites: [{hosts: [x], routes: [{path: /, upstream: ip}]}]
)");
  const upstream::Cluster& ip = *snapshot->clusters[0];
  CHECK(ip.balance == upstream::Balance::kHash);
  CHECK(ip.hash_key.source == upstream::HashKey::Source::kClientIp);
  CHECK(ip.bounded_load == 0);
  CHECK_FALSE(ip.primaries.empty());
  CHECK(ip.backups.empty());
  const upstream::Cluster& key = *snapshot->clusters[1];
  CHECK(key.hash_key.source == upstream::HashKey::Source::kHeader);
  CHECK(key.hash_key.name == "X-User");
  CHECK(key.bounded_load == 1.25);
  CHECK_FALSE(key.backups.empty());
  CHECK(snapshot->clusters[2]->balance == upstream::Balance::kRandomTwo);
  CHECK(snapshot->clusters[2]->primaries.empty());
}

TEST_CASE("config: a name that does not resolve is a warning and a down server") {
  test::World world;
  const LoadResult result = world.load(R"(listeners: {http: {address: "127.0.0.1:0"}}
upstreams:
  app: {servers: [{address: "nowhere:80"}, {address: "127.0.0.1:80"}]}
sites: [{hosts: [x], routes: [{path: /, upstream: app}]}]
)");
  REQUIRE(result.ok());
  CHECK(result.warnings ==
        Lines{"weir.yaml:3:20: upstreams.app.servers[0].address: "
              "\"nowhere:80\" does not resolve: unknown name; the server is down "
              "until it does"});
  CHECK_FALSE(result.snapshot->clusters[0]->servers[0].state->has_address());
  CHECK(result.snapshot->clusters[0]->servers[0].state != nullptr);
}

TEST_CASE("config: a file with errors resolves nothing and names no state") {
  test::World world;
  CHECK_FALSE(world.load(test::with_top("colour: red")).ok());
  CHECK(world.watched.empty());
  CHECK(world.states.endpoints().empty());
}

TEST_CASE("config: server state and route labels survive a reload") {
  test::World world;
  const std::string text = test::with_route("{path: /, name: main, upstream: app}");
  const auto first = load(world, text);
  const auto second = load(world, text);
  CHECK(first->clusters[0] != second->clusters[0]);
  CHECK(first->clusters[0]->servers[0].state == second->clusters[0]->servers[0].state);
  CHECK(first->clusters[0]->index == second->clusters[0]->index);
  CHECK(first->sites[0].routes[0].label == second->sites[0].routes[0].label);
  CHECK(first->sites[0].routes[0].label != proxy::Labels::kUnmatched);
}

TEST_CASE("config: paths are exact, on segment borders, or plain prefixes") {
  test::World world;
  const auto snapshot = load(world, R"(
listeners: {http: {address: "127.0.0.1:0"}}
sites:
  - hosts: [x]
    routes:
      - {path: =/health, respond: {}}
      - {path: /api, respond: {}}
      - {path: /static/, respond: {}}
      - {name: rest, path: /, respond: {}}
)");
  const auto& routes = snapshot->sites[0].routes;
  CHECK(routes[0].match == PathMatch::kExact);
  CHECK(routes[0].path == "/health");
  CHECK(routes[0].name == "=/health");
  CHECK(routes[1].match == PathMatch::kSegment);
  CHECK(routes[2].match == PathMatch::kPrefix);
  const auto name_of = [&](std::string_view path) {
    return test::match(*snapshot, 0, "x", path).route->name;
  };
  CHECK(name_of("/health") == "=/health");
  CHECK(name_of("/health/ready") == "rest");
  CHECK(name_of("/api") == "/api");
  CHECK(name_of("/api/v1") == "/api");
  CHECK(name_of("/apix") == "rest");
  CHECK(name_of("/static/a.css") == "/static/");
  CHECK(name_of("/static") == "rest");
}

TEST_CASE("config: sites are found by listener and host") {
  test::World world;
  const auto snapshot = load(world, R"(
listeners: {a: {address: "127.0.0.1:0"}, b: {address: "127.0.0.1:0"}}
sites:
  - {hosts: [Example.COM., "*.example.com"], routes: [{path: /, name: one, respond: {}}]}
  - {hosts: [only-b.test], listeners: [b, b], routes: [{path: /, name: two, respond: {}}]}
  - {hosts: ["*"], listeners: [b], routes: [{path: /, name: rest, respond: {}}]}
  - {hosts: ["[::1]", "10.0.0.1"], routes: [{path: /, name: ip, respond: {}}]}
)");
  const auto name_of = [&](uint32_t listener, std::string_view host) -> std::string {
    const auto match = test::match(*snapshot, listener, host, "/");
    return match.route == nullptr ? "" : match.route->name;
  };
  CHECK(name_of(0, "example.com") == "one");
  CHECK(name_of(0, "a.b.example.com") == "one");
  CHECK(name_of(0, "only-b.test").empty());
  CHECK(name_of(1, "only-b.test") == "two");
  CHECK(name_of(1, "other.test") == "rest");
  CHECK(name_of(1, "[::1]") == "ip");
  CHECK(snapshot->sites[0].listeners == std::vector<uint32_t>{0, 1});
  CHECK(snapshot->sites[1].listeners == std::vector<uint32_t>{1});
}

TEST_CASE("config: respond and redirect") {
  test::World world;
  const auto snapshot = load(world, R"(
listeners: {http: {address: "127.0.0.1:0"}}
sites:
  - hosts: [x]
    routes:
      - {path: =/a, respond: {status: 503, body: "busy\n", headers: {Retry-After: 5}}}
      - {path: =/b, respond: {}}
      - {path: =/c, redirect: {to: "https://example.com$uri"}}
      - {path: =/d, redirect: {to: /new, status: 301}}
)");
  const auto& routes = snapshot->sites[0].routes;
  CHECK(routes[0].action == Action::kRespond);
  CHECK(routes[0].status == 503);
  CHECK_FALSE(routes[0].body.empty());
  REQUIRE(routes[0].respond_headers.size() == 1);
  CHECK(routes[0].respond_headers[0].first == "Retry-After");
  CHECK(routes[1].status == 200);
  CHECK(routes[1].body.empty());
  CHECK(routes[2].action == Action::kRedirect);
  CHECK(routes[2].status == 308);
  CHECK_FALSE(routes[2].redirect_to.is_constant());
  CHECK(routes[3].status == 301);
}

TEST_CASE("config: defaults, site and route: the nearest wins") {
  test::World world;
  const auto snapshot = load(world, R"(
listeners: {http: {address: "127.0.0.1:0"}}
defaults:
  timeout: 10s
  websocket: false
  access_log: false
  request_id: off
  headers: {response: {remove: [Server]}}
sites:
  - hosts: [a]
    timeout: 20s
    routes:
      - {path: /1, respond: {}}
      - {path: /2, respond: {}, timeout: 0s, websocket: true, access_log: true, request_id: {}}
      - {path: /3, respond: {}, headers: off}
  - hosts: [b]
    request_id: {trust: true}
    routes: [{path: /, respond: {}}]
)");
  const auto& routes = snapshot->sites[0].routes;
  CHECK(routes[0].timeout_ms == 20'000);
  CHECK_FALSE(routes[0].websocket);
  CHECK_FALSE(routes[0].access_log);
  CHECK(filter_names(routes[0]) == Lines{"headers"});
  CHECK(routes[1].timeout_ms == 0);
  CHECK(routes[1].websocket);
  CHECK(routes[1].access_log);
  CHECK(filter_names(routes[1]) == Lines{"request_id", "headers"});
  CHECK(filter_names(routes[2]) == Lines{});
  CHECK(snapshot->sites[1].routes[0].timeout_ms == 10'000);
  CHECK(filter_names(snapshot->sites[1].routes[0]) == Lines{"request_id", "headers"});
}

TEST_CASE("config: routes that no request can reach are warnings") {
  test::World world;
  const LoadResult result = world.load(R"(listeners: {http: {address: "127.0.0.1:0"}}
sites:
  - hosts: [a]
    routes:
      - {path: /api, respond: {}}
      - {path: /api/v1/, respond: {}}
      - {path: /api, respond: {}}
      - {path: /apis, respond: {}}
  - hosts: [b]
    routes: [{path: /api, respond: {}}]
)");
  CHECK(result.ok());
  CHECK(result.warnings ==
        Lines{"weir.yaml:6:10: sites[0].routes[1].path: no request reaches this route: "
              "sites[0].routes[0] (line 5) takes all of its paths",
              "weir.yaml:7:10: sites[0].routes[2].path: no request reaches this route: "
              "sites[0].routes[0] (line 5) takes all of its paths"});
}

TEST_CASE("config: a file on disk, and why it cannot be read") {
  test::World world;
  char folder[] = "/tmp/weir-config-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/weir.yaml";
  CHECK(config::load(path, world.environment()).errors ==
        Lines{path + ": cannot be read: No such file or directory"});
  CHECK(config::load(folder, world.environment()).errors ==
        Lines{std::string(folder) + ": cannot be read: Is a directory"});
  std::ofstream(path) << "";
  CHECK(config::load(path, world.environment()).errors == Lines{path + ": is empty"});
  std::ofstream(path) << test::with_top("colour: red");
  CHECK(config::load(path, world.environment()).errors ==
        Lines{path + ":7:1: colour: unknown key"});
  std::ofstream(path) << test::with_top("");
  CHECK(config::load(path, world.environment()).ok());
  std::filesystem::remove_all(folder);
}

TEST_CASE("config: thousands of sites and routes load") {
  test::World world;
  std::string text = "listeners: {http: {address: \"127.0.0.1:0\"}}\nsites:\n";
  for (int site = 0; site < 1000; ++site) {
    text += "  - hosts: [h" + std::to_string(site) + ".test]\n    routes:\n";
    for (int route = 0; route < 20; ++route) {
      text += "      - {path: /p" + std::to_string(route) + "/, name: r, respond: {status: 204}}\n";
    }
  }
  const auto snapshot = load(world, text);
  const auto match = test::match(*snapshot, 0, "h777.test", "/p19/x");
  REQUIRE(match.route != nullptr);
  CHECK(match.route->path == "/p19/");
}

}  // namespace
}  // namespace weir::config
