#include "http/h2_rules.h"

#include "base/base64.h"
#include "base/strings.h"
#include "http/chars.h"
#include "http/h1_grammar.h"

namespace weir::http {
namespace {

H2Refusal malformed(const char* reason) { return {{400, reason}, true}; }

// The pseudo-fields of one message; a null view is one that did not come.
struct Pseudo {
  std::string_view method;
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;
  std::string_view protocol;
  std::string_view status;
};

std::string_view* place_of(std::string_view name, bool request, Pseudo& pseudo) {
  if (!request) return name == ":status" ? &pseudo.status : nullptr;
  if (name == ":method") return &pseudo.method;
  if (name == ":scheme") return &pseudo.scheme;
  if (name == ":authority") return &pseudo.authority;
  if (name == ":path") return &pseudo.path;
  if (name == ":protocol") return &pseudo.protocol;
  return nullptr;
}

constexpr size_t kLineEndBytes = 2;  // CRLF

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// A name or a value that HTTP/1.1 would read otherwise than HTTP/2 (RFC 9113 8.2.1, 10.3).
const char* fault_of_field(const Header& field) {
  const std::string_view line = field.line();
  const std::string_view name = line.empty() ? field.name : line;
  if (field.name.empty() || !starts_with_lower_token(name, field.name.size())) {
    return "header_name_invalid";
  }
  const bool clean =
      !line.empty() && find_control(line, field.name.size()) == line.size() - kLineEndBytes;
  if (!clean && !is_field_value(field.value)) return "header_value_invalid";
  if (!field.value.empty() && (is_blank(field.value.front()) || is_blank(field.value.back()))) {
    return "header_value_blanks";
  }
  switch (field.id) {  // RFC 9113 8.2.2
    case HeaderId::kConnection:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection:
    case HeaderId::kTransferEncoding:
    case HeaderId::kUpgrade: return "connection_header";
    case HeaderId::kTe: return iequals(field.value, "trailers") ? nullptr : "te_not_trailers";
    default: return nullptr;
  }
}

// Splits `fields` into pseudo-fields and the others. What is kept is copied to the arena of `out`.
const char* sort_fields(const HeaderList& fields, bool request, Pseudo& pseudo, HeaderList& out) {
  bool regular = false;
  const char* fault = nullptr;
  for (const Header& field : fields) {
    if (field.name.empty() || field.name.front() != ':') {
      regular = true;
      if (fault == nullptr) fault = fault_of_field(field);
      out.add_copy(fault == nullptr ? field : Header{field.name, field.value, field.id});
      continue;
    }
    std::string_view* const place = place_of(field.name, request, pseudo);
    if (place == nullptr) {
      fault = "pseudo_header_unknown";
    } else if (place->data() != nullptr) {
      fault = "pseudo_header_twice";
    } else {
      // An empty value is one that came: it must not look like none.
      *place = field.value.empty() ? std::string_view("") : out.arena().copy(field.value);
      if (regular) fault = "pseudo_header_late";
    }
  }
  return fault;
}

// RFC 9113 8.2.3: one field, as HTTP/1.1 has it.
void join_cookies(HeaderList& headers) {
  size_t bytes = 0;
  uint32_t crumbs = 0;
  bool never_indexed = false;
  for (const Header& header : headers) {
    if (header.id != HeaderId::kCookie) continue;
    never_indexed |= header.never_indexed;
    bytes += header.value.size() + 2;
    ++crumbs;
  }
  if (crumbs < 2) return;
  auto* const text = static_cast<char*>(headers.arena().allocate(bytes, 1));
  size_t at = 0;
  for (const Header& header : headers) {
    if (header.id != HeaderId::kCookie || header.value.empty()) continue;
    if (at > 0) at += std::string_view("; ").copy(text + at, 2);
    at += header.value.copy(text + at, header.value.size());
  }
  headers.remove(HeaderId::kCookie);
  headers.add("cookie", {text, at}, HeaderId::kCookie, false, never_indexed);
}

// RFC 9113 8.3.1: a Host field may come with :authority, if they agree. From here on there is one.
const char* settle_host(const Pseudo& pseudo, HeaderList& headers) {
  const Header* host = nullptr;
  uint32_t hosts = 0;
  for (const Header& header : headers) {
    if (header.id != HeaderId::kHost) continue;
    host = &header;
    ++hosts;
  }
  if (hosts > 1) return "host_twice";
  if (pseudo.authority.data() == nullptr) return nullptr;
  if (host != nullptr && !iequals(host->value, pseudo.authority)) return "host_against_authority";
  if (host != nullptr && host->value == pseudo.authority) return nullptr;
  headers.remove(HeaderId::kHost);
  headers.add("host", pseudo.authority, HeaderId::kHost);
  return nullptr;
}

bool is_origin_form(std::string_view path, Method method) {
  if (path.empty() || !all_target_bytes(path)) return false;
  return path.front() == '/' || (path == "*" && method == Method::kOptions);
}

// Which pseudo-fields a request must and must not have.
const char* check_pseudo(const Pseudo& pseudo, bool connect_protocol, const RequestHead& head) {
  const auto came = [](std::string_view text) { return text.data() != nullptr; };
  if (!came(pseudo.method)) return "method_missing";
  if (!is_token(pseudo.method)) return "method_invalid";
  if (came(pseudo.protocol)) {
    if (head.method != Method::kConnect || !connect_protocol) return "protocol_unexpected";
  } else if (head.method == Method::kConnect) {
    if (came(pseudo.scheme) || came(pseudo.path)) return "connect_with_path";
    return came(pseudo.authority) ? nullptr : "authority_missing";
  }
  if (!came(pseudo.scheme)) return "scheme_missing";
  if (!iequals(pseudo.scheme, "http") && !iequals(pseudo.scheme, "https")) return "scheme_invalid";
  if (!came(pseudo.path)) return "path_missing";
  if (!is_origin_form(pseudo.path, head.method)) return "path_invalid";
  if (came(pseudo.protocol) && !came(pseudo.authority)) return "authority_missing";
  return nullptr;
}

// RFC 8441 5: what an upgrade to a WebSocket is over HTTP/1.1. The key is the caller's to add.
H2Refusal become_upgrade(std::string_view protocol, bool end, RequestHead& out) {
  if (!iequals(protocol, "websocket")) return {{501, "protocol_unknown"}, false};
  if (end || out.framing != Framing::kNone) return malformed("connect_with_body");
  out.method = Method::kGet;
  out.method_text = "GET";
  out.upgrade = "websocket";
  return {};
}

}  // namespace

H2Refusal read_h2_request(const HeaderList& fields, bool end, bool connect_protocol,
                          const HeadLimits& limits, RequestHead& out) {
  out.version = Version::kHttp2;
  Pseudo pseudo;
  const char* fault = sort_fields(fields, true, pseudo, out.headers);
  if (is_token(pseudo.method)) {
    out.method_text = pseudo.method;
    out.method = parse_method(pseudo.method);
  }
  const bool tunnel = pseudo.protocol.data() != nullptr;
  const bool plain_connect = out.method == Method::kConnect && !tunnel;
  const std::string_view target = plain_connect ? pseudo.authority : pseudo.path;
  if (is_request_target(target)) out.target = target;
  if (is_valid_host(pseudo.authority.data() == nullptr ? "-" : pseudo.authority)) {
    out.authority = pseudo.authority;
  }
  if (fault == nullptr) fault = check_pseudo(pseudo, connect_protocol, out);
  if (fault == nullptr) fault = settle_host(pseudo, out.headers);
  if (fault != nullptr) return malformed(fault);
  if (!is_known_method(out.method_text)) return {{501, "method_unknown"}, false};
  join_cookies(out.headers);
  // Nothing below sees that this is not a request in origin-form to a server of its own.
  if (tunnel) out.method = Method::kGet;
  out.framing = end || tunnel ? Framing::kNone : Framing::kChunked;
  if (Refusal refusal = check_request(out, limits)) return {refusal, false};
  out.keep_alive = true;
  if (tunnel) return become_upgrade(pseudo.protocol, end, out);
  if (end && out.content_length > 0) return malformed("content_length_without_body");
  return {};
}

H2Refusal read_h2_response(const HeaderList& fields, bool end, Method request_method,
                           const HeadLimits& limits, ResponseHead& out) {
  out.version = Version::kHttp2;
  Pseudo pseudo;
  if (const char* fault = sort_fields(fields, false, pseudo, out.headers)) return malformed(fault);
  uint64_t status = 0;
  if (pseudo.status.size() != 3 || !parse_u64(pseudo.status, status)) {
    return malformed("status_invalid");
  }
  if (status == 101) return malformed("status_101");
  out.status = static_cast<int>(status);
  out.framing = end ? Framing::kNone : Framing::kChunked;
  if (Refusal refusal = check_response(out, request_method, limits)) return {refusal, false};
  out.keep_alive = true;
  if (end && out.framing == Framing::kLength) {
    if (out.content_length > 0) return malformed("content_length_without_body");
    out.framing = Framing::kNone;
  }
  return {};
}

H2Refusal read_h2_trailers(const HeaderList& fields, HeaderList& out) {
  for (const Header& field : fields) {
    if (!field.name.empty() && field.name.front() == ':') return malformed("pseudo_header_late");
    if (const char* fault = fault_of_field(field)) return malformed(fault);
    if (trailer_allowed(field)) out.add_copy(field);
  }
  return {};
}

std::string_view websocket_key(const uint8_t (&random)[kWebsocketKeyBytes], Arena& arena) {
  constexpr size_t kChars = base64_encoded(kWebsocketKeyBytes);
  auto* const text = static_cast<char*>(arena.allocate(kChars, 1));
  encode_base64(random, text);
  return {text, kChars};
}

H2Priority read_h2_priority(std::string_view value) {
  H2Priority priority;
  for_each_list_item(value, [&priority](std::string_view item) {
    if (item.size() == 3 && item.starts_with("u=") && item[2] >= '0' && item[2] <= '7') {
      priority.urgency = static_cast<uint32_t>(item[2] - '0');
    } else if (item == "i" || item == "i=?1") {
      priority.incremental = true;
    } else if (item == "i=?0") {
      priority.incremental = false;
    }
  });
  return priority;
}

}  // namespace weir::http
