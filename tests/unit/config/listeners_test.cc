// What listeners may say of slow and many clients, and of their sockets.
#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

std::string with_listener(std::string_view keys) {
  return "listeners: {l: {address: \"1.1.1.1:80\", " + std::string(keys) +
         "}}\nsites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n";
}

std::string with_listeners(std::string_view listeners) {
  return "listeners: " + std::string(listeners) +
         "\nsites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n";
}

proxy::ListenerConfig listener_of(const std::string& text) {
  test::World world;
  const LoadResult result = world.load(text);
  CHECK(result.errors.empty());
  REQUIRE(result.ok());
  return result.snapshot->listeners[0];
}

TEST_CASE("config: a listener's defaults for slow and many clients") {
  const proxy::ListenerConfig listener = listener_of(with_listener(""));
  CHECK(listener.timeouts.min_rate_bytes_per_s == 240);
  CHECK(listener.connection_age_ms == 3'600'000);
  CHECK(listener.max_connections == 100'000);
  CHECK(listener.client_connections == proxy::Seats::kUnlimited);
  CHECK(listener.socket == net::ListenOptions{4096, true, 60});
  CHECK_FALSE(listener.uses_reserve);
}

TEST_CASE("config: a listener's keys for slow and many clients") {
  const proxy::ListenerConfig listener =
      listener_of(with_listener("timeouts: {min_rate: 1KiB/s}, connection: {age: 10m}, "
                                "client_connections: 200, backlog: 512, tcp_keepalive: 1500ms"));
  CHECK(listener.timeouts.min_rate_bytes_per_s == 1024);
  CHECK(listener.connection_age_ms == 600'000);
  CHECK(listener.client_connections == 200);
  CHECK(listener.socket == net::ListenOptions{512, true, 2});
}

TEST_CASE("config: what a listener switches off") {
  const proxy::ListenerConfig listener =
      listener_of(with_listener("timeouts: {min_rate: 0B/s}, connection: {age: 0s}, "
                                "client_connections: off, tcp_keepalive: false"));
  CHECK(listener.timeouts.min_rate_bytes_per_s == 0);
  CHECK(listener.connection_age_ms == UINT64_MAX);
  CHECK(listener.client_connections == proxy::Seats::kUnlimited);
  CHECK(listener.socket.keepalive_s == 0);
  CHECK(listener_of(with_listener("tcp_keepalive: true")).socket.keepalive_s == 60);
  CHECK(listener_of(with_listeners("{u: {address: \"unix:/s\"}}")).socket.keepalive_s == 0);
}

TEST_CASE("config: [::] takes IPv4 clients unless 0.0.0.0 has the port") {
  const auto v6_only = [](const std::string& listeners) {
    return listener_of(with_listeners(listeners)).socket.v6_only;
  };
  CHECK_FALSE(v6_only("{a: {address: \"[::]:80\"}}"));
  CHECK_FALSE(v6_only("{a: {address: \"[::]:80\"}, b: {address: \"0.0.0.0:81\"}}"));
  CHECK_FALSE(v6_only("{a: {address: \"[::]:80\"}, b: {address: \"1.1.1.1:80\"}}"));
  CHECK_FALSE(v6_only("{a: {address: \"[::]:0\"}, b: {address: \"0.0.0.0:0\"}}"));
  CHECK(v6_only("{a: {address: \"[::]:80\"}, b: {address: \"0.0.0.0:80\"}}"));
  CHECK(v6_only("{a: {address: \"[::1]:80\"}}"));
}

TEST_CASE("config: listeners of one name share their seats over reloads") {
  test::World world;
  const LoadResult first = world.load(with_listener(""));
  const LoadResult second = world.load(with_listener("max_connections: 5"));
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(first.snapshot->listeners[0].seats == second.snapshot->listeners[0].seats);
}

TEST_CASE("config errors: listeners' keys for slow and many clients") {
  struct Case {
    std::string text;
    Lines errors;
  };
  const std::string at = "weir.yaml:1:40: listeners.l.";
  const std::vector<Case> cases = {
      {with_listener("timeouts: {min_rate: 240}"),
       {"weir.yaml:1:51: listeners.l.timeouts.min_rate: \"240\" is not a rate of bytes; "
        "a size per second, as in 240B/s or 1KiB/s"}},
      {with_listener("timeouts: {min_rate: 2TiB/s}"),
       {"weir.yaml:1:51: listeners.l.timeouts.min_rate: \"2TiB/s\" is out of range; "
        "allowed: 0B/s to 1GiB/s"}},
      {with_listener("timeouts: {min_rate: [1B/s]}"),
       {"weir.yaml:1:51: listeners.l.timeouts.min_rate: must be a rate of bytes, not a list"}},
      {with_listener("connection: {age: 31d}"),
       {"weir.yaml:1:53: listeners.l.connection.age: \"31d\" is out of range; "
        "allowed: 0ms to 30d"}},
      {with_listener("client_connections: 0"),
       {at + "client_connections: \"0\" is out of range; allowed: 1 to 10000000"}},
      {with_listener("client_connections: none"),
       {at + "client_connections: \"none\" is not a whole number"}},
      {with_listener("backlog: 0"), {at + "backlog: \"0\" is out of range; allowed: 1 to 1048576"}},
      {with_listener("tcp_keepalive: yes"),
       {at + "tcp_keepalive: must be true, false or a duration, not \"yes\""}},
      {with_listener("tcp_keepalive: \"true\""),
       {at + "tcp_keepalive: must be true or false, not a string; remove the quotes"}},
      {with_listener("tcp_keepalive: 60"),
       {at + "tcp_keepalive: \"60\" needs a unit; one of ms, s, m, h, d, w or y, as in 60s"}},
      {with_listener("tcp_keepalive: 10h"),
       {at + "tcp_keepalive: \"10h\" is out of range; allowed: 1s to 9h"}},
      {with_listeners("{u: {address: \"unix:/s\", client_connections: 5, tcp_keepalive: 60s}}"),
       {"weir.yaml:1:37: listeners.u.client_connections: means nothing on a unix socket",
        "weir.yaml:1:60: listeners.u.tcp_keepalive: means nothing on a unix socket"}},
      {with_listener("redirect_https: 301"),
       {at + "redirect_https: must be true or false, not \"301\""}},
      {with_listener("proxy_protocol: v2"),
       {at + "proxy_protocol: must be true or false, not \"v2\""}},
      {with_listener("proxy_protocol: true"),
       {at + "proxy_protocol: nobody could connect: trusted_proxies is empty; name there who sends "
             "the header; a unix socket's peers are 127.0.0.1"}},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    test::World world;
    CHECK(world.load(one.text).errors == one.errors);
  }
}

TEST_CASE("config: redirect_https") {
  const proxy::ListenerConfig plain = listener_of(with_listener("redirect_https: true"));
  CHECK(plain.redirect_https);
  CHECK(plain.no_hsts);
  CHECK_FALSE(listener_of(with_listener("redirect_https: false")).redirect_https);
  CHECK_FALSE(listener_of(with_listener("")).no_hsts);
  test::World world;
  const Lines errors = world.load(with_listener("tls: {}, redirect_https: true")).errors;
  CHECK(std::count(errors.begin(), errors.end(),
                   "weir.yaml:1:49: listeners.l.redirect_https: does nothing on a listener with "
                   "tls") == 1);
}

TEST_CASE("config: clients behind a PROXY header are counted on unix sockets, too") {
  const proxy::ListenerConfig listener = listener_of(
      "trusted_proxies: [127.0.0.1]\n" +
      with_listeners("{u: {address: \"unix:/s\", client_connections: 5, proxy_protocol: true}}"));
  CHECK(listener.proxy_protocol);
  CHECK(listener.client_connections == 5);
  CHECK_FALSE(listener_of(with_listener("proxy_protocol: false")).proxy_protocol);
}

TEST_CASE("config warnings: a backlog that the kernel cuts") {
  test::World world;
  const LoadResult result = world.load(with_listener("backlog: 65535"));
  CHECK(result.ok());
  CHECK(result.warnings == Lines{"weir.yaml:1:40: listeners.l.backlog: 65535 becomes 4096; "
                                 "net.core.somaxconn is 4096"});
}

}  // namespace
}  // namespace weir::config
