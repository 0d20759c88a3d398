// One whole configuration as the workers use it: immutable, built and validated by config/ on its
// own thread, published by shared_ptr, freed on the config thread when the last worker has let go.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/strings.h"
#include "http/forwarded.h"
#include "http/rules.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/tls_server.h"
#include "proxy/conditions.h"
#include "proxy/error_pages.h"
#include "proxy/filter_chain.h"
#include "proxy/maintenance.h"
#include "proxy/mirror.h"
#include "proxy/regex.h"
#include "proxy/rewrite.h"
#include "proxy/router.h"
#include "proxy/seats.h"
#include "proxy/template.h"
#include "upstream/cluster.h"

namespace weir::net {
struct RedisConfig;
}

namespace weir::proxy {

class AnswerStore;
class LimitBook;
namespace files {
struct Files;
}

enum class Action : uint8_t { kUpstream, kRespond, kRedirect, kFiles, kHandler };

// Admin pages: runs on the admin worker only. Must not block.
using Handler = std::function<LocalReply(const http::RequestHead&)>;

struct Split;

struct Route {
  std::string name;    // the `route` label: configured, or the path as written
  uint32_t label = 0;  // dense id of `name`, process-wide (Labels)
  PathMatch match = PathMatch::kPrefix;
  std::string path;                    // without the "="; empty with kRegex
  std::shared_ptr<const Regex> regex;  // kRegex: asked of the normalised path
  Conditions conditions;
  Action action = Action::kRespond;
  std::shared_ptr<const upstream::Cluster> cluster;  // kUpstream; of a split, its base
  std::shared_ptr<const Split> split;                // kUpstream; null: `cluster` answers
  std::shared_ptr<const Rewrite> rewrite;            // kUpstream; null: what came goes on
  int status = 200;                                  // kRespond, kRedirect
  Template body;                                     // kRespond
  std::vector<std::pair<std::string, Template>> respond_headers;
  Template redirect_to;                       // kRedirect
  std::shared_ptr<const files::Files> files;  // kFiles
  Handler handler;                            // kHandler
  bool access_log = true;
  bool websocket = true;
  uint64_t timeout_ms = 0;                        // total of a request; 0 = none
  std::optional<uint64_t> max_body_bytes;         // instead of the listener's
  std::shared_ptr<const ErrorPages> error_pages;  // null: the standard bodies
  std::shared_ptr<const Mirror> mirror;           // null: none
  FilterChain filters;
  bool answers_preflights = false;  // some filter of it does
  bool drops_site_fields = false;   // no filter does
};

struct Site {
  std::vector<std::string> hosts;   // lower case: "example.com", "*.example.com", "*"
  std::vector<uint32_t> listeners;  // indexes of Snapshot::listeners
  std::vector<Route> routes;
  Router router;
  bool merge_slashes = false;  // "//" counts as "/" where routes are chosen
  uint16_t https_port = 443;   // where redirect_https leads
  // Of requests that no route takes: their 404 is an answer of the site.
  FilterChain filters;
  std::shared_ptr<const ErrorPages> error_pages;
  std::vector<std::string> own_fields;  // FilterFactory::own_fields() of all routes
};

// The request fields that tell servers of the certificate that a client has shown.
struct ClientIdentityFields {
  std::string subject = "X-Client-Subject";
  std::string verify = "X-Client-Verify";
  std::string names = "X-Client-San";
};

struct ListenerTimeouts {
  uint64_t handshake_ms = 10'000;  // of TLS, from the connect to its end
  uint64_t header_ms = 10'000;     // from the first byte of a head to its end
  uint64_t body_ms = 30'000;       // between two pieces of a request body
  uint64_t send_ms = 30'000;       // between two writes that the client takes
  uint64_t keepalive_ms = 75'000;  // idle between requests
  // Whoever sends a head or a body, or takes an answer, more slowly is ended. 0 = nobody is.
  uint64_t min_rate_bytes_per_s = 240;
};

// What a listener speaks. In the clear HTTP/2 is told by its preface, under TLS by ALPN.
struct Protocols {
  bool http1 = true;
  bool h2 = false;
  bool h2c = false;
  std::vector<std::string> alpn = {"http/1.1"};  // as configured: the preferred one first
};

struct ListenerConfig {
  std::string name;
  net::SocketAddress address;
  net::ListenOptions socket;
  http::HeadLimits limits;
  uint64_t body_bytes = 100u << 20;                 // 413 above
  uint32_t max_connections = 100'000;               // over all workers
  uint32_t client_connections = Seats::kUnlimited;  // of these, per client (Seats::client_key())
  uint32_t connection_requests = 10'000;            // then "Connection: close", or GOAWAY
  Protocols protocols;
  uint32_t h2_streams = 128;               // of one HTTP/2 connection at once
  uint64_t connection_age_ms = 3'600'000;  // the same; UINT64_MAX = never
  bool redirect_https = false;             // serves hardly anything itself (https_redirect.h)
  bool no_hsts = false;         // nothing of HTTPS is promised in the clear (RFC 6797 7.2)
  bool proxy_protocol = false;  // connections begin with a PROXY header, from trusted_proxies only
  bool uses_reserve = false;    // takes clients down to the last descriptor (net::Listener)
  ListenerTimeouts timeouts;
  std::shared_ptr<const net::TlsServer> tls;  // null: in the clear
  ClientIdentityFields client_fields;         // where tls->asks_for_certificate()
  std::shared_ptr<Seats> seats = std::make_shared<Seats>();
};

// Host to site on one listener; exact names first, then the longest wildcard, then "*".
class HostIndex {
 public:
  // False when the host is taken on this listener.
  bool add(std::string_view host, uint32_t site);
  // `host` as in RequestHead::host. UINT32_MAX: nobody claims it (421).
  uint32_t find(std::string_view host) const;

 private:
  using SiteByHost = std::unordered_map<std::string, uint32_t, TextHash, std::equal_to<>>;
  SiteByHost exact_;
  SiteByHost wildcard_;  // "*.example.com" under ".example.com"
  uint32_t any_ = UINT32_MAX;
};

enum class LogFormat : uint8_t { kJson, kCombined };

struct AccessLogConfig {
  std::string path = "stdout";  // stdout | stderr | off | FILE
  LogFormat format = LogFormat::kJson;
  double sample = 1.0;
};

struct LogConfig {
  std::string level = "info";
  bool json = true;
  AccessLogConfig access;
};

struct AdminConfig {
  net::SocketAddress address;  // length 0: no admin listener
  std::string token;
};

struct MemoryConfig {
  uint64_t buffers_bytes = 512u << 20;       // of the process, over all connections (BlockBudget)
  uint64_t per_connection_bytes = 1u << 20;  // of one connection in one direction
  bool refuse =
      true;  // false, for the admin listener: numbers are wanted most when memory is short

  // What may wait for a slow peer until the other side is no longer read ...
  uint64_t hold_bytes() const { return per_connection_bytes / 16; }
  // ... and how much one more read may bring then: what is held stays under the cap.
  uint64_t read_bytes() const { return per_connection_bytes / 2; }
};

struct Snapshot {
  // For the composition root. Workers, user and pid_file change at a start only.
  uint32_t workers = 1;
  LogConfig log;
  AdminConfig admin;
  std::string user;      // empty: stay who we are
  std::string pid_file;  // empty: none

  uint64_t shutdown_delay_ms = 0;
  uint64_t shutdown_grace_ms = 30'000;

  // The part that workers use.
  MemoryConfig memory;
  http::AddressSet trusted_proxies;
  std::vector<ListenerConfig> listeners;
  // Names of fields that only weir may set, whatever the listener: those of all client_fields.
  std::vector<std::string> reserved_fields;
  std::shared_ptr<const net::RedisConfig> redis;  // null: none
  bool mirrors = false;                           // some route has a mirror
  AnswerStore* answers = nullptr;                 // the process's cache; null: no route uses it
  // Where the cache has its second tier, over connections of its own: what is large is slow. Null:
  // nowhere.
  std::shared_ptr<const net::RedisConfig> tier_redis;
  uint64_t tier_object_bytes = 0;  // of a body there
  std::shared_ptr<const LimitBook> limits;        // null: none
  std::vector<std::shared_ptr<const net::TlsCertificate>> certificates;
  std::vector<HostIndex> hosts;  // per listener
  std::vector<Site> sites;
  // Only their on_response, on answers to requests that found no site: 400, 421, 431 ...
  FilterChain stray_filters;
  std::vector<std::shared_ptr<const upstream::Cluster>> clusters;
  Maintenances maintenances;  // in file order

  // Which site and route take a request. `path` is what routes were matched against, in the arena
  // or in the request; empty: it is no path (400). Null site: 421. Null route: 404, or 405 where
  // the router's other_methods() names some.
  struct Match {
    const Site* site = nullptr;
    const Route* route = nullptr;
    std::string_view path;
  };
  Match match(uint32_t listener, const http::RequestHead& request, Arena& arena) const;
};

// Ids of route names for metrics: one per name for the life of the process, so that counters
// survive a reload. Config thread adds; any thread reads.
class Labels {
 public:
  uint32_t id(const std::string& name);
  std::vector<std::string> names();
  static constexpr uint32_t kUnmatched = 0;

 private:
  std::mutex mutex_;
  std::vector<std::string> names_{"unmatched"};
  std::unordered_map<std::string, uint32_t> ids_{{"unmatched", kUnmatched}};
};
Labels& labels();

}  // namespace weir::proxy
