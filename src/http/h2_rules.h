// What HTTP/2 adds to http/rules: fields as a session decoded them become the heads that the rest
// of weir knows, as clean as those of HTTP/1.1, or are refused (RFC 9113 8.2, 8.3, RFC 8441). Pure
// functions: no state, no allocation beyond the message's arena.
#pragma once

#include <cstdint>

#include "http/message.h"
#include "http/rules.h"

namespace weir::http {

// Why a message is refused, and how: a malformed one is a stream error of type PROTOCOL_ERROR (RFC
// 9113 8.1.1); any other gets the answer that it would get over HTTP/1.1.
struct H2Refusal : Refusal {
  bool malformed = false;
};

// `fields` in the order in which they came; what is kept of their text is copied to the arena of
// `out`. Fills all of `out`, also as far as it can of what it refuses, for the log. `end`: no body
// follows. `connect_protocol`: RFC 8441 was offered; a CONNECT to a websocket becomes the GET of an
// upgrade.
//
// `out.framing` is kLength with a content-length, else kChunked when a body follows: its end is the
// end of the stream. Crumbs of cookies are joined (RFC 9113 8.2.3).
H2Refusal read_h2_request(const HeaderList& fields, bool end, bool connect_protocol,
                          const HeadLimits& limits, RequestHead& out);

// The same for an answer; 502. `out.framing` is kChunked where the end of the stream is the end of
// the body. kNone: no body (HEAD, 304, 204, 1xx), or `end`.
H2Refusal read_h2_response(const HeaderList& fields, bool end, Method request_method,
                           const HeadLimits& limits, ResponseHead& out);

// Adds the trailers that may be passed on; their text is copied to the arena of `out`.
H2Refusal read_h2_trailers(const HeaderList& fields, HeaderList& out);

// The base64 of what a WebSocket client makes up (RFC 6455 4.1).
inline constexpr size_t kWebsocketKeyBytes = 16;
std::string_view websocket_key(const uint8_t (&random)[kWebsocketKeyBytes], Arena& arena);

// RFC 9218: the value of a Priority field. What is not understood keeps the defaults.
struct H2Priority {
  uint32_t urgency = 3;
  bool incremental = false;
};
H2Priority read_h2_priority(std::string_view value);

}  // namespace weir::http
