// Base64 (RFC 4648). Read strictly: one text has one encoding, and everything else is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir {

enum class Base64 : uint8_t {
  kStandard,  // section 4: "+" and "/", padded with "="
  kUrl,       // section 5: "-" and "_", without padding, as JOSE has it (RFC 7515 2)
};

// Writes the bytes to `out`; `size`: how many. False when it is no such text or does not fit.
bool decode_base64(Base64 form, std::string_view text, std::span<char> out, size_t& size);
// For set-up code. False when it is no such text.
bool decode_base64(Base64 form, std::string_view text, std::string& out);

constexpr size_t base64_decoded_max(size_t encoded) { return encoded / 4 * 3 + 3; }

constexpr size_t base64_encoded(size_t bytes) { return (bytes + 2) / 3 * 4; }
// Writes base64_encoded(bytes.size()) characters of the standard form.
void encode_base64(std::span<const uint8_t> bytes, char* out);

}  // namespace weir
