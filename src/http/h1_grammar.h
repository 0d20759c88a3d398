// What llhttp says of a head: the word on all that split_fields() leaves open. The only file that
// includes it. Its callbacks only note (L6).
#pragma once

#include <cstdint>
#include <string_view>

#include "http/headers.h"
#include "http/rules.h"

namespace weir::http {

// Reads a complete head, its start line too, and fills `headers` with views into it. Framing is
// left to http/rules: llhttp never goes beyond the head.
Refusal parse_fields(std::string_view head, bool request, HeaderList& headers,
                     uint32_t headers_max);

// A method of the registry, of which weir may have its own opinion: not for check_request().
bool is_known_method(std::string_view method);

const char* parser_version();  // llhttp's, "8.1.0"

}  // namespace weir::http
