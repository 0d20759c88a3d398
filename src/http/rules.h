// Every decision on what is too doubtful to be passed on, in one place. llhttp understands the
// bytes; these rules refuse what it lets through (RFC 9110, 9112; request smuggling). Pure
// functions: no sockets, no state, no allocation beyond the message's arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/message.h"

namespace weir::http {

struct HeadLimits {
  uint32_t header_size_bytes = 32 * 1024;  // start line and all fields: 431
  uint32_t headers = 100;                  // number of fields: 431
  uint32_t uri_bytes = 8 * 1024;           // request target: 414
};

// Of a request line, at most: behind that no byte can mend it.
constexpr size_t start_line_bytes_max(const HeadLimits& limits) {
  constexpr size_t kBesideTargetBytes = 64;  // method, version and spaces
  return limits.uri_bytes + kBesideTargetBytes;
}

// Why a message is refused: the status for a client's (an upstream's becomes 502) and a word from a
// closed list for the log and the `reason` label. status 0 = fine.
struct Refusal {
  int status = 0;
  const char* reason = "";
  explicit operator bool() const { return status != 0; }
};

// Looks for the end of a head without understanding it, and refuses at once what no later byte can
// mend: control bytes, a bare LF, a bare CR, obs-fold, a start line over `uri_bytes` (requests), a
// head over its size. Leading CRLFs before a request line are skipped (RFC 9112 2.2), at most 4.
struct HeadScan {
  Refusal refusal;
  size_t begin = 0;   // where the head starts (after skipped CRLFs)
  size_t end = 0;     // one past the empty line; 0 = not complete yet
  size_t resume = 0;  // give this back as `from` when more bytes have come
};
HeadScan scan_head(std::string_view bytes, size_t from, bool request, const HeadLimits& limits);

// The version of a start line. 505 for another well-formed one, 400 for what is none.
Refusal check_version(std::string_view text, Version& out);

// Applied by the parser to a head that scan_head() and split_fields() or llhttp accepted (together
// they vouch for field syntax: names are tokens, no obs-fold, no space before the colon, no control
// bytes).
// Decides on the target's form, Host (exactly one in 1.1, valid, agreeing with absolute-form),
// Content-Length and Transfer-Encoding in every doubtful form, Expect, Upgrade. REQUIRES method,
// method_text, version, target (as it came) and headers, and of HTTP/2 a framing of kChunked where
// a body follows, kNone where none does; fills the other members. Takes out of
// `headers` what no reader after this one may see differently than the backend: fields that
// Connection names (but those that weir answers for cannot be named away), and names that a
// CGI-like backend would confuse with those ("X_Forwarded_For").
Refusal check_request(RequestHead& head, const HeadLimits& limits);

// The same for an answer to `request_method`: framing by RFC 9112 6.3 (HEAD, 1xx, 204, 304 have
// none; of HTTP/2 as above), status within 100..599, no Transfer-Encoding but "chunked". A
// Content-Length where none may be (1xx, 204) is taken out of `headers`.
Refusal check_response(ResponseHead& head, Method request_method, const HeadLimits& limits);

// A trailer field that may be passed on: not framing, routing, authentication or hop-by-hop
// (RFC 9110 6.5.1).
bool trailer_allowed(const Header& header);

// True for a field of kHopByHopMask.
bool is_hop_by_hop(const Header& header);
// True when a Connection field of `headers` lists `name`.
bool connection_names(const HeaderList& headers, std::string_view name);

// TE says that trailers are understood (RFC 9110 10.1.4).
bool wants_trailers(const HeaderList& headers);

// True for two names of which a backend makes one variable (CGI, WSGI, Rack, PHP): whatever their
// case, and "_" for "-".
bool same_variable_of_size(std::string_view a, std::string_view b);  // sizes are equal
inline bool same_variable(std::string_view a, std::string_view b) {
  return a.size() == b.size() && same_variable_of_size(a, b);
}

// A name / value that weir may send: a token; no CR, LF, NUL.
bool is_token(std::string_view text);
bool is_field_value(std::string_view text);
// May be written as it is.
bool is_sound(const Header& field);
bool is_valid_host(std::string_view host);        // reg-name, IPv4 or [IPv6], with optional :port
bool is_request_target(std::string_view target);  // visible ASCII without "#"
// The host of a valid "host[:port]": lower case, without port and trailing dot.
std::string_view host_of(std::string_view authority, Arena& arena);

// The path for matching: dot segments removed, percent-encoded unreserved characters decoded, and
// double slashes merged if asked. Returns `path` itself when nothing had to change. An empty view
// means that the path climbs above the root or holds %00 or broken percent-encoding: 400.
std::string_view normalise_path(std::string_view path, bool merge_slashes, Arena& arena);

}  // namespace weir::http
