// The fields of an HTTP/1.x head that is beyond doubt, which nearly every head is: for a fifth of
// the instructions that llhttp takes for it. What is not plain is refused here without a reason,
// and llhttp has the word on it; of what is accepted it says the same, field by field, which the
// fuzzers of requests and responses and head_fields_test hold to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/message.h"

namespace weir::http {

// llhttp reads request lines, too, each method's by its own grammar: in this one it sees no more
// than what `head` says of it (method, target).
bool is_plain_start(const RequestHead& head);

// Reads lines of "token: value" from behind the start line, of that size, to the first blank line,
// and fills `headers` with views into them. A blank line must also be the end of `bytes`. The size
// of the head, or 0: `headers` is of no use. So it is, too, with more fields than `headers_max`,
// and where a length or a transfer coding is not the only word on framing and as simple as can be.
size_t split_fields(std::string_view bytes, size_t start_line_bytes, HeaderList& headers,
                    uint32_t headers_max);

}  // namespace weir::http
