#include "http/forwarded.h"

#include "base/strings.h"
#include "http/rules.h"

namespace weir::http {
namespace {

// All values of `id`, joined with ", " where there are several lines.
std::string_view joined(const HeaderList& headers, HeaderId id) {
  size_t lines = 0;
  size_t bytes = 0;
  std::string_view only;
  for (const Header& header : headers) {
    if (header.id != id) continue;
    ++lines;
    bytes += header.value.size() + 2;
    only = header.value;
  }
  if (lines < 2) return only;
  auto* const text = static_cast<char*>(headers.arena().allocate(bytes, 1));
  char* at = text;
  for (const Header& header : headers) {
    if (header.id != id) continue;
    if (at != text) at += std::string_view(", ").copy(at, 2);
    at += header.value.copy(at, header.value.size());
  }
  return {text, static_cast<size_t>(at - text)};
}

// Takes the last item off a list that is separated by `separator`, which counts only outside
// quotes. Read from the right, since what the nearest hop appended is sound whatever a client put
// before it.
std::string_view take_last(std::string_view& list, char separator) {
  bool quoted = false;
  size_t at = list.size();
  while (at > 0) {
    const char c = list[at - 1];
    const bool escaped = at >= 2 && list[at - 2] == '\\';
    if (c == '"' && !escaped) quoted = !quoted;
    if (c == separator && !quoted) break;
    --at;
  }
  const std::string_view item = trim_ows(list.substr(at));
  list = list.substr(0, at == 0 ? 0 : at - 1);
  return item;
}

// "1.2.3.4", "1.2.3.4:80", "::1", "[::1]", "[::1]:80": what proxies write into X-Forwarded-For.
bool parse_node(std::string_view node, Address& out) {
  const size_t colon = node.rfind(':');
  const bool bracketed = !node.empty() && node.front() == '[';
  const bool has_port = colon != std::string_view::npos &&
                        (bracketed ? node[colon - 1] == ']' : node.find(':') == colon);
  if (has_port) {
    uint64_t port = 0;
    if (!parse_u64(node.substr(colon + 1), port) || port > 65535) return false;
    node = node.substr(0, colon);
  }
  return Address::parse(node, out);
}

std::string_view unquoted(std::string_view value) {
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  return quoted ? value.substr(1, value.size() - 2) : value;
}

// The value of `name` in one element of Forwarded ("for=...;proto=https"), or empty.
std::string_view pair_of(std::string_view element, std::string_view name) {
  while (!element.empty()) {
    const std::string_view pair = take_last(element, ';');
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && iequals(pair.substr(0, equals), name)) {
      return unquoted(pair.substr(equals + 1));
    }
  }
  return {};
}

// The item of a comma-separated list that the hop wrote which is `hop` steps (from 1) away. A list
// that is shorter was set once, at the edge: then its first item holds.
std::string_view item_of_hop(std::string_view list, uint32_t hop) {
  std::string_view item = take_last(list, ',');
  while (--hop > 0 && !list.empty()) item = take_last(list, ',');
  return item;
}

std::string_view believed_proto(std::string_view proto) {
  if (iequals(proto, "https")) return "https";
  return iequals(proto, "http") ? std::string_view("http") : std::string_view();
}

std::string_view believed_host(std::string_view host) {
  return is_valid_host(host) ? host : std::string_view();
}

std::string_view format_in_arena(const Address& address, Arena& arena) {
  char text[45];
  return arena.copy({text, address.format(text)});
}

void walk_forwarded_for(const HeaderList& headers, const AddressSet& trusted,
                        ClientIdentity& identity) {
  std::string_view rest = identity.forwarded_for;
  uint32_t hop = 0;
  Address address;
  while (!rest.empty() && parse_node(take_last(rest, ','), address)) {
    ++hop;
    identity.client = address;
    if (!trusted.contains(address)) break;
  }
  // Without a single address the nearest hop's own words about scheme and host still hold.
  if (hop == 0) hop = 1;
  identity.forwarded_proto =
      believed_proto(item_of_hop(joined(headers, HeaderId::kXForwardedProto), hop));
  identity.forwarded_host =
      believed_host(item_of_hop(joined(headers, HeaderId::kXForwardedHost), hop));
}

// RFC 7239, for hops that write nothing else. What it says goes on as X-Forwarded-For's first
// entry.
void walk_forwarded(std::string_view forwarded, const AddressSet& trusted, Arena& arena,
                    ClientIdentity& identity) {
  Address address;
  bool found = false;
  while (!forwarded.empty()) {
    const std::string_view element = take_last(forwarded, ',');
    if (!parse_node(pair_of(element, "for"), address)) break;
    found = true;
    identity.client = address;
    if (const auto proto = believed_proto(pair_of(element, "proto")); !proto.empty()) {
      identity.forwarded_proto = proto;
    }
    if (const auto host = believed_host(pair_of(element, "host")); !host.empty()) {
      identity.forwarded_host = host;
    }
    if (!trusted.contains(address)) break;
  }
  if (found) identity.forwarded_for = format_in_arena(identity.client, arena);
}

// RFC 7239 4: no parameter comes twice in an element. Some read the first of them, some the last.
bool says_all_once(std::string_view forwarded) {
  while (!forwarded.empty()) {
    std::string_view element = take_last(forwarded, ',');
    uint32_t seen[4] = {};
    while (!element.empty()) {
      const std::string_view pair = take_last(element, ';');
      const std::string_view name = pair.substr(0, pair.find('='));
      for (size_t i = 0; const std::string_view known : {"for", "by", "host", "proto"}) {
        if (iequals(trim_ows(name), known) && ++seen[i] > 1) return false;
        ++i;
      }
    }
  }
  return true;
}

// What stood behind a quote that is open would be read as a part of it.
bool is_closed(std::string_view forwarded) {
  bool quoted = false;
  for (size_t i = 0; i < forwarded.size(); ++i) {
    if (forwarded[i] == '"') quoted = !quoted;
    if (quoted && forwarded[i] == '\\') ++i;
  }
  return !quoted;
}

// X-Forwarded-For was believed. A hop that writes only that lets Forwarded through as its client
// made it up.
bool agrees(std::string_view forwarded, const AddressSet& trusted, Arena& arena,
            const ClientIdentity& identity) {
  ClientIdentity told;
  walk_forwarded(forwarded, trusted, arena, told);
  return !told.forwarded_for.empty() && told.client == identity.client &&
         (told.forwarded_proto.empty() || told.forwarded_proto == identity.forwarded_proto) &&
         (told.forwarded_host.empty() || iequals(told.forwarded_host, identity.forwarded_host));
}

}  // namespace

ClientIdentity identify_client(const Address& peer, const HeaderList& headers,
                               const AddressSet& trusted) {
  ClientIdentity identity;
  identity.client = peer;
  identity.peer_trusted = trusted.contains(peer);
  if (!identity.peer_trusted) return identity;
  identity.forwarded_for = joined(headers, HeaderId::kXForwardedFor);
  const std::string_view forwarded = joined(headers, HeaderId::kForwarded);
  identity.forwarded_believed =
      !forwarded.empty() && is_closed(forwarded) && says_all_once(forwarded);
  if (identity.forwarded_for.empty() && !forwarded.empty()) {
    walk_forwarded(forwarded, trusted, headers.arena(), identity);
  } else {
    walk_forwarded_for(headers, trusted, identity);
    identity.forwarded_believed =
        identity.forwarded_believed && agrees(forwarded, trusted, headers.arena(), identity);
  }
  return identity;
}

}  // namespace weir::http
