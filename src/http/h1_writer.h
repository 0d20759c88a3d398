// Messages to HTTP/1.1 bytes: room for all of it is taken first, so nothing is ever cut. Emits
// framing itself and the chunk terminator once. Names are tokens (rules.h); whatever a field holds,
// it can not break its line: one with a control byte other than tab is left out and counted in the
// result. What a start line is made of (method, target, reason, host) has been checked by rules; a
// control byte that a later hand put there is written as "_".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "http/message.h"

namespace weir::http {

// One extra line that the proxy adds after the message's own fields.
struct ExtraField {
  std::string_view name;
  std::string_view value;
};

// Writes "METHOD target HTTP/1.1", Host, every field that goes on, `extras`, framing
// (Content-Length or chunked from head.framing), TE if an HTTP/2 client takes trailers, and
// "Connection: Upgrade" + "Upgrade" when `upgrade` is not empty. Left out are hop-by-hop fields,
// Content-Length, Transfer-Encoding, Host, Expect, and the ids of `skip_mask` (bit 1 << HeaderId).
// Via lines go on: weir's own follows them as one of `extras`. Returns how many fields were left
// out because no field may hold what they hold.
size_t write_request_head(const RequestHead& head, std::string_view host, uint64_t skip_mask,
                          const ExtraField* extras, size_t extras_count, std::string_view upgrade,
                          Buffer& out);

// How the answer is framed towards the client; the writer emits the matching fields.
struct ResponseFraming {
  Framing framing = Framing::kNone;
  uint64_t content_length = 0;
  bool keep_content_length = false;  // HEAD and 304: pass the header on though no body follows
  bool close = false;                // "Connection: close"
  bool keep_alive_10 = false;        // "Connection: keep-alive" for a HTTP/1.0 client
  bool end_follows = false;          // HTTP/2: not with the head, though the length is 0
};

// Writes "HTTP/1.1 status reason", the fields as above (Via lines go on), `extras`, Date (from
// `date`, 29 bytes; empty for none) if the head has none, framing and Connection. An empty reason
// is replaced by the usual one.
size_t write_response_head(const ResponseHead& head, const ResponseFraming& framing,
                           std::string_view date, const ExtraField* extras, size_t extras_count,
                           std::string_view upgrade, Buffer& out);

// "1f4\r\n" into `out` (at most 18 bytes); returns its length. The piece and "\r\n" follow.
size_t format_chunk_size(uint64_t bytes, char* out);
// "0\r\n", trailers (null for none), "\r\n". Returns as above.
size_t write_last_chunk(const HeaderList* trailers, Buffer& out);

std::string_view default_reason(int status);

}  // namespace weir::http
