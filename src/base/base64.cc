#include "base/base64.h"

#include <array>
#include <cstdint>

namespace weir {

namespace {

constexpr uint8_t kNone = 0xff;
using Values = std::array<uint8_t, 256>;

constexpr Values values_of(std::string_view last_two) {
  Values values = {};
  values.fill(kNone);
  constexpr std::string_view kFirst =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  for (size_t i = 0; i < kFirst.size(); ++i) {
    values[static_cast<unsigned char>(kFirst[i])] = static_cast<uint8_t>(i);
  }
  values[static_cast<unsigned char>(last_two[0])] = 62;
  values[static_cast<unsigned char>(last_two[1])] = 63;
  return values;
}

constexpr Values kStandardValues = values_of("+/");
constexpr Values kUrlValues = values_of("-_");

}  // namespace

bool decode_base64(Base64 form, std::string_view text, std::span<char> out, size_t& size) {
  size = 0;
  if (form == Base64::kStandard) {
    if (text.size() % 4 != 0) return false;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  }
  const size_t rest = text.size() % 4;
  const size_t bytes = text.size() / 4 * 3 + (rest == 0 ? 0 : rest - 1);
  if (rest == 1 || bytes > out.size()) return false;
  const Values& values = form == Base64::kUrl ? kUrlValues : kStandardValues;
  uint32_t bits = 0;
  uint32_t held = 0;
  for (const char c : text) {
    const uint8_t value = values[static_cast<unsigned char>(c)];
    if (value == kNone) return false;
    bits = bits << 6 | value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out[size++] = static_cast<char>(bits >> held & 0xff);
  }
  return (bits & ((1u << held) - 1)) == 0;  // what no byte has taken has to be zero
}

bool decode_base64(Base64 form, std::string_view text, std::string& out) {
  out.resize(base64_decoded_max(text.size()));
  size_t size = 0;
  const bool valid = decode_base64(form, text, std::span<char>(out), size);
  out.resize(valid ? size : 0);
  return valid;
}

}  // namespace weir
