// Heads to the fields of an HTTP/2 session, as h1_writer does for HTTP/1.1: hop-by-hop fields stay
// behind, and a field that no message may hold is left out. Each adds to `out`
// (H2Session::add_field()), whose next submit_*() must follow while `head` lives, and returns how
// many bytes of names and values that were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/h1_writer.h"
#include "http/h2_session.h"
#include "http/message.h"

namespace weir::http {

// Pseudo-fields, every field that goes on, `extras`, content-length with kLength, and
// "te: trailers" if the client said so (RFC 9113 8.2.2). `skip_mask` as of write_request_head().
// An upgrade becomes an extended CONNECT, whose handshake has no key (RFC 8441 5).
size_t add_h2_request(const RequestHead& head, std::string_view scheme, std::string_view host,
                      uint64_t skip_mask, const ExtraField* extras, size_t extras_count,
                      H2Session& out);

// `tunnel`: `head` is a 101, for which HTTP/2 has a 200 (RFC 8441 5). `date`: empty for none.
size_t add_h2_response(const ResponseHead& head, bool tunnel, const ResponseFraming& framing,
                       std::string_view date, H2Session& out);

// Null: none.
size_t add_h2_trailers(const HeaderList* trailers, H2Session& out);

}  // namespace weir::http
