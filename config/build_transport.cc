// upstreams.NAME.protocol and upstreams.NAME.tls
#include <functional>
#include <string>
#include <utility>

#include "config/build.h"
#include "http/rules.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;
using upstream::Protocol;

// Tells apart what files hold, also where a reload finds the same names.
void digest(std::string_view text, uint64_t& sum) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  sum = (sum ^ std::hash<std::string_view>()(text)) * kOdd;
}

void digest_file(Build& build, const Node& node, uint64_t& sum) {
  std::string content;
  if (read_named_file(build, node, content)) digest(content, sum);
}

void read_trust_options(Build& build, MapReader& map, net::TlsClientOptions& options,
                        uint64_t& sum) {
  map.boolean("verify", options.verify);
  const Node* ca = map.find("ca");
  if (ca == nullptr) return;
  if (!options.verify) {
    build.problems.error(*ca, "does nothing with verify: false");
  } else if (read_trust(build, *ca, options.ca)) {
    digest(options.ca, sum);
  }
}

void read_identity(Build& build, MapReader& map, net::TlsClientOptions& options, uint64_t& sum) {
  const Node* cert = map.find("cert");
  const Node* key = map.find("key");
  if (cert == nullptr && key == nullptr) return;
  if (key == nullptr) {
    map.require("key", "with cert: the file in PEM with its private key");
  } else if (cert == nullptr) {
    map.require("cert", "with key: a file in PEM, the certificate and then its chain");
  } else {
    options.certificate = read_certificate(build, *cert, *key);
    if (options.certificate == nullptr) return;
    digest_file(build, *cert, sum);
    digest_file(build, *key, sum);
  }
}

void read_server_name(MapReader& map, std::string& name) {
  const Node* node = map.find("server_name");
  if (node == nullptr || !read_string(*node, map.problems(), name)) return;
  if (!http::is_valid_host(name) || name.find(':') != std::string::npos) {
    map.problems().invalid(*node, "a server name", "it is a host name without a port");
  }
}

// A socket's path is no name that a certificate could hold.
void require_names(Problems& problems, const Node& place, const upstream::Cluster& cluster,
                   const upstream::Transport& transport) {
  if (!transport.server_name.empty()) return;
  for (const upstream::Server& server : cluster.servers) {
    if (!server.address.starts_with("unix:")) continue;
    problems.error(place, "needs tls.server_name",
                   options::quote(server.address) + " is no name that a certificate could hold");
    return;
  }
}

void build_proxy_protocol(MapReader& upstream, upstream::Transport& transport,
                          upstream::KeepaliveConfig& keepalive) {
  using http::ProxyVersion;
  const Node* node = upstream.find("proxy_protocol");
  if (node == nullptr) return;
  upstream.choice<ProxyVersion>("proxy_protocol",
                                {{"v1", ProxyVersion::kV1}, {"v2", ProxyVersion::kV2}}, {},
                                transport.proxy_protocol);
  keepalive.requests = 1;
  if (const Node* section = upstream.find("keepalive")) {
    upstream.problems().error(*section, "does nothing with proxy_protocol",
                              "each request has a connection of its own");
  }
  if (transport.may_be_h2()) {
    upstream.problems().error(*node, "does nothing with protocol: h2 or h2c",
                              "their connections are shared by clients");
  }
}

}  // namespace

void read_client_tls(Build& build, MapReader& map, net::TlsClientOptions& options,
                     std::string& server_name, uint64_t& sum) {
  read_trust_options(build, map, options, sum);
  read_identity(build, map, options, sum);
  read_server_name(map, server_name);
  digest(options.verify ? "verify" : "trust", sum);
}

void build_transport(Build& build, MapReader& upstream, upstream::Cluster& cluster) {
  Problems& problems = build.problems;
  const size_t errors_before = problems.error_count();
  upstream::Transport transport;
  const Node* place = upstream.find("protocol");
  upstream.choice<Protocol>("protocol",
                            {{"http/1.1", Protocol::kHttp1},
                             {"h2c", Protocol::kH2c},
                             {"https", Protocol::kHttps},
                             {"h2", Protocol::kH2}},
                            {}, transport.protocol);
  build_proxy_protocol(upstream, transport, cluster.keepalive);
  const bool secure = transport.protocol == Protocol::kHttps || transport.protocol == Protocol::kH2;
  net::TlsClientOptions options;
  if (const Node* section = secure ? upstream.section("tls") : upstream.find("tls")) {
    MapReader map(*section, problems);
    read_client_tls(build, map, options, transport.server_name, transport.identity);
    map.finish();
    if (!secure && problems.error_count() == errors_before) {
      problems.error(*section, "does nothing without protocol: https or h2");
    }
  }
  if (secure) {
    if (options.verify) require_names(problems, *place, cluster, transport);
    options.protocols = {"http/1.1"};
    if (transport.protocol == Protocol::kH2) options.protocols = {"h2", "http/1.1"};
    options.workers = build.snapshot.workers;
    if (problems.error_count() > errors_before) return;
    Result<std::shared_ptr<const net::TlsClient>> made = net::TlsClient::make(std::move(options));
    if (!made.ok()) {
      problems.error(*place, "TLS cannot be set up: " + made.error());
      return;
    }
    transport.tls = made.value();
  }
  cluster.transport = std::make_shared<const upstream::Transport>(std::move(transport));
}

}  // namespace weir::config
