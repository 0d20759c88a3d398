#include "base/base64.h"

#include <array>
#include <cstdint>

namespace weir {

namespace {

constexpr uint8_t kValueBits = 0x3f;
constexpr uint32_t kNone = 1u << 31;
// What a digit says in each place of its group of four.
using Values = std::array<std::array<uint32_t, 256>, 4>;

constexpr Values values_of(std::string_view digits) {
  Values values = {};
  for (size_t place = 0; place < 4; ++place) {
    values[place].fill(kNone);
    for (size_t i = 0; i < digits.size(); ++i) {
      values[place][static_cast<unsigned char>(digits[i])] = static_cast<uint32_t>(i)
                                                             << (18 - 6 * place);
    }
  }
  return values;
}

constexpr std::string_view kStandardDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr Values kStandardValues = values_of(kStandardDigits);
constexpr Values kUrlValues = values_of(kUrlDigits);

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
  const auto value_of = [&values, text](size_t at, size_t place) {
    return values[place][static_cast<unsigned char>(text[at + place])];
  };
  uint32_t seen = 0;
  char* to = out.data();
  size_t at = 0;
  for (; at + 4 <= text.size(); at += 4, to += 3) {
    const uint32_t bits = value_of(at, 0) | value_of(at, 1) | value_of(at, 2) | value_of(at, 3);
    seen |= bits;
    to[0] = static_cast<char>(bits >> 16);
    to[1] = static_cast<char>(bits >> 8);
    to[2] = static_cast<char>(bits);
  }
  uint32_t left = 0;  // what no byte has taken has to be zero
  if (rest != 0) {
    const uint32_t bits = value_of(at, 0) | value_of(at, 1) | (rest == 3 ? value_of(at, 2) : 0);
    seen |= bits;
    to[0] = static_cast<char>(bits >> 16);
    if (rest == 3) to[1] = static_cast<char>(bits >> 8);
    left = bits & (rest == 3 ? 0xff : 0xffff);
  }
  size = bytes;
  return (seen & kNone) == 0 && left == 0;
}

bool decode_base64(Base64 form, std::string_view text, std::string& out) {
  out.resize(base64_decoded_max(text.size()));
  size_t size = 0;
  const bool valid = decode_base64(form, text, std::span<char>(out), size);
  out.resize(valid ? size : 0);
  return valid;
}

void encode_base64(std::span<const uint8_t> bytes, char* out) {
  for (size_t i = 0; i < bytes.size(); i += 3, out += 4) {
    const size_t left = bytes.size() - i;
    const uint32_t bits = uint32_t{bytes[i]} << 16 | (left > 1 ? uint32_t{bytes[i + 1]} << 8 : 0) |
                          (left > 2 ? uint32_t{bytes[i + 2]} : 0);
    out[0] = kStandardDigits[bits >> 18];
    out[1] = kStandardDigits[bits >> 12 & kValueBits];
    out[2] = left > 1 ? kStandardDigits[bits >> 6 & kValueBits] : '=';
    out[3] = left > 2 ? kStandardDigits[bits & kValueBits] : '=';
  }
}

}  // namespace weir
