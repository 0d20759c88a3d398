// The parts of load.cc, one per section of the file. Each reads its node, reports what is wrong and
// fills its part of the snapshot; where it fails, defaults stay, so that the rest is checked, too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/options.h"
#include "config/environment.h"
#include "filters/cache/store_options.h"
#include "filters/rate_limit/limit.h"
#include "filters/registry.h"
#include "proxy/snapshot.h"
#include "proxy/split.h"
#include "upstream/cluster.h"

namespace weir::config {

// Bounds that several sections share.
constexpr uint64_t kDayMs = 86'400'000;
constexpr options::Range<uint64_t> kDeadlineMs = {1, 30 * kDayMs};
constexpr options::Range<uint64_t> kDeadlineOrNoneMs = {0, 30 * kDayMs};
constexpr options::Range<uint64_t> kBodyBytes = {0, uint64_t{1} << 60};

struct Build {
  const Environment& environment;
  options::Problems& problems;
  proxy::Snapshot& snapshot;

  std::unordered_map<std::string, uint32_t> listeners;  // index by name
  // By name; empty where the upstream is broken, so that naming it is no second error.
  std::unordered_map<std::string, std::shared_ptr<upstream::Cluster>> upstreams;
  std::vector<std::shared_ptr<upstream::Cluster>> clusters;  // in file order
  // By path: a file that many sites name is read once. Null: it cannot be used, which is reported.
  std::unordered_map<std::string, std::shared_ptr<const proxy::ErrorPage>> error_pages;
  // Where clusters[cluster].servers[server] stands in the file: its map, or the servers_file that
  // has it.
  struct ServerPlace {
    size_t cluster;
    size_t server;
    const options::Node* node;
  };
  std::vector<ServerPlace> servers;
  // Of listeners, upstreams and what concerns the process.
  options::Defaults defaults = {};
  // By pattern: compiled once, however many routes have it.
  std::unordered_map<std::string, std::shared_ptr<const proxy::Regex>> regexes = {};
  std::vector<MemberFile> member_files = {};
  filters::rate_limit::Limits rate_limits = {};
  filters::cache::StoreOptions store = {};
  bool uses_cache = false;  // some level has `cache`
  // The `cache.key.user` of defaults and sites, and whether the `auth` of some route tells it.
  std::vector<std::pair<const options::Node*, bool>> user_keys = {};
  // Names with SRV records, and the version that was used of each.
  std::vector<std::pair<upstream::SrvName, uint64_t>> srv_names = {};
  uint64_t srv_until_ms = 0;  // how long their first answers are waited for
  std::vector<std::shared_ptr<proxy::Split>> splits = {};  // with a rollback rule
  std::shared_ptr<net::RedisConfig> redis = nullptr;       // until bind_redis()
  bool has_certificates = false;                           // some stand in the file, good or bad
};

// What defaults, site and route may all say; an inner level starts as a copy of its outer one.
struct Level {
  std::vector<filters::SettingsPtr> filters;  // in the order of the registry
  uint64_t timeout_ms = 0;
  std::optional<uint64_t> max_body_bytes;
  std::shared_ptr<const proxy::ErrorPages> error_pages;
  std::shared_ptr<const proxy::Mirror> mirror;
  const options::Node* user_key = nullptr;  // the `cache.key.user` in force
  bool websocket = true;
  bool access_log = true;
  bool merge_slashes = false;  // defaults and sites only
};

// load.cc: the whole tree, included files and substitutions already in it.
void build_top(Build& build, const options::Node& root);
// build_process.cc: workers, log, admin, trusted_proxies, shutdown, memory.
void build_process(Build& build, options::MapReader& top);
void build_admin(const options::Node& section, options::Problems& problems,
                 proxy::AdminConfig& out);
// build_cache.cc
void build_cache(Build& build, const options::Node& section, bool has_redis);
void bind_cache(Build& build);
// cache.key.user of a level's `cache`; null: it has none.
const options::Node* user_key_of(const options::Node& cache);
// Whether the `auth` of a route tells it, and in the end whether any does.
void check_user_key(Build& build, const options::Node& route, const Level& level);
void warn_of_user_keys(Build& build);
// build_certificates.cc
void build_certificates(Build& build, const options::Node& section);
// The content of a file that a node names; false after reporting.
bool read_named_file(Build& build, const options::Node& node, std::string& out);
// Null after reporting.
std::shared_ptr<net::TlsCertificate> read_certificate(Build& build, const options::Node& cert,
                                                      const options::Node& key);
// A file of certificates to trust; false after reporting.
bool read_trust(Build& build, const options::Node& node, std::string& pem);
// build_tls.cc: of a listener; certificates and workers are built already.
void build_tls(Build& build, const options::Node& section, proxy::ListenerConfig& listener);
// build_listeners.cc
void build_listeners(Build& build, const options::Node& section);
// build_transport.cc: how weir meets a server over TLS; `sum` becomes another one where that is
// another way.
void read_client_tls(Build& build, options::MapReader& map, net::TlsClientOptions& options,
                     std::string& server_name, uint64_t& sum);
// upstreams.NAME.protocol and tls.
void build_transport(Build& build, options::MapReader& upstream, upstream::Cluster& cluster);
// build_health.cc: upstreams.NAME.health_check, slow_start, outlier and panic. REQUIRES: servers
// and transport are built.
void build_health(Build& build, options::MapReader& upstream, upstream::Cluster& cluster);
// build_retry.cc: upstreams.NAME.retry and hedge, in this order.
void build_retry(options::MapReader& upstream, options::Problems& problems,
                 upstream::Cluster& cluster);
void build_hedge(options::MapReader& upstream, options::Problems& problems,
                 upstream::Cluster& cluster);
// build_members.cc: upstreams.NAME.servers_file. REQUIRES: servers and balance are built.
void build_members(Build& build, options::MapReader& upstream, upstream::Cluster& cluster);
// build_srv.cc: upstreams.NAME.srv, which is asked for in all upstreams before the first is built.
void ask_for_srv(Build& build, const options::Node& upstreams);
void build_srv(Build& build, options::MapReader& upstream, upstream::Cluster& cluster);
// build_sticky.cc: upstreams.NAME.sticky. REQUIRES: all servers are built.
void build_sticky(Build& build, options::MapReader& upstream, upstream::Cluster& cluster);
// Where a site has several sticky upstreams that take each other's clients away. REQUIRES: its
// routes are built.
void warn_of_shared_cookies(Build& build, const options::Node& site_node, const proxy::Site& site);
// Reports a name that no cookie can have.
void read_cookie_name(const options::Node& node, options::Problems& problems, std::string& out);
// build_upstreams.cc
// A part of requests that tells them apart: client_ip, header:N ... `noun`: what it is called.
void read_hash_key(const options::Node& node, options::Problems& problems, const char* noun,
                   upstream::HashKey& out);
upstream::Server build_server(const options::Node& node, options::Problems& problems);
void build_upstreams(Build& build, const options::Node& section);
// Once all is valid: addresses are resolved (a failure is a warning) and states are attached.
void bind_upstreams(Build& build);

// build_split.cc: the action of a route, which has its name; `site` has its hosts.
void build_split(Build& build, const options::Node& node, const proxy::Site& site,
                 proxy::Route& route);

// build_match.cc
// A list of methods, GET with HEAD; `if_empty`: what to write instead of an empty one.
void read_methods(const options::Node& node, options::Problems& problems, std::string if_empty,
                  http::MethodSet& out);
// path, path_regex, methods, match. False when the route has no place among the others.
bool build_match(Build& build, options::MapReader& map, const Level& level, proxy::Route& route);
// Once the route's action is read.
void build_rewrite(Build& build, const options::Node& node, proxy::Route& route);
void read_slashes(options::MapReader& map, Level& level);

// build_routes.cc
// The upstream that a scalar names; null after reporting, or where that upstream is broken.
// `for_clients`: somebody waits for its answers.
std::shared_ptr<const upstream::Cluster> find_upstream(Build& build, const options::Node& node,
                                                       bool for_clients = true);
Level standard_level();
void build_level(Build& build, options::MapReader& map, Level& level);
// In running order; without the filters that have nothing to do.
proxy::FilterChain make_filters(const Level& level);
// Of these, those for answers to requests that no site takes.
proxy::FilterChain stray_filters(const Level& defaults);
// Keys of a level that later builds will have.
void build_routes(Build& build, const options::Node& section, const Level& outer,
                  proxy::Site& site);
// build_files.cc: the action of a route.
void build_files(Build& build, const options::Node& node, proxy::Route& route);
// build_error_pages.cc: what the nearest level says wins whole; `off` is null.
void build_error_pages(Build& build, const options::Node& section,
                       std::shared_ptr<const proxy::ErrorPages>& out);
// build_mirror.cc: a level's key, and what a route, whose action is read, makes of it.
void build_mirror(Build& build, options::MapReader& map, Level& level);
void use_mirror(Build& build, const options::Node& node, const Level& level, proxy::Route& route);
// build_redis.cc: redis; and once all is valid, its addresses and its state.
void build_redis(Build& build, const options::Node& section);
void bind_redis(Build& build);
// build_sites.cc
void build_sites(Build& build, const options::Node& section, const Level& defaults);

}  // namespace weir::config
