// Bad files and the exact lines that they give.
#include <catch2/catch.hpp>

#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

struct Case {
  std::string text;
  Lines errors;  // without "weir.yaml:"
};

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CAPTURE(one.text);
    test::World world;
    Lines expected;
    for (const std::string& line : one.errors) expected.push_back("weir.yaml:" + line);
    const LoadResult result = world.load(one.text);
    CHECK(result.errors == expected);
    CHECK(result.ok() == one.errors.empty());
  }
}

TEST_CASE("config errors: several errors in one file come out at once, in order of position") {
  test::World world;
  const LoadResult result = world.load(R"(workers: many
listeners:
  http: {address: "localhost:80", timeouts: {header: 10}}
upstreams:
  app:
    balance: least_con
    servers:
      - {address: "app1:3000", wieght: 3}
sites:
  - hosts: [example.com]
    routes:
      - path: /
        upstream: ap
      - path: api
        respond: {status: 700}
)");
  CHECK(result.errors ==
        Lines{"weir.yaml:1:1: workers: must be auto or a whole number, not \"many\"",
              "weir.yaml:3:10: listeners.http.address: \"localhost:80\" is not an address: "
              "\"localhost\" is not an IP address",
              "weir.yaml:3:46: listeners.http.timeouts.header: \"10\" needs a unit; one of "
              "ms, s, m, h, d, w or y, as in 10s",
              "weir.yaml:6:5: upstreams.app.balance: must be least_conn, round_robin, "
              "random_two, ip_hash or hash, not \"least_con\"; did you mean \"least_conn\"?",
              "weir.yaml:8:32: upstreams.app.servers[0].wieght: unknown key; "
              "did you mean \"weight\"?",
              "weir.yaml:13:9: sites[0].routes[0].upstream: no upstream \"ap\"; "
              "did you mean \"app\"?",
              "weir.yaml:14:9: sites[0].routes[1].path: \"api\" is not a path: "
              "it starts with / or =/",
              "weir.yaml:15:19: sites[0].routes[1].respond.status: \"700\" is out of range; "
              "allowed: 200 to 599"});
}

TEST_CASE("config errors: top level") {
  check({
      {"a: 1\n",
       {"1:1: listeners: is required; one at least, as in "
        "listeners: {http: {address: \"0.0.0.0:80\"}}",
        "1:1: sites: is required; one at least, with hosts and routes", "1:1: a: unknown key"}},
      {"- a\n", {"1:1: must be a map, not a list"}},
      {"hello\n", {"1:1: must be a map, not \"hello\""}},
      {test::with_top("site: []"), {"7:1: site: unknown key; did you mean \"sites\"?"}},
      {test::with_top("workers: 0"), {"7:1: workers: \"0\" is out of range; allowed: 1 to 1024"}},
      {test::with_top("workers: 1025"),
       {"7:1: workers: \"1025\" is out of range; allowed: 1 to 1024"}},
      {test::with_top("workers: [1]"),
       {"7:1: workers: must be auto or a whole number, not a list"}},
      {test::with_top("workers: \"2\""),
       {"7:1: workers: must be a whole number, not a string; remove the quotes"}},
      {test::with_top("trusted_proxies: true"),
       {"7:1: trusted_proxies: must be a list, not \"true\""}},
      {test::with_top("trusted_proxies: [10.0.0.0/40]"),
       {"7:19: trusted_proxies[0]: \"10.0.0.0/40\" is not a block of addresses: "
        "as in 10.0.0.0/8, ::1 or fd00::/8"}},
      {test::with_top("log: {level: verbose}"),
       {"7:7: log.level: must be error, warn, info or debug, not \"verbose\""}},
      {test::with_top("log: {access: {path: stdot, sample: 2}}"),
       {"7:16: log.access.path: must be stdout, stderr, off or a path with a /, not \"stdot\"",
        "7:29: log.access.sample: \"2\" is out of range; allowed: 0 to 1"}},
      {test::with_top("admin: {address: \"0.0.0.0:9901\"}"),
       {"7:1: admin.token: is required off loopback; token: ${ADMIN_TOKEN}"}},
      {test::with_top("admin: {address: \"[::]:9901\", token: \"\"}"),
       {"7:31: admin.token: is empty"}},
      {test::with_top("admin: {address: \"9901\"}"),
       {"7:9: admin.address: \"9901\" is not an address: a port is missing (host:port)"}},
      {test::with_top("user: wier"), {"7:1: user: there is no user \"wier\" on this system"}},
      {test::with_top("user: weir"), {}},
      {test::with_top("pid_file: weir.pid"),
       {"7:1: pid_file: must be an absolute path, not \"weir.pid\""}},
      {test::with_top("shutdown: {delay: 5}"),
       {"7:12: shutdown.delay: \"5\" needs a unit; one of ms, s, m, h, d, w or y, as in 5s"}},
      {test::with_top("shutdown: {grace: 2d}"),
       {"7:12: shutdown.grace: \"2d\" is out of range; allowed: 0ms to 1d"}},
  });
}

std::string with_upstream(std::string_view keys) {
  return "listeners: {l: {address: \"127.0.0.1:0\"}}\n"
         "upstreams: {a: {servers: [{address: \"127.0.0.1:1\"}],\n" +
         std::string(keys) + "}}\nsites: [{hosts: [a], routes: [{path: /, upstream: a}]}]\n";
}

TEST_CASE("config errors: checks, outliers, panic") {
  check({
      {with_upstream("health_check: {}, outlier: {}, panic: 50%, slow_start: 0s"), {}},
      {with_upstream("health_check: {status: [200, 204-299]}"), {}},
      {with_upstream("health_check: {status: 399-200}"),
       {"3:16: upstreams.a.health_check.status: \"399-200\" is not a status or a range of them; "
        "as in 200, 200-399 or [200, 301-302]"}},
      {with_upstream("health_check: {status: []}"),
       {"3:16: upstreams.a.health_check.status: is empty; no answer could ever be a good one"}},
      {with_upstream("health_check: {type: grpc}"),
       {"3:16: upstreams.a.health_check.type: needs protocol: h2c or h2; "
        "gRPC is spoken over HTTP/2"}},
      {with_upstream("health_check: {type: tcp, path: /x}"),
       {"3:27: upstreams.a.health_check.path: does nothing with type: tcp"}},
      {with_upstream("health_check: {path: x}"),
       {"3:16: upstreams.a.health_check.path: \"x\" is not a path: "
        "it begins with / and has no spaces and no #"}},
      {with_upstream("health_check: {sni: b.test}"),
       {"3:16: upstreams.a.health_check.sni: does nothing without protocol: https or h2"}},
      {with_upstream("health_check: {timeout: 1s, degraded_over: 1s}"),
       {"3:29: upstreams.a.health_check.degraded_over: is never reached; "
        "timeout ends a check before"}},
      {with_upstream("outlier: {error_rate: 0%}"),
       {"3:1: upstreams.a.outlier: can eject nobody; "
        "give it an error_rate above 0% or a latency"}},
      {with_upstream("panic: 50"),
       {"3:1: upstreams.a.panic: \"50\" is not a percentage; a number and %, as in 50%"}},
  });
}

std::string with_listeners(std::string_view listeners) {
  return "listeners: " + std::string(listeners) +
         "\nsites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n";
}

TEST_CASE("config errors: listeners") {
  check({
      {with_listeners("{}"), {"1:1: listeners: is empty; one listener at least is needed"}},
      {with_listeners(""), {"1:1: listeners: is empty; one listener at least is needed"}},
      {with_listeners("[a]"), {"1:1: listeners: must be a map, not a list"}},
      {with_listeners("{l: }"),
       {"1:13: listeners.l.address: is required; as in \"0.0.0.0:80\" or \"[::]:80\""}},
      {with_listeners("{l: {address: \"0.0.0.0:99999\"}}"),
       {"1:17: listeners.l.address: \"0.0.0.0:99999\" is not an address: "
        "the port must be a number from 0 to 65535"}},
      {with_listeners("{l: {address: 80}}"),
       {"1:17: listeners.l.address: \"80\" is not an address: a port is missing (host:port)"}},
      {with_listeners("{l: {address: \"::1:80\"}}"),
       {"1:17: listeners.l.address: \"::1:80\" is not an address: "
        "an IPv6 address needs brackets ([::1]:80)"}},
      {with_listeners("{a: {address: \"1.1.1.1:80\"}, b: {address: \"1.1.1.1:80\"}}"),
       {"1:45: listeners.b.address: listener \"a\" has this address already"}},
      {with_listeners("{a: {address: \"unix:/a\"}, b: {address: \"127.0.0.1:81\"}}") +
           "admin: {address: \"127.0.0.1:81\"}\n",
       {"1:42: listeners.b.address: admin has this address already"}},
      {with_listeners("{a: {address: \"unix:/a\"}}") + "admin: {address: \"unix:/a\"}\n",
       {"1:17: listeners.a.address: admin has this address already"}},
      {with_listeners("{a: {address: \"127.0.0.1:0\"}}") + "admin: {address: \"127.0.0.1:0\"}\n",
       {}},
      {with_listeners("{l: {address: \"1.1.1.1:80\", max_connections: 0, "
                      "limits: {headers: many, uri: 8}, connection: {requests: 0}}}"),
       {"1:40: listeners.l.max_connections: \"0\" is out of range; allowed: 1 to 10000000",
        "1:69: listeners.l.limits.headers: \"many\" is not a whole number",
        "1:84: listeners.l.limits.uri: \"8\" needs a unit; one of B, KB, KiB, MB, MiB, GB, GiB, "
        "TB or TiB, as in 8KiB",
        "1:106: listeners.l.connection.requests: \"0\" is out of range; "
        "allowed: 1 to 4294967295"}},
  });
}

std::string with_servers(std::string_view servers) {
  return "listeners: {l: {address: \"127.0.0.1:0\"}}\n"
         "upstreams: {a: {servers: " +
         std::string(servers) + "}}\nsites: [{hosts: [a], routes: [{path: /, upstream: a}]}]\n";
}

TEST_CASE("config errors: circuit breaker and concurrency") {
  check({
      {with_upstream("circuit_breaker: {max_connections: 1, max_pending: 0}"), {}},
      {with_upstream("concurrency: adaptive"), {}},
      {with_upstream("circuit_breaker: {max_connections: 0}"),
       {"3:19: upstreams.a.circuit_breaker.max_connections: \"0\" is out of range; "
        "allowed: 1 to 1000000"}},
      {with_upstream("circuit_breaker: {pending_timeout: 5}"),
       {"3:19: upstreams.a.circuit_breaker.pending_timeout: \"5\" needs a unit; one of "
        "ms, s, m, h, d, w or y, as in 5s"}},
      {with_upstream("concurrency: adaptiv"),
       {"3:1: upstreams.a.concurrency: must be off or adaptive, not \"adaptiv\"; did you mean "
        "\"adaptive\"?"}},
  });
}

TEST_CASE("config errors: upstreams") {
  const std::string at = "2:28: upstreams.a.servers[0].address: ";
  check({
      {with_servers("[]"), {"2:17: upstreams.a.servers: is empty; one server at least is needed"}},
      {with_servers("[{address: \"a:1\", backup: true}]"),
       {"2:17: upstreams.a.servers: has only backups; one server without backup is needed"}},
      {with_servers("[\"a:1\"]"), {"2:27: upstreams.a.servers[0]: must be a map, not \"a:1\""}},
      {with_servers("[{weight: 2}]"),
       {"2:27: upstreams.a.servers[0].address: is required; "
        "host:port, [v6]:port or unix:/path"}},
      {with_servers("[{address: app}]"),
       {at + "\"app\" is not a server's address: a port is missing (host:port)"}},
      {with_servers("[{address: \"app:0\"}]"),
       {at + "\"app:0\" is not a server's address: the port must be a number from 1 to 65535"}},
      {with_servers("[{address: \"http://app:80\"}]"),
       {at + "\"http://app:80\" is not a server's address: "
             "write host:port without a scheme"}},
      {with_servers("[{address: \"a b:80\"}]"),
       {at + "\"a b:80\" is not a server's address: "
             "the host is neither a name nor an IP address"}},
      {with_servers("[{address: \"unix:\"}]"),
       {at + "\"unix:\" is not a server's address: the path of a unix socket begins with /"}},
      {with_servers("[{address: \"a:1\", weight: 0, max_fails: -1, backup: yes}]"),
       {"2:44: upstreams.a.servers[0].weight: \"0\" is out of range; allowed: 1 to 1000",
        "2:55: upstreams.a.servers[0].max_fails: \"-1\" is not a whole number",
        "2:70: upstreams.a.servers[0].backup: must be true or false, not \"yes\""}},
      // A broken upstream is no reason to blame the route that names it.
      {with_servers("[{adress: \"a:1\"}]"),
       {"2:27: upstreams.a.servers[0].address: is required; host:port, [v6]:port or unix:/path",
        "2:28: upstreams.a.servers[0].adress: unknown key; did you mean \"address\"?"}},
  });
}

std::string upstream(std::string_view keys) {
  return "listeners: {l: {address: \"127.0.0.1:0\"}}\n"
         "upstreams: {a: {servers: [{address: \"a.test:1\"}], " +
         std::string(keys) +
         "}}\n"
         "sites: [{hosts: [a], routes: [{path: /, upstream: a}]}]\n";
}

TEST_CASE("config errors: protocols of upstreams") {
  check({
      {upstream("protocol: h2c"), {}},
      {upstream("protocol: http2"),
       {"2:51: upstreams.a.protocol: must be http/1.1, h2c, https or h2, not \"http2\"; did you "
        "mean \"https\"?"}},
      {upstream("proxy_protocol: v1, protocol: h2c"),
       {"2:51: upstreams.a.proxy_protocol: does nothing with protocol: h2 or h2c; their "
        "connections are shared by clients"}},
      {upstream("protocol: h2c, tls: {verify: false}"),
       {"2:66: upstreams.a.tls: does nothing without protocol: https or h2"}},
      {upstream("protocol: https, tls: {verify: false}"), {}},
      {upstream("protocol: https, tls: {verify: false, ca: /x}"),
       {"2:89: upstreams.a.tls.ca: does nothing with verify: false"}},
      {upstream("protocol: https, tls: {server_name: \"a.test:443\"}"),
       {"2:74: upstreams.a.tls.server_name: \"a.test:443\" is not a server name: it is a host "
        "name without a port"}},
      {upstream("protocol: https, tls: {cert: /x}"),
       {"2:68: upstreams.a.tls.key: is required; with cert: the file in PEM with its private "
        "key"}},
      {upstream("protocol: https, tls: {key: /x}"),
       {"2:68: upstreams.a.tls.cert: is required; with key: a file in PEM, the certificate and "
        "then its chain"}},
      {upstream("protocol: https, tls: {ca: /absent}"),
       {"2:74: upstreams.a.tls.ca: \"/absent\" cannot be read: No such file or directory"}},
      {"listeners: {http: {address: \"127.0.0.1:0\"}}\n"
       "upstreams: {a: {protocol: h2, servers: [{address: \"unix:/s\"}]}}\n"
       "sites: [{hosts: [a], routes: [{path: /, upstream: a}]}]\n",
       {"2:17: upstreams.a.protocol: needs tls.server_name; \"unix:/s\" is no name that a "
        "certificate could hold"}},
  });
}

TEST_CASE("config errors: balancing, capacity and names") {
  const std::string key = "2:66: upstreams.a.hash_key: ";
  const std::string words =
      " is not a hash key: it is client_ip, path, uri, header:NAME, cookie:NAME or query:NAME";
  check({
      {upstream("balance: random"),
       {"2:51: upstreams.a.balance: must be least_conn, round_robin, random_two, ip_hash or "
        "hash, not \"random\""}},
      {upstream("balance: hash"),
       {"2:13: upstreams.a.hash_key: is required; with balance: hash; as in "
        "hash_key: header:X-User"}},
      {upstream("balance: hash, hash_key: user"), {key + "\"user\"" + words}},
      {upstream("balance: hash, hash_key: \"cookie:\""), {key + "\"cookie:\"" + words}},
      {upstream("balance: hash, hash_key: [path]"), {key + "must be a string, not a list"}},
      {upstream("balance: hash, hash_key: \"header:X User\""),
       {key + "\"header:X User\" is not a hash key: what follows header: is not a header name"}},
      {upstream("hash_key: path, bounded_load: 2"),
       {"2:51: upstreams.a.hash_key: does nothing without balance: hash",
        "2:67: upstreams.a.bounded_load: does nothing without balance: hash or ip_hash"}},
      {upstream("balance: ip_hash, hash_key: path, bounded_load: 0.5"),
       {"2:69: upstreams.a.hash_key: does nothing without balance: hash",
        "2:85: upstreams.a.bounded_load: \"0.5\" is out of range; allowed: 1 to 100"}},
      {upstream("balance: ip_hash, bounded_load: 2"), {}},
      {upstream("proxy_protocol: v3"),
       {"2:51: upstreams.a.proxy_protocol: must be v1 or v2, not \"v3\"; "
        "did you mean \"v1\"?"}},
      {upstream("proxy_protocol: v2, keepalive: {idle: 5}"),
       {"2:71: upstreams.a.keepalive: does nothing with proxy_protocol; each request has a "
        "connection of its own"}},
      {upstream("proxy_protocol: v1"), {}},
      {upstream("resolve: 30"),
       {"2:51: upstreams.a.resolve: \"30\" needs a unit; one of ms, s, m, h, d, w or y, as in "
        "30s"}},
      {upstream("resolve: 0s"),
       {"2:51: upstreams.a.resolve: \"0s\" is out of range; allowed: 100ms to 1d"}},
      {with_servers("[{address: \"a.test:1\", max_connections: 0}]"),
       {"2:49: upstreams.a.servers[0].max_connections: \"0\" is out of range; "
        "allowed: 1 to 1000000"}},
  });
}

std::string with_sites(std::string_view sites) {
  return "listeners: {http: {address: \"127.0.0.1:0\"}}\nsites:\n" + std::string(sites);
}

TEST_CASE("config errors: sites") {
  const std::string routes = "routes: [{path: /, respond: {}}]}\n";
  check({
      {with_sites(""), {"2:1: sites: is empty; one site at least is needed"}},
      {with_sites("  a: 1\n"), {"2:1: sites: must be a list, not a map"}},
      {with_sites("  - {" + routes),
       {"3:5: sites[0].hosts: is required; as in hosts: [example.com], or [\"*\"] for all"}},
      {with_sites("  - {hosts: [], " + routes),
       {"3:6: sites[0].hosts: is empty; hosts: [\"*\"] claims what no other site does"}},
      {with_sites("  - {hosts: a, " + routes), {"3:6: sites[0].hosts: must be a list, not \"a\""}},
      {with_sites("  - {hosts: [a]}\n"),
       {"3:5: sites[0].routes: is required; one at least, as in "
        "routes: [{path: /, upstream: app}]"}},
      {with_sites("  - {hosts: [a], routes: []}\n"),
       {"3:18: sites[0].routes: is empty; one route at least is needed"}},
      {with_sites("  - {hosts: [\"[2001:DB8:0::1]\"], " + routes +
                  "  - {hosts: [\"[2001:db8::1]\"], " + routes),
       {"4:14: sites[1].hosts[0]: host \"[2001:db8::1]\" on listener \"http\" is claimed by "
        "sites[0].hosts[0] "
        "(line 3) already"}},
      {"listeners: {a: {address: \"127.0.0.1:80\"}, b: {address: \"[::ffff:127.0.0.1]:80\"}}\n"
       "sites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n",
       {"1:47: listeners.b.address: listener \"a\" has this address already"}},
      {with_sites("  - {hosts: [\"*.[::1]\"], " + routes),
       {"3:14: sites[0].hosts[0]: \"*.[::1]\" is not a host: a name, an IP address or [an IPv6 "
        "address] is due"}},
      {with_sites("  - {hosts: [\"a:80\"], " + routes),
       {"3:14: sites[0].hosts[0]: \"a:80\" is not a host: write it without scheme and port"}},
      {with_sites("  - {hosts: [\"http://a\"], " + routes),
       {"3:14: sites[0].hosts[0]: \"http://a\" is not a host: write it without scheme and port"}},
      {with_sites("  - {hosts: [\"a.*\"], " + routes),
       {"3:14: sites[0].hosts[0]: \"a.*\" is not a host: "
        "a * stands alone or before the first dot: *.example.com"}},
      {with_sites("  - {hosts: [\"a b\"], " + routes),
       {"3:14: sites[0].hosts[0]: \"a b\" is not a host: "
        "a name, an IP address or [an IPv6 address] is due"}},
      {with_sites("  - {hosts: [a], " + routes + "  - {hosts: [b, A], " + routes),
       {"4:17: sites[1].hosts[1]: host \"A\" on listener \"http\" is claimed by "
        "sites[0].hosts[0] (line 3) already"}},
      {with_sites("  - {hosts: [a, a], " + routes),
       {"3:17: sites[0].hosts[1]: host \"a\" on listener \"http\" is claimed by "
        "sites[0].hosts[0] (line 3) already"}},
      {with_sites("  - {hosts: [a], listeners: [htp], " + routes),
       {"3:30: sites[0].listeners[0]: no listener \"htp\"; did you mean \"http\"?"}},
      {with_sites("  - {hosts: [a], listeners: [], " + routes),
       {"3:18: sites[0].listeners: is empty"}},
  });
}

TEST_CASE("config errors: routes") {
  const std::string at = "6:10: sites[0].routes[0].path: ";
  check({
      {test::with_route("{path: /}"),
       {"6:9: sites[0].routes[0]: has no action; "
        "one of upstream, split, files, respond and redirect is due"}},
      {test::with_route("{path: /, upstream: app, respond: {}}"),
       {"6:9: sites[0].routes[0]: has several actions; "
        "one of upstream, split, files, respond and redirect is due"}},
      {test::with_route("{upstream: app}"),
       {"6:9: sites[0].routes[0].path: is required; or path_regex"}},
      {test::with_route("x"), {"6:9: sites[0].routes[0]: must be a map, not \"x\""}},
      {test::with_route("{path: \"/a b\", upstream: app}"),
       {at + "\"/a b\" is not a path: spaces, ?, # and what is not ASCII are percent-encoded"}},
      {test::with_route("{path: \"/a?b\", upstream: app}"),
       {at + "\"/a?b\" is not a path: spaces, ?, # and what is not ASCII are percent-encoded"}},
      {test::with_route("{path: /a/../b, upstream: app}"),
       {at + "\"/a/../b\" is not a path: requests are matched as \"/b\""}},
      {test::with_route("{path: \"/%41\", upstream: app}"),
       {at + "\"/%41\" is not a path: requests are matched as \"/A\""}},
      {test::with_route("{path: \"/%zz\", upstream: app}"),
       {at + "\"/%zz\" is not a path: it holds broken percent-encoding or climbs out"}},
      {test::with_route("{path: \"=\", upstream: app}"),
       {at + "\"=\" is not a path: it starts with / or =/"}},
      {test::with_route("{path: /, name: unmatched, upstream: app}"),
       {"6:19: sites[0].routes[0].name: \"unmatched\" stands for requests without a route"}},
      {test::with_route("{path: /, upstream: app, timeout: 5, websocket: on}"),
       {"6:34: sites[0].routes[0].timeout: \"5\" needs a unit; one of ms, s, m, h, d, w or y, "
        "as in 5s",
        "6:46: sites[0].routes[0].websocket: must be true or false, not \"on\""}},
      {test::with_route("{path: /, respond: {status: 204, body: x}}"),
       {"6:42: sites[0].routes[0].respond.body: an answer with status 204 has no body"}},
      {test::with_route("{path: /, respond: {headers: {A: 1, a: 2}}}"),
       {"6:45: sites[0].routes[0].respond.headers.a: \"a\" is set twice here"}},
      {test::with_route("{path: /, redirect: {to: /x, status: 200}}"),
       {"6:38: sites[0].routes[0].redirect.status: must be 301, 302, 303, 307 or 308, "
        "not \"200\""}},
      {test::with_route("{path: /, redirect: {to: /x, status: 304}}"),
       {"6:38: sites[0].routes[0].redirect.status: must be 301, 302, 303, 307 or 308, "
        "not \"304\""}},
      {test::with_route("{path: /, respond: {headers: {Content-Length: 3, \"a b\": x}}}"),
       {"6:39: sites[0].routes[0].respond.headers.Content-Length: \"Content-Length\" is managed "
        "by weir and cannot be configured",
        "6:58: sites[0].routes[0].respond.headers[\"a b\"]: \"a b\" is not a header name"}},
      {test::with_route("{path: /, redirect: {}}"),
       {"6:19: sites[0].routes[0].redirect.to: is required; as in to: "
        "\"https://example.com$uri\""}},
      {test::with_route("{path: /, redirect: {to: example.com, status: 304}}"),
       {"6:30: sites[0].routes[0].redirect.to: \"example.com\" is not a redirect target: "
        "it starts with http://, https://, / or $",
        "6:47: sites[0].routes[0].redirect.status: must be 301, 302, 303, 307 or 308, "
        "not \"304\""}},
  });
}

TEST_CASE("config errors: filters") {
  const auto route = [](std::string_view keys) {
    return test::with_route("{path: /, upstream: app, " + std::string(keys) + "}");
  };
  check({
      {route("request_id: true"),
       {"6:34: sites[0].routes[0].request_id: must be a map or off, not \"true\""}},
      {route("request_id: {header: \"X Id\", trust: maybe}"),
       {"6:47: sites[0].routes[0].request_id.header: \"X Id\" is not a header name",
        "6:63: sites[0].routes[0].request_id.trust: must be true or false, not \"maybe\""}},
      {route("request_id: {header: Connection}"),
       {"6:47: sites[0].routes[0].request_id.header: \"Connection\" is managed by weir and "
        "cannot be configured"}},
      {route("request_id: {header: X-Real-IP}"),
       {"6:47: sites[0].routes[0].request_id.header: \"X-Real-IP\" is managed by weir and "
        "cannot be configured"}},
      {route("headers: {request: {remove: [Proxy]}, response: {set: {Proxy-Authenticate: x}}}"),
       {"6:63: sites[0].routes[0].headers.request.remove[0]: \"Proxy\" is managed by weir and "
        "cannot be configured",
        "6:89: sites[0].routes[0].headers.response.set.Proxy-Authenticate: "
        "\"Proxy-Authenticate\" is managed by weir and cannot be configured"}},
      {route("headers: {request: {set: {X-Forwarded-For: a}, remove: [Forwarded]}}"), {}},
      {route("headers: {request: {add: {X-Forwarded-For: a}, set_if_absent: {X-Real-IP: a}}}"),
       {"6:60: sites[0].routes[0].headers.request.add.X-Forwarded-For: \"X-Forwarded-For\" is "
        "told to servers by weir itself; set and remove take the place of what it says",
        "6:97: sites[0].routes[0].headers.request.set_if_absent.X-Real-IP: \"X-Real-IP\" is "
        "told to servers by weir itself; set and remove take the place of what it says"}},
      {route("headers: {reponse: {}}"),
       {"6:44: sites[0].routes[0].headers.reponse: unknown key; did you mean \"response\"?"}},
      {route("headers: {request: {set: {transfer-encoding: chunked}, remove: [Host]}}"),
       {"6:60: sites[0].routes[0].headers.request.set.transfer-encoding: \"transfer-encoding\" "
        "is managed by weir and cannot be configured",
        "6:98: sites[0].routes[0].headers.request.remove[0]: \"Host\" is managed by weir and "
        "cannot be configured"}},
      {route("headers: {request: {set: {Host: \"a b\"}}}"),
       {"6:60: sites[0].routes[0].headers.request.set.Host: \"a b\" is not a host"}},
      {route("headers: {response: {set: {Host: x}}}"),
       {"6:61: sites[0].routes[0].headers.response.set.Host: \"Host\" is managed by weir and "
        "cannot be configured"}},
      {route("headers: {response: {set: {A: \"x\\r\\nB: y\"}}}"),
       {"6:61: sites[0].routes[0].headers.response.set.A: \"x\\x0d\\nB: y\" is not a header "
        "value: it holds a control character"}},
      {route("headers: {response: {set: {A: x}, remove: [a]}}"),
       {"6:77: sites[0].routes[0].headers.response.remove[0]: \"a\" is edited twice here"}},
      {route("headers: {response: {set: {A: {mode: append}}, add: {B: {value: x}}}}"),
       {"6:61: sites[0].routes[0].headers.response.set.A.value: is required",
        "6:87: sites[0].routes[0].headers.response.add.B: must be a string, not a map"}},
      {route("headers: {response: {set: {A: {value: x, mode: replace}, B: }}}"),
       {"6:75: sites[0].routes[0].headers.response.set.A.mode: must be override, set_if_absent "
        "or append, not \"replace\"",
        "6:91: sites[0].routes[0].headers.response.set.B: must be a string, not nothing"}},
  });
}

TEST_CASE("config errors: an unknown variable is an error that stands at the value") {
  test::World world;
  const LoadResult result = world.load(R"(listeners: {http: {address: "127.0.0.1:0"}}
sites:
  - hosts: [a]
    routes:
      - {path: =/a, redirect: {to: "https://$hots/"}}
      - {path: =/b, respond: {body: "$colour", headers: {A: $b}}}
      - {path: =/c, respond: {}, headers: {response: {set: {A: $c}}}}
)");
  REQUIRE(result.errors.size() == 4);
  CHECK(result.errors[0].find("weir.yaml:5:32: sites[0].routes[0].redirect.to: ") == 0);
  CHECK(result.errors[0].find("$hots") != std::string::npos);
  CHECK(result.errors[1].find("weir.yaml:6:31: sites[0].routes[1].respond.body: ") == 0);
  CHECK(result.errors[2].find("weir.yaml:6:58: sites[0].routes[1].respond.headers.A: ") == 0);
  CHECK(result.errors[3].find("weir.yaml:7:61: sites[0].routes[2].headers.response.set.A: ") == 0);
}

}  // namespace
}  // namespace weir::config
