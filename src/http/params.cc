#include "http/params.h"

#include "http/chars.h"

namespace weir::http {

namespace {

// The decoded byte at encoded[at]; moves `at` to the last byte that it is written with.
char decoded_byte(std::string_view encoded, size_t& at) {
  const char c = encoded[at];
  if (c == '+') return ' ';
  if (c != '%' || at + 2 >= encoded.size() || !all_bytes(encoded.substr(at + 1, 2), kHexByte)) {
    return c;
  }
  at += 2;
  return static_cast<char>(hex_value(encoded[at - 1]) * 16 + hex_value(encoded[at]));
}

}  // namespace

bool equals_decoded(std::string_view encoded, std::string_view plain) {
  size_t matched = 0;
  for (size_t at = 0; at < encoded.size(); ++at, ++matched) {
    if (matched == plain.size() || decoded_byte(encoded, at) != plain[matched]) return false;
  }
  return matched == plain.size();
}

bool decode(std::string_view encoded, std::span<char> out, size_t& size) {
  size = 0;
  for (size_t at = 0; at < encoded.size(); ++at) {
    if (size == out.size()) return false;
    out[size++] = decoded_byte(encoded, at);
  }
  return true;
}

}  // namespace weir::http
