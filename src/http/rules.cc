#include "http/rules.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "http/chars.h"

namespace weir::http {
namespace {

// What weir answers for: a look-alike with "_" must not reach a backend that cannot tell them
// apart.
constexpr uint64_t kGuarded = kHopByHopMask | bit(HeaderId::kContentLength) | bit(HeaderId::kHost) |
                              bit(HeaderId::kForwarded) | bit(HeaderId::kXForwardedFor) |
                              bit(HeaderId::kXForwardedProto) | bit(HeaderId::kXForwardedHost) |
                              bit(HeaderId::kXForwardedPort) | bit(HeaderId::kXRealIp);

// More options than this serve only to make each field of the head costly to look up.
constexpr uint32_t kConnectionOptionsMax = 32;

enum ConnectionOption : uint8_t {
  kClose = 1,
  kPersist = 2,
  kUpgradeOption = 4,
  kNamesFields = 8,  // lists something that may be a field of this message
};

// What one pass over the fields found; everything that framing and routing depend on.
struct Survey {
  const Header* host = nullptr;
  const Header* length = nullptr;
  const Header* upgrade = nullptr;
  uint32_t hosts = 0;
  uint32_t lengths = 0;
  uint32_t upgrades = 0;
  uint32_t codings = 0;    // Transfer-Encoding fields
  uint32_t options = 0;    // of all Connection fields
  uint8_t connection = 0;  // ConnectionOption bits
  bool disguised = false;  // some name looks like a guarded one
  bool expects_continue = false;
  bool expects_other = false;
  std::optional<uint32_t> keep_alive_timeout_s;
};

void read_connection(std::string_view value, Survey& seen) {
  for_each_list_item(value, [&seen](std::string_view option) {
    ++seen.options;
    if (iequals(option, "keep-alive")) {
      seen.connection |= kPersist;
    } else if (iequals(option, "close")) {
      seen.connection |= kClose;
    } else if (iequals(option, "upgrade")) {
      seen.connection |= kUpgradeOption;
    } else {
      seen.connection |= kNamesFields;
    }
  });
}

// A set of letters, without regard to case: bit (letter & 31).
constexpr uint32_t letters(std::string_view text) {
  uint32_t set = 0;
  for (const char c : text) set |= 1u << (c & 31);
  return set;
}

bool is_disguised(std::string_view name) {
  // Lengths and first letters of guarded names with a "-" let nearly all others go by.
  constexpr uint32_t kLengths = 1u << 9 | 1u << 10 | 0x3fu << 14;
  constexpr uint32_t kFirsts = letters("chkptx");
  char plain[20];
  if (name.size() >= sizeof plain || (kLengths >> name.size() & 1) == 0 ||
      (kFirsts >> (name[0] & 31) & 1) == 0 || name.find('_') == std::string_view::npos) {
    return false;
  }
  for (size_t i = 0; i < name.size(); ++i) plain[i] = name[i] == '_' ? '-' : name[i];
  return (bit(classify({plain, name.size()})) & kGuarded) != 0;
}

std::optional<uint32_t> read_keep_alive_timeout(std::string_view value) {
  constexpr std::string_view kTimeout = "timeout=";
  constexpr uint64_t kDay = 86400;
  std::optional<uint32_t> seconds;
  for_each_list_item(value, [&](std::string_view item) {
    uint64_t read = 0;
    if (item.size() > kTimeout.size() && iequals(item.substr(0, kTimeout.size()), kTimeout) &&
        parse_u64(item.substr(kTimeout.size()), read)) {
      seconds = static_cast<uint32_t>(std::min(read, kDay));
    }
  });
  return seconds;
}

Refusal survey_fields(const HeaderList& headers, const HeadLimits& limits, Survey& seen) {
  if (headers.size() > limits.headers) return {431, "too_many_headers"};
  for (const Header& header : headers) {
    switch (header.id) {
      case HeaderId::kOther:
        if (header.name.empty()) return {400, "empty_header_name"};
        seen.disguised = seen.disguised || is_disguised(header.name);
        break;
      case HeaderId::kHost:
        seen.host = &header;
        ++seen.hosts;
        break;
      case HeaderId::kContentLength:
        seen.length = &header;
        ++seen.lengths;
        break;
      case HeaderId::kTransferEncoding: ++seen.codings; break;
      case HeaderId::kConnection: read_connection(header.value, seen); break;
      case HeaderId::kUpgrade:
        seen.upgrade = &header;
        ++seen.upgrades;
        break;
      case HeaderId::kExpect:
        (iequals(header.value, "100-continue") ? seen.expects_continue : seen.expects_other) = true;
        break;
      case HeaderId::kKeepAlive:
        if (const auto timeout_s = read_keep_alive_timeout(header.value)) {
          seen.keep_alive_timeout_s = timeout_s;
        }
        break;
      default: break;
    }
  }
  if (seen.options > kConnectionOptionsMax) return {400, "connection_options"};
  return {};
}

bool persists(const Survey& seen, Version version) {
  if ((seen.connection & kClose) != 0) return false;
  return version != Version::kHttp10 || (seen.connection & kPersist) != 0;
}

// Digits only, and what a signed 64-bit peer can count too.
bool read_length(std::string_view value, uint64_t& out) {
  return parse_u64(value, out) && out <= static_cast<uint64_t>(INT64_MAX);
}

// RFC 9112 6.1 and 6.3: chunked must come last, once; a coding before it is one that weir does not
// know (501). Anything else leaves the length in doubt (400), be it only an empty list item.
Refusal check_codings(const HeaderList& headers, uint32_t fields) {
  uint32_t codings = 0;
  uint32_t chunked = 0;
  bool chunked_last = false;
  bool plain = fields == 1;
  for (const Header& header : headers) {
    if (header.id != HeaderId::kTransferEncoding) continue;
    plain = plain && iequals(header.value, "chunked");
    for_each_list_item(header.value, [&](std::string_view coding) {
      ++codings;
      chunked_last = iequals(coding, "chunked");
      chunked += chunked_last ? 1 : 0;
    });
  }
  if (plain) return {};
  if (!chunked_last) return {400, "transfer_encoding_not_chunked"};
  if (chunked > 1) return {400, "chunked_twice"};
  if (codings > 1) return {501, "transfer_encoding_unknown"};
  return {400, "transfer_encoding_invalid"};
}

// Framing that does not depend on the kind of message: chunked, a length, or nothing said.
Refusal read_framing(const Survey& seen, const HeaderList& headers, Version version,
                     Framing& framing, uint64_t& content_length) {
  framing = Framing::kNone;
  content_length = 0;
  if (seen.codings > 0) {
    if (seen.lengths > 0) return {400, "transfer_encoding_and_content_length"};
    if (version == Version::kHttp10) return {400, "transfer_encoding_in_http10"};
    if (Refusal refusal = check_codings(headers, seen.codings)) return refusal;
    framing = Framing::kChunked;
  } else if (seen.lengths > 1) {
    return {400, "content_length_twice"};
  } else if (seen.lengths == 1) {
    if (!read_length(seen.length->value, content_length)) return {400, "content_length_invalid"};
    framing = Framing::kLength;
  }
  return {};
}

// Fields that Connection names end here, for every reader alike. Those that weir reads by id stay:
// a client must not be able to name away what an outer, trusted proxy or the client itself said
// about framing, routing, identity or credentials.
void drop_named_and_disguised(HeaderList& headers, const Survey& seen) {
  const bool names_fields = (seen.connection & kNamesFields) != 0;
  if (!names_fields && !seen.disguised) return;
  // Connection fields themselves stay, so each step of the removal still reads all of them.
  headers.remove_if([&](const Header& header) {
    if (!can_be_named_away(header.id)) return false;
    return (names_fields && connection_names(headers, header.name)) ||
           (seen.disguised && is_disguised(header.name));
  });
}

void split_target(RequestHead& head) {
  const size_t question = head.target.find('?');
  head.path = head.target.substr(0, question);
  head.query =
      question == std::string_view::npos ? std::string_view() : head.target.substr(question + 1);
}

// "http://authority/path" becomes authority and origin-form (RFC 9112 3.2.2).
Refusal read_absolute_form(RequestHead& head, std::string_view& authority) {
  const size_t colon = head.target.find("://");
  if (colon == std::string_view::npos) return {400, "target_invalid"};
  const std::string_view scheme = head.target.substr(0, colon);
  if (!iequals(scheme, "http") && !iequals(scheme, "https")) return {400, "target_scheme"};
  const std::string_view rest = head.target.substr(colon + 3);
  const size_t end = rest.find_first_of("/?");
  authority = rest.substr(0, end);
  if (!is_valid_host(authority)) return {400, "target_authority"};
  if (end == std::string_view::npos) {
    head.target = head.method == Method::kOptions ? "*" : "/";
  } else if (rest[end] == '/') {
    head.target = rest.substr(end);
  } else {
    auto* target = static_cast<char*>(head.headers.arena().allocate(rest.size() - end + 1, 1));
    target[0] = '/';
    rest.copy(target + 1, rest.size() - end, end);
    head.target = {target, rest.size() - end + 1};
  }
  return {};
}

// Finds the target's form (RFC 9112 3.2). `authority` is what the target itself names, or empty.
Refusal read_target(RequestHead& head, std::string_view& authority) {
  authority = {};
  if (!is_request_target(head.target)) return {400, "target_invalid"};
  if (head.method == Method::kConnect) {
    const size_t mark = head.target.find_last_of(":]");
    const bool has_port = mark != std::string_view::npos && head.target[mark] == ':';
    if (!has_port || !is_valid_host(head.target)) return {400, "target_authority"};
    authority = head.target;
    head.path = head.query = {};
    return {};
  }
  if (head.target.front() != '/' && head.target != "*") {
    if (Refusal refusal = read_absolute_form(head, authority)) return refusal;
  }
  if (head.target == "*" && head.method != Method::kOptions) return {400, "target_invalid"};
  split_target(head);
  return {};
}

Refusal read_host(RequestHead& head, const Survey& seen) {
  std::string_view authority;
  if (Refusal refusal = read_target(head, authority)) return refusal;
  if (seen.hosts > 1) return {400, "host_twice"};
  if (seen.hosts == 0 && head.version != Version::kHttp10) return {400, "host_missing"};
  if (seen.hosts == 1) {
    if (!is_valid_host(seen.host->value)) return {400, "host_invalid"};
    if (authority.empty()) {
      authority = seen.host->value;
    } else if (head.method != Method::kConnect && !iequals(authority, seen.host->value)) {
      return {400, "host_against_target"};
    }
  }
  head.authority = authority;
  head.host = host_of(authority, head.headers.arena());
  return {};
}

}  // namespace

Refusal check_version(std::string_view text, Version& out) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text == "HTTP/1.1") {
    out = Version::kHttp11;
  } else if (text == "HTTP/1.0") {
    out = Version::kHttp10;
  } else if (text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' &&
             is_digit(text[7])) {
    return {505, "version_unsupported"};
  } else {
    return {400, "version_invalid"};
  }
  return {};
}

Refusal check_request(RequestHead& head, const HeadLimits& limits) {
  if (head.target.size() > limits.uri_bytes) return {414, "uri_too_long"};
  Survey seen;
  if (Refusal refusal = survey_fields(head.headers, limits, seen)) return refusal;
  if (Refusal refusal = read_host(head, seen)) return refusal;
  const bool until_end = head.version == Version::kHttp2 && head.framing == Framing::kChunked;
  if (Refusal refusal =
          read_framing(seen, head.headers, head.version, head.framing, head.content_length)) {
    return refusal;
  }
  if (until_end && head.framing == Framing::kNone) head.framing = Framing::kChunked;
  if (seen.expects_other) return {417, "expect_unknown"};
  const bool has_body = head.framing == Framing::kChunked || head.content_length > 0;
  const bool http11 = head.version == Version::kHttp11;
  head.expect_continue = seen.expects_continue && head.version != Version::kHttp10 && has_body;
  head.keep_alive = persists(seen, head.version);
  head.upgrade = {};
  if (http11 && head.method == Method::kGet && !has_body && seen.upgrades == 1 &&
      (seen.connection & kUpgradeOption) != 0 && iequals(seen.upgrade->value, "websocket")) {
    head.upgrade = seen.upgrade->value;
  }
  drop_named_and_disguised(head.headers, seen);
  return {};
}

Refusal check_response(ResponseHead& head, Method request_method, const HeadLimits& limits) {
  const auto bad = [](const char* reason) { return Refusal{502, reason}; };
  if (head.status < 100 || head.status > 599) return bad("status_invalid");
  Survey seen;
  if (Refusal refusal = survey_fields(head.headers, limits, seen)) return bad(refusal.reason);
  // A server that keeps it for no time at all closes.
  head.keep_alive = persists(seen, head.version) && seen.keep_alive_timeout_s != 0u;
  head.keep_alive_timeout_s = seen.keep_alive_timeout_s.value_or(0);
  head.upgrade = {};
  if (head.status == 101 && head.version == Version::kHttp11 && seen.upgrades == 1 &&
      (seen.connection & kUpgradeOption) != 0) {
    head.upgrade = seen.upgrade->value;
  }
  const Framing said = head.version == Version::kHttp2 ? head.framing : Framing::kUntilClose;
  head.framing = Framing::kNone;
  head.content_length = 0;
  if (head.status < 200 || head.status == 204) {
    // A server that announces a body here may also send one: it must not become the next answer.
    const bool announced = seen.codings > 0 || (seen.lengths > 0 && seen.length->value != "0");
    if (head.status == 204 && announced) head.keep_alive = false;
    head.headers.remove(HeaderId::kContentLength);
  } else {
    if (Refusal refusal =
            read_framing(seen, head.headers, head.version, head.framing, head.content_length)) {
      return bad(refusal.reason);
    }
    if (request_method == Method::kHead || head.status == 304) {
      head.framing = Framing::kNone;
    } else if (head.framing == Framing::kNone) {
      head.framing = said;
      head.keep_alive = false;
    }
  }
  drop_named_and_disguised(head.headers, seen);
  return {};
}

bool trailer_allowed(const Header& header) {
  constexpr uint64_t kHarmless =
      bit(HeaderId::kServer) | bit(HeaderId::kUserAgent) | bit(HeaderId::kReferer);
  // Framing, routing, identity, hop-by-hop, or describes the content.
  if (!can_be_named_away(header.id)) return (bit(header.id) & kHarmless) != 0;
  // RFC 9110 6.5.1: request modifiers, authentication, response control, content format.
  static constexpr std::string_view kForbidden[] = {"accept-charset",
                                                    "accept-encoding",
                                                    "accept-language",
                                                    "accept-ranges",
                                                    "age",
                                                    "allow",
                                                    "alt-svc",
                                                    "authentication-info",
                                                    "cache-control",
                                                    "clear-site-data",
                                                    "content-disposition",
                                                    "content-encoding",
                                                    "content-language",
                                                    "content-location",
                                                    "content-range",
                                                    "content-security-policy",
                                                    "expires",
                                                    "if-match",
                                                    "if-modified-since",
                                                    "if-none-match",
                                                    "if-range",
                                                    "if-unmodified-since",
                                                    "last-modified",
                                                    "origin",
                                                    "pragma",
                                                    "proxy-authentication-info",
                                                    "range",
                                                    "retry-after",
                                                    "set-cookie",
                                                    "strict-transport-security",
                                                    "vary",
                                                    "warning",
                                                    "www-authenticate"};
  for (const std::string_view name : kForbidden) {
    if (iequals(header.name, name)) return false;
  }
  return !is_disguised(header.name);
}

bool is_hop_by_hop(const Header& header) { return (bit(header.id) & kHopByHopMask) != 0; }

bool connection_names(const HeaderList& headers, std::string_view name) {
  bool named = false;
  for (const Header& header : headers) {
    if (header.id != HeaderId::kConnection) continue;
    for_each_list_item(header.value,
                       [&](std::string_view option) { named = named || iequals(option, name); });
  }
  return named;
}

bool wants_trailers(const HeaderList& headers) {
  bool wants = false;
  for (const Header& header : headers) {
    if (header.id != HeaderId::kTe) continue;
    for_each_list_item(header.value, [&wants](std::string_view coding) {
      wants = wants || iequals(coding, "trailers");
    });
  }
  return wants;
}

bool same_variable_of_size(std::string_view a, std::string_view b) {
  const auto folded = [](char c) { return c == '_' ? '-' : to_lower(c); };
  for (size_t i = 0; i < a.size(); ++i) {
    if (folded(a[i]) != folded(b[i])) return false;
  }
  return true;
}

bool is_token(std::string_view text) { return !text.empty() && all_bytes(text, kTokenByte); }

bool is_field_value(std::string_view text) {
  size_t at = 0;
  while ((at = find_control(text, at)) < text.size() && text[at] == '\t') ++at;
  return at == text.size();
}

bool is_sound(const Header& field) {
  return field.in_line || (is_token(field.name) && is_field_value(field.value));
}

}  // namespace weir::http
