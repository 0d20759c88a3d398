// redis: the one that instances of weir share.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "config/build.h"
#include "filters/cache/tier_scripts.h"
#include "filters/rate_limit/shared_script.h"
#include "net/redis_beat.h"
#include "net/redis_config.h"
#include "proxy/purge_log.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

constexpr uint64_t kDatabaseMax = 65'535;
constexpr size_t kServersMax = 16;

// What a URL says, which nobody may read: no message names a part of it but the scheme.
struct RedisUrl {
  bool tls = false;
  std::string user;
  std::string password;
  std::vector<net::HostPort> hosts;  // none: `path`
  std::string path;
  uint64_t database = 0;
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool decode_percent(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return true;
}

// Empty, or what is wrong.
std::string parse_user_info(std::string_view text, RedisUrl& out) {
  const size_t colon = std::min(text.find(':'), text.size());
  const std::string_view password = text.substr(std::min(colon + 1, text.size()));
  if (!decode_percent(text.substr(0, colon), out.user) || !decode_percent(password, out.password)) {
    return "a % in the user or password must be written as %25";
  }
  return {};
}

std::string parse_database(std::string_view text, RedisUrl& out) {
  if (text.empty()) return {};
  if (parse_u64(text, out.database) && out.database <= kDatabaseMax) return {};
  return "the database must be a number from 0 to 65535, as in /0";
}

std::string parse_hosts(std::string_view text, RedisUrl& out) {
  constexpr uint16_t kPort = 6379;
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    const bool has_port = item.find(':') != std::string_view::npos && !item.ends_with(']');
    Result<net::HostPort> host = net::split_host_port(
        has_port ? std::string(item) : std::string(item) + ":" + std::to_string(kPort));
    if (item.empty() || !host.ok()) {
      return "it needs a host, with a port or without, as in redis://cache:6379";
    }
    out.hosts.push_back(std::move(host.value()));
    if (out.hosts.size() > kServersMax) return "16 hosts are allowed";
    if (comma == text.size()) return {};
    text.remove_prefix(comma + 1);
  }
}

std::string parse_url(std::string_view text, RedisUrl& out) {
  constexpr std::string_view kMark = "://";
  const size_t mark = std::min(text.find(kMark), text.size());
  const std::string_view scheme = text.substr(0, mark);
  out.tls = scheme == "rediss";
  if (mark == text.size() || (scheme != "redis" && scheme != "unix" && !out.tls)) {
    return "it must begin with redis://, rediss:// or unix://";
  }
  text.remove_prefix(mark + kMark.size());
  const size_t at = text.rfind('@');
  if (at != std::string_view::npos) {
    if (std::string why = parse_user_info(text.substr(0, at), out); !why.empty()) return why;
    text.remove_prefix(at + 1);
  }
  if (scheme == "unix") {
    constexpr std::string_view kQuery = "?db=";
    const size_t query = std::min(text.find('?'), text.size());
    out.path = text.substr(0, query);
    if (!out.path.starts_with('/'))
      return "a socket is named by its path, as in unix:///run/x.sock";
    if (query == text.size()) return {};
    if (!text.substr(query).starts_with(kQuery)) return "nothing but ?db=N may follow the path";
    return parse_database(text.substr(query + kQuery.size()), out);
  }
  const size_t slash = std::min(text.find('/'), text.size());
  if (std::string why = parse_hosts(text.substr(0, slash), out); !why.empty()) return why;
  return slash == text.size() ? std::string() : parse_database(text.substr(slash + 1), out);
}

void read_url(Build& build, MapReader& map, RedisUrl& url) {
  const Node* node = map.require("url", "as in url: redis://127.0.0.1:6379/0");
  std::string text;
  if (node == nullptr || !read_string(*node, build.problems, text)) return;
  std::string why = parse_url(text, url);
  if (why.empty() && !url.user.empty() && url.password.empty() && map.find("password") == nullptr) {
    why =
        "a user needs a password: USER:PASSWORD@, or password beside the url; one without a user "
        "is :PASSWORD@";
  }
  if (!why.empty()) {
    build.problems.error(*node, "is no URL of a Redis: " + why);
  }
}

void read_password(Build& build, MapReader& map, RedisUrl& url) {
  for (const auto& [key, in_url] : {std::pair("user", &url.user), {"password", &url.password}}) {
    const Node* node = map.find(key);
    std::string text;
    if (node == nullptr || !read_string(*node, build.problems, text)) continue;
    if (!in_url->empty()) {
      build.problems.error(*node, "stands in the url, too");
    } else if (text.empty()) {
      build.problems.error(*node, "is empty");
    }
    *in_url = std::move(text);
  }
  if (map.find("user") != nullptr && url.password.empty()) map.require("password", "with user");
}

void read_prefix(Build& build, MapReader& map, std::string& prefix) {
  constexpr size_t kPrefixMax = 64;
  map.note_default("key_prefix", options::quote(prefix));
  const Node* node = map.find("key_prefix");
  if (node == nullptr || !read_string(*node, build.problems, prefix)) return;
  const bool printable =
      std::all_of(prefix.begin(), prefix.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (prefix.empty() || prefix.size() > kPrefixMax || !printable) {
    build.problems.invalid(*node, "a prefix of keys", "1 to 64 printable characters, no blanks");
  }
}

void build_redis_tls(Build& build, MapReader& map, const RedisUrl& url, net::RedisConfig& redis) {
  const size_t errors_before = build.problems.error_count();
  net::TlsClientOptions options;
  std::string server_name;
  uint64_t sum = 0;
  const Node* section = url.tls ? map.section("tls") : map.find("tls");
  if (section != nullptr) {
    MapReader tls(*section, build.problems);
    read_client_tls(build, tls, options, server_name, sum);
    tls.finish();
    if (!url.tls) {
      build.problems.error(*section, "does nothing without a url of rediss://",
                           "redis:// and unix:// are in the clear");
    }
  }
  if (!url.tls || build.problems.error_count() > errors_before) return;
  if (!options.verify) {
    build.problems.warning(*section, "verify: false trusts whoever answers at the address");
  }
  options.workers = build.snapshot.workers;
  Result<std::shared_ptr<const net::TlsClient>> made = net::TlsClient::make(std::move(options));
  if (!made.ok()) {
    build.problems.error(map.node(), "TLS cannot be set up: " + made.error());
    return;
  }
  redis.tls = made.value();
  redis.identity += std::to_string(sum) + "\n";
  for (net::RedisServer& server : redis.servers) {
    if (!server_name.empty()) server.host = server_name;
  }
}

std::string text_of(const net::HostPort& host) {
  const bool v6 = host.host.find(':') != std::string::npos;
  return (v6 ? "[" + host.host + "]" : host.host) + ":" + std::to_string(host.port);
}

}  // namespace

void build_redis(Build& build, const Node& section) {
  const size_t errors_before = build.problems.error_count();
  MapReader map(section, build.problems);
  auto redis = std::make_shared<net::RedisConfig>();
  RedisUrl url;
  read_url(build, map, url);
  const bool url_is_good = build.problems.error_count() == errors_before;
  read_password(build, map, url);
  map.duration_ms("timeout", {1, 10'000}, redis->timeout_ms);
  read_prefix(build, map, redis->key_prefix);
  for (const net::HostPort& host : url.hosts) {
    redis->servers.push_back({text_of(host), host.host, {}});
  }
  if (url.hosts.empty()) redis->servers.push_back({"unix:" + url.path, "localhost", {}});
  if (url_is_good) {
    build_redis_tls(build, map, url, *redis);
  } else {
    map.find("tls");
  }
  map.finish();
  if (build.problems.error_count() > errors_before) return;
  redis->user = url.user;
  redis->password = url.password;
  redis->database = static_cast<uint32_t>(url.database);
  redis->scripts = {&net::kRedisBeatScript, &filters::rate_limit::kSharedScript,
                    &proxy::kPurgeScript};
  for (const net::RedisServer& server : redis->servers) {
    redis->identity += server.address + " " + server.host + "\n";
  }
  redis->identity += redis->key_prefix + "\n" + std::to_string(redis->database) + "\n" +
                     redis->user + "\n" + redis->password;
  build.redis = std::move(redis);
}

namespace {

// The same Redis, but what is as large as an answer is not to hold up what is not.
void bind_tier(Build& build, const std::string& name) {
  constexpr size_t kBesideBody = 256 * 1024;  // head, keys, and purges that came later
  auto tier = std::make_shared<net::RedisConfig>(*build.redis);
  tier->scripts = {&filters::cache::kTierGetScript, &filters::cache::kTierSetScript,
                   &filters::cache::kTierWrittenScript};
  tier->reply_bytes = build.snapshot.tier_object_bytes + kBesideBody;
  tier->identity += "\ncache " + std::to_string(tier->reply_bytes);
  tier->state = build.environment.states.redis(tier->identity, name + ", for the cache");
  build.snapshot.tier_redis = std::move(tier);
}

}  // namespace

void bind_redis(Build& build) {
  if (build.redis == nullptr) return;
  net::RedisConfig& redis = *build.redis;
  std::vector<upstream::NameWatch> watches;
  std::string name;
  for (net::RedisServer& server : redis.servers) {
    name += (name.empty() ? "" : ",") + server.address;
    // Of no upstream: its addresses alone are of use here.
    auto state = std::make_shared<upstream::EndpointState>("redis", server.address, UINT32_MAX);
    server.addresses = [state] {
      const auto known = state->addresses();
      return known == nullptr ? upstream::AddressList() : *known;
    };
    Result<net::SocketAddress> literal = net::parse_address(server.address);
    if (literal.ok()) {
      state->set_addresses({literal.value()});
      continue;
    }
    net::HostPort host = net::split_host_port(server.address).value();
    watches.push_back({std::move(state), std::move(host.host), host.port, 0});
  }
  // A name without an address is no reason to wait or to warn here: /health and the log tell of it.
  if (!watches.empty()) build.environment.watch_names(watches);
  redis.state = build.environment.states.redis(redis.identity, name);
  build.snapshot.redis = build.redis;
  if (build.snapshot.tier_object_bytes > 0 && build.uses_cache) bind_tier(build, name);
}

}  // namespace weir::config
