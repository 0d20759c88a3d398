// Text from outside, made safe for a line of a log: whatever bytes come in, what goes out stays one
// line and valid in its format. Each function writes at most kEscapedMax times as many bytes as it
// is given, and returns one past the last byte written. Never allocates.
#pragma once

#include <cstddef>
#include <string_view>

namespace weir {

constexpr size_t kEscapedMax = 6;  // one byte becomes \u00XX

// The inside of a JSON string (RFC 8259 7): control characters (C0, DEL, C1) as \u00XX or their
// short form, every byte that is not part of a valid UTF-8 sequence as \ufffd.
char* escape_json(std::string_view text, char* out);

// nginx's form for combined logs: \xHH for quote, backslash and all that is not printable ASCII.
char* escape_combined(std::string_view text, char* out);

// For people: \xHH for control characters and for bytes that are not UTF-8; all else as it came.
char* escape_text(std::string_view text, char* out);

}  // namespace weir
