// listeners.NAME.tls
#include <algorithm>
#include <string>
#include <utility>

#include "config/build.h"
#include "filters/header_name.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

// TLS 1.3 allows no ticket to live longer (RFC 8446 4.6.1).
constexpr uint64_t kTicketMaxMs = 7 * kDayMs;

// A list, or a text with colons as OpenSSL takes it. False when it is absent or broken.
bool read_names(MapReader& map, std::string_view key, std::vector<const Node*>& items,
                std::vector<std::string>& names) {
  const Node* node = map.find(key);
  if (node == nullptr) return false;
  if (node->kind == options::Kind::kScalar) {
    items = {node};
  } else if (!read_list(*node, map.problems(), items)) {
    return false;
  }
  if (items.empty()) map.problems().error(*node, "is empty");
  for (const Node* item : items) {
    std::string name;
    if (!read_string(*item, map.problems(), name)) return false;
    names.push_back(std::move(name));
  }
  return !names.empty();
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ":") + name;
  return out;
}

// Names of TLS 1.3 begin with TLS_, are a list of their own, and keep their standard where none is
// given.
void build_ciphers(MapReader& map, net::TlsServerOptions& out) {
  std::vector<const Node*> items;
  std::vector<std::string> names;
  if (!read_names(map, "ciphers", items, names)) return;
  std::vector<std::string> old_names;
  std::vector<std::string> new_names;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool is_new = names[i].starts_with("TLS_");
    const bool bad =
        is_new ? !net::why_no_suites(names[i]).empty() : !net::judge_ciphers(names[i], 0).ok();
    if (bad) {
      map.problems().error(*items[i], "no cipher suite " + items[i]->shown());
      return;
    }
    (is_new ? new_names : old_names).push_back(names[i]);
  }
  if (!new_names.empty()) out.suites_13 = joined(new_names);
  if (!old_names.empty()) out.ciphers = joined(old_names);
}

void build_curves(MapReader& map, net::TlsServerOptions& out) {
  std::vector<const Node*> items;
  std::vector<std::string> names;
  if (!read_names(map, "curves", items, names)) return;
  for (size_t i = 0; i < names.size(); ++i) {
    if (net::why_no_curves(names[i]).empty()) continue;
    map.problems().error(*items[i], "no curve " + items[i]->shown());
    return;
  }
  out.curves = joined(names);
}

void build_session_cache(const Node& section, Problems& problems, net::TlsServerOptions& out) {
  if (is_off(section)) {
    out.session_cache_bytes = 0;
    return;
  }
  MapReader map(section, problems);
  uint64_t bytes = out.session_cache_bytes;
  map.size_bytes("size", {0, uint64_t{64} << 30}, bytes);
  out.session_cache_bytes = bytes;
  map.duration_ms("timeout", {1000, kTicketMaxMs}, out.session_timeout_ms);
  map.finish();
}

void build_tickets(Build& build, const Node& section, net::TlsServerOptions& out) {
  if (is_off(section)) {
    out.tickets = false;
    return;
  }
  MapReader map(section, build.problems);
  map.boolean("enabled", out.tickets);
  const bool rotates = map.duration_ms("rotate", {60'000, kTicketMaxMs}, out.ticket_rotate_ms);
  if (const Node* file = map.find("key_file")) {
    std::string content;
    if (rotates) {
      build.problems.error(*file, "excludes rotate", "who writes the file rotates its keys");
    } else if (read_named_file(build, *file, content)) {
      Result<std::vector<net::TicketKey>> keys = net::read_ticket_keys(content);
      if (keys.ok()) {
        out.ticket_keys = std::move(keys.value());
      } else {
        build.problems.invalid(*file, "a file of ticket keys", keys.error());
      }
    }
  }
  map.finish();
}

void read_field(MapReader& map, std::string_view key, std::string& out) {
  const Node* node = map.find(key);
  std::string name;
  if (node == nullptr || !read_string(*node, map.problems(), name)) return;
  if (filters::check_filled_header_name(*node, name, map.problems())) out = std::move(name);
}

void build_client_auth(Build& build, const Node& section, proxy::ListenerConfig& listener,
                       net::TlsServerOptions& out) {
  if (is_off(section)) return;
  MapReader map(section, build.problems);
  out.client_auth = net::ClientAuth::kRequire;
  map.choice<net::ClientAuth>("mode",
                              {{"off", net::ClientAuth::kOff},
                               {"optional", net::ClientAuth::kOptional},
                               {"require", net::ClientAuth::kRequire}},
                              {}, out.client_auth);
  const bool is_on = out.client_auth != net::ClientAuth::kOff;
  const Node* ca = is_on ? map.require("ca", "a file in PEM with who signs clients' certificates")
                         : map.find("ca");
  if (ca == nullptr || !read_trust(build, *ca, out.client_ca)) {
    out.client_auth = net::ClientAuth::kOff;  // reported
  }
  if (const Node* headers = map.find("headers")) {
    MapReader fields(*headers, build.problems);
    read_field(fields, "subject", listener.client_fields.subject);
    read_field(fields, "verify", listener.client_fields.verify);
    read_field(fields, "san", listener.client_fields.names);
    fields.finish();
  }
  map.finish();
  if (!is_on) return;
  const proxy::ClientIdentityFields& fields = listener.client_fields;
  for (const std::string* name : {&fields.subject, &fields.verify, &fields.names}) {
    build.snapshot.reserved_fields.push_back(*name);
  }
}

// A certificate that no suite can use fails for TLS 1.2 alone: it works on the tester's browser.
void judge_suites(Build& build, const Node& section, const net::TlsServerOptions& options) {
  if (options.min_version == net::TlsVersion::k13) return;
  const Node* place = section.find("ciphers");
  if (place == nullptr) place = &section;
  Result<net::CipherUse> use = net::judge_ciphers(options.ciphers, options.security_level);
  if (!use.ok()) {
    build.problems.error(*place, "no cipher suite is left at this security_level");
    return;
  }
  for (const auto& certificate : options.certificates) {
    const bool rsa = certificate->key_kind().starts_with("RSA");
    if (rsa ? use.value().rsa : use.value().ecdsa) continue;
    build.problems.error(*place, "no cipher suite for TLS 1.2 can use the " +
                                     certificate->key_kind() + " certificate of " +
                                     options::quote(certificate->label()));
    return;
  }
  if (!use.value().without_forward_secrecy.empty()) {
    build.problems.warning(*place, use.value().without_forward_secrecy + " has no forward secrecy",
                           "who gets hold of the key can read what was recorded before");
  }
}

}  // namespace

void build_tls(Build& build, const Node& section, proxy::ListenerConfig& listener) {
  net::TlsServerOptions options;
  options.listener = listener.name;
  options.certificates = build.snapshot.certificates;
  options.workers = build.snapshot.workers;
  options.protocols = listener.protocols.alpn;
  options.memory = net::tls_memory_of_listener(listener.name);
  const size_t errors_before = build.problems.error_count();
  MapReader map(section, build.problems);
  if (!map.is_map()) return;
  map.choice<net::TlsVersion>("min_version",
                              {{"1.2", net::TlsVersion::k12}, {"1.3", net::TlsVersion::k13}}, {},
                              options.min_version);
  map.u32("security_level", {0, 5}, options.security_level);
  build_ciphers(map, options);
  build_curves(map, options);
  map.boolean("prefer_server_ciphers", options.prefer_server_ciphers);
  if (const Node* node = map.find("session_cache")) {
    build_session_cache(*node, build.problems, options);
  }
  if (const Node* node = map.find("session_tickets")) build_tickets(build, *node, options);
  if (const Node* node = map.find("client_auth"))
    build_client_auth(build, *node, listener, options);
  map.finish();
  if (!build.has_certificates) {
    build.problems.error(section, "there are no certificates",
                         "certificates: [{cert: FILE, key: FILE}] at the top");
  }
  // Broken certificates are reported where they stand.
  if (options.certificates.empty()) return;
  judge_suites(build, section, options);
  if (build.problems.error_count() > errors_before) return;
  Result<std::shared_ptr<const net::TlsServer>> made = net::TlsServer::make(std::move(options));
  if (made.ok()) {
    listener.tls = made.value();
  } else {
    build.problems.error(section, "cannot be set up: " + made.error());
  }
}

}  // namespace weir::config
