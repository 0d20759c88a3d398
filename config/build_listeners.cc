#include <algorithm>
#include <utility>

#include "config/build.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

void build_timeouts(const Node& section, Problems& problems, proxy::ListenerTimeouts& out) {
  MapReader map(section, problems);
  map.duration_ms("handshake", kDeadlineMs, out.handshake_ms);
  map.duration_ms("header", kDeadlineMs, out.header_ms);
  map.duration_ms("body", kDeadlineMs, out.body_ms);
  map.duration_ms("send", kDeadlineMs, out.send_ms);
  map.duration_ms("keepalive", kDeadlineMs, out.keepalive_ms);
  map.byte_rate("min_rate", {0, uint64_t{1} << 30}, out.min_rate_bytes_per_s);
  map.finish();
}

void build_limits(const Node& section, Problems& problems, proxy::ListenerConfig& out) {
  constexpr options::Range<uint32_t> kHeadBytes = {256, 1u << 20};
  MapReader map(section, problems);
  map.size_bytes("header_size", kHeadBytes, out.limits.header_size_bytes);
  map.u32("headers", {1, 10'000}, out.limits.headers);
  map.size_bytes("uri", options::Range<uint32_t>{16, 1u << 20}, out.limits.uri_bytes);
  // 0B switches the limit off, as in nginx.
  if (map.size_bytes("body", kBodyBytes, out.body_bytes) && out.body_bytes == 0) {
    out.body_bytes = UINT64_MAX;
  }
  map.u32("h2_streams", {1, 10'000}, out.h2_streams);
  map.finish();
}

void build_connection(const Node& section, Problems& problems, proxy::ListenerConfig& out) {
  MapReader map(section, problems);
  map.u32("requests", {1, UINT32_MAX}, out.connection_requests);
  if (map.duration_ms("age", kDeadlineOrNoneMs, out.connection_age_ms) &&
      out.connection_age_ms == 0) {
    out.connection_age_ms = UINT64_MAX;
  }
  map.finish();
}

void build_backlog(Build& build, MapReader& map, proxy::ListenerConfig& out) {
  auto backlog = static_cast<uint32_t>(out.socket.backlog);
  if (!map.u32("backlog", {1, 1u << 20}, backlog)) return;
  out.socket.backlog = static_cast<int>(backlog);
  const uint64_t kernel_max = build.environment.backlog_max();
  if (backlog <= kernel_max) return;
  const std::string max = std::to_string(kernel_max);
  build.problems.warning(*map.find("backlog"), std::to_string(backlog) + " becomes " + max,
                         "net.core.somaxconn is " + max);
}

// A key of TCP sockets; an error elsewhere. Null when it is absent or that error.
const Node* find_tcp_key(Build& build, MapReader& map, std::string_view key,
                         const proxy::ListenerConfig& listener) {
  const Node* node = map.find(key);
  if (node == nullptr || !listener.address.is_unix()) return node;
  build.problems.error(*node, "means nothing on a unix socket");
  return nullptr;
}

void build_tcp_keepalive(Build& build, MapReader& map, proxy::ListenerConfig& out) {
  constexpr uint64_t kSecondMs = 1000;
  constexpr options::Range<uint64_t> kRangeMs = {kSecondMs,
                                                 uint64_t{9} * 3600 * kSecondMs};  // the kernel's
  constexpr uint32_t kStandardS = 60;
  if (!out.address.is_unix()) {
    out.socket.keepalive_s = kStandardS;
    map.note_default("tcp_keepalive", std::to_string(kStandardS) + "s");
  }
  const Node* node = find_tcp_key(build, map, "tcp_keepalive", out);
  if (node == nullptr) return;
  const bool is_number = !node->text.empty() && node->text[0] >= '0' && node->text[0] <= '9';
  if (is_number) {
    uint64_t silence_ms = 0;
    if (!read_duration_ms(*node, build.problems, kRangeMs, silence_ms)) return;
    out.socket.keepalive_s = static_cast<uint32_t>((silence_ms + kSecondMs - 1) / kSecondMs);
    return;
  }
  const bool is_word = node->kind == options::Kind::kScalar && !node->broken && !node->quoted &&
                       node->text != "true" && node->text != "false";
  bool on = true;
  if (is_word) {
    build.problems.error(*node, "must be true, false or a duration, not " + node->shown());
  } else if (read_bool(*node, build.problems, on)) {
    out.socket.keepalive_s = on ? kStandardS : 0;
  }
}

void build_redirect_https(Build& build, MapReader& map, proxy::ListenerConfig& out) {
  const Node* node = map.find("redirect_https");
  if (node == nullptr || !read_bool(*node, build.problems, out.redirect_https)) return;
  if (out.redirect_https && map.find("tls") != nullptr) {
    build.problems.error(*node, "does nothing on a listener with tls");
  }
}

void build_proxy_protocol(Build& build, MapReader& map, proxy::ListenerConfig& out) {
  const Node* node = map.find("proxy_protocol");
  if (node == nullptr || !read_bool(*node, build.problems, out.proxy_protocol)) return;
  if (out.proxy_protocol && build.snapshot.trusted_proxies.empty()) {
    build.problems.error(*node, "nobody could connect: trusted_proxies is empty",
                         "name there who sends the header; a unix socket's peers are 127.0.0.1");
  }
}

void build_client_connections(Build& build, MapReader& map, proxy::ListenerConfig& out) {
  // Clients behind a PROXY header have addresses, whatever the socket is.
  const Node* node = out.proxy_protocol ? map.find("client_connections")
                                        : find_tcp_key(build, map, "client_connections", out);
  if (node == nullptr && (out.proxy_protocol || !out.address.is_unix())) {
    map.note_default("client_connections", "off");
  }
  if (node == nullptr || is_off(*node)) return;
  uint64_t limit = 0;
  if (read_u64(*node, build.problems, {1, 10'000'000}, limit)) {
    out.client_connections = static_cast<uint32_t>(limit);
  }
}

void build_address(Build& build, MapReader& map, proxy::ListenerConfig& out) {
  const Node* node = map.require("address", "as in \"0.0.0.0:80\" or \"[::]:80\"");
  std::string text;
  if (node == nullptr || !read_string(*node, build.problems, text)) return;
  Result<net::SocketAddress> parsed = net::parse_address(text);
  if (!parsed.ok()) {
    build.problems.invalid(*node, "an address", parsed.error());
    return;
  }
  out.address = parsed.value();
  // Port 0 is a new port for each.
  if (!out.address.is_unix() && out.address.port() == 0) return;
  if (build.snapshot.admin.address == out.address) {
    build.problems.error(*node, "admin has this address already");
    return;
  }
  for (const proxy::ListenerConfig& other : build.snapshot.listeners) {
    if (other.address == out.address) {
      build.problems.error(*node,
                           "listener " + options::quote(other.name) + " has this address already");
      return;
    }
  }
}

// Under TLS a client asks for HTTP/2 by ALPN, in the clear by its first bytes: two words.
void build_protocols(Build& build, MapReader& map, proxy::ListenerConfig& out) {
  const bool is_tls = map.find("tls") != nullptr;
  const Node* node = map.find("protocols");
  if (node == nullptr) {
    if (!is_tls) return;
    out.protocols.h2 = true;
    out.protocols.alpn = {"h2", "http/1.1"};
    return;
  }
  std::vector<const Node*> items;
  if (!read_list(*node, build.problems, items)) return;
  if (items.empty()) build.problems.error(*node, "is empty", "leave it out for the usual ones");
  out.protocols = {.http1 = false, .h2 = false, .h2c = false, .alpn = {}};
  bool* const places[] = {&out.protocols.http1, &out.protocols.h2, &out.protocols.h2c};
  for (const Node* item : items) {
    size_t word = 0;
    if (!read_choice(*item, build.problems, {"http/1.1", "h2", "h2c"}, {}, word)) continue;
    if (*places[word]) build.problems.error(*item, item->shown() + " is listed twice");
    *places[word] = true;
    if (places[word] == &out.protocols.h2 && !is_tls) {
      build.problems.error(*item, "is spoken under tls only", "in the clear it is h2c");
    } else if (places[word] == &out.protocols.h2c && is_tls) {
      build.problems.error(*item, "is spoken in the clear only", "under tls it is h2");
    } else if (is_tls) {
      out.protocols.alpn.push_back(item->text);
    }
  }
}

proxy::ListenerConfig build_listener(Build& build, const Node& node) {
  proxy::ListenerConfig listener;
  listener.name = node.key;
  listener.seats = proxy::seats_of_listener(listener.name);
  MapReader map(node, build.problems);
  build_address(build, map, listener);
  map.u32("max_connections", {1, 10'000'000}, listener.max_connections);
  build_proxy_protocol(build, map, listener);
  build_client_connections(build, map, listener);
  build_backlog(build, map, listener);
  build_tcp_keepalive(build, map, listener);
  if (const Node* section = map.section("timeouts")) {
    build_timeouts(*section, build.problems, listener.timeouts);
  }
  if (const Node* section = map.section("limits")) build_limits(*section, build.problems, listener);
  if (const Node* section = map.section("connection")) {
    build_connection(*section, build.problems, listener);
  }
  build_protocols(build, map, listener);
  if (const Node* section = map.find("tls")) build_tls(build, *section, listener);
  build_redirect_https(build, map, listener);
  map.finish();
  return listener;
}

bool is_any_address(const net::SocketAddress& address, sa_family_t family) {
  if (address.any.sa_family != family) return false;
  return family == AF_INET ? address.v4.sin_addr.s_addr == INADDR_ANY
                           : IN6_IS_ADDR_UNSPECIFIED(&address.v6.sin6_addr);
}

// "[::]" takes IPv4 clients as well, but for a port that has an "0.0.0.0" of its own.
void share_ports(std::vector<proxy::ListenerConfig>& listeners) {
  for (proxy::ListenerConfig& listener : listeners) {
    if (!is_any_address(listener.address, AF_INET6)) continue;
    listener.socket.v6_only =
        std::any_of(listeners.begin(), listeners.end(), [&](const proxy::ListenerConfig& other) {
          return is_any_address(other.address, AF_INET) && other.address.port() != 0 &&
                 other.address.port() == listener.address.port();
        });
  }
}

// Where weir itself has TLS, what comes in the clear is in the clear; else a balancer may have it.
void note_clear_listeners(std::vector<proxy::ListenerConfig>& listeners) {
  const auto is_tls = [](const proxy::ListenerConfig& one) { return one.tls != nullptr; };
  const bool has_tls = std::any_of(listeners.begin(), listeners.end(), is_tls);
  for (proxy::ListenerConfig& listener : listeners) {
    listener.no_hsts = !is_tls(listener) && (has_tls || listener.redirect_https);
  }
}

}  // namespace

void build_listeners(Build& build, const Node& section) {
  constexpr size_t kListenersMax = 1000;  // addresses are compared pairwise
  MapReader map(section, build.problems);
  if (!map.is_map()) return;
  if (section.children.empty()) {
    build.problems.error(section, "is empty", "one listener at least is needed");
  }
  if (section.children.size() > kListenersMax) {
    build.problems.error(section, "more than " + std::to_string(kListenersMax) + " listeners");
    return;
  }
  for (const auto& node : section.children) {
    const auto index = static_cast<uint32_t>(build.snapshot.listeners.size());
    build.listeners.emplace(node->key, index);
    build.snapshot.listeners.push_back(build_listener(build, *node));
  }
  share_ports(build.snapshot.listeners);
  note_clear_listeners(build.snapshot.listeners);
  build.snapshot.hosts.resize(build.snapshot.listeners.size());
}

}  // namespace weir::config
