// Address of forwarded.h: text to bytes and back without sockets' help.
#include <cstring>

#include "base/strings.h"
#include "http/chars.h"
#include "http/forwarded.h"

namespace weir::http {
namespace {

constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr size_t kGroups = 8;

// Four decimal octets without leading zeros (inet_aton's octal and short forms are not addresses).
bool parse_v4(std::string_view text, uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    const size_t dot = text.find('.');
    if ((i < 3) == (dot == std::string_view::npos)) return false;
    const std::string_view octet = text.substr(0, dot);
    uint64_t value = 0;
    if (octet.size() > 3 || (octet.size() > 1 && octet.front() == '0')) return false;
    if (!parse_u64(octet, value) || value > 255) return false;
    out[i] = static_cast<uint8_t>(value);
    if (i < 3) text.remove_prefix(dot + 1);
  }
  return true;
}

bool parse_group(std::string_view text, uint8_t* out) {
  if (text.empty() || text.size() > 4 || !all_bytes(text, kHexByte)) return false;
  unsigned value = 0;
  for (const char c : text) value = value * 16 + hex_value(c);
  out[0] = static_cast<uint8_t>(value >> 8);
  out[1] = static_cast<uint8_t>(value & 0xff);
  return true;
}

// Groups of "a:b:c", the last of which may be a dotted quad (RFC 4291 2.2). Returns their number,
// or -1.
int parse_groups(std::string_view text, bool quad_allowed, uint8_t* out) {
  if (text.empty()) return 0;
  for (int count = 0; count < static_cast<int>(kGroups); ++count) {
    const size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    const bool last = colon == std::string_view::npos;
    if (last && quad_allowed && group.find('.') != std::string_view::npos) {
      return count < 7 && parse_v4(group, out + 2 * count) ? count + 2 : -1;
    }
    if (!parse_group(group, out + 2 * count)) return -1;
    if (last) return count + 1;
    text.remove_prefix(colon + 1);
  }
  return -1;
}

bool parse_v6(std::string_view text, uint8_t* out) {
  const size_t gap = text.find("::");
  uint8_t head[16] = {};
  uint8_t tail[16] = {};
  if (gap == std::string_view::npos) {
    return parse_groups(text, true, out) == static_cast<int>(kGroups);
  }
  const int before = parse_groups(text.substr(0, gap), false, head);
  const int after = parse_groups(text.substr(gap + 2), true, tail);
  // "::" stands for at least one group.
  if (before < 0 || after < 0 || before + after >= static_cast<int>(kGroups)) return false;
  std::memset(out, 0, 16);
  std::memcpy(out, head, static_cast<size_t>(before) * 2);
  std::memcpy(out + 16 - after * 2, tail, static_cast<size_t>(after) * 2);
  return true;
}

unsigned group_at(const uint8_t* bytes, size_t index) {
  return static_cast<unsigned>(bytes[2 * index] << 8 | bytes[2 * index + 1]);
}

// The first longest run of two or more zero groups (RFC 5952 4.2).
void find_zero_run(const uint8_t* bytes, size_t& begin, size_t& length) {
  begin = kGroups;
  length = 1;
  for (size_t i = 0; i < kGroups; ++i) {
    size_t run = 0;
    while (i + run < kGroups && group_at(bytes, i + run) == 0) ++run;
    if (run > length) {
      begin = i;
      length = run;
    }
    i += run;
  }
}

char* put_hex(unsigned value, char* out) {
  constexpr char kHex[] = "0123456789abcdef";
  int shift = 12;
  while (shift > 0 && (value >> shift) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) *out++ = kHex[(value >> shift) & 15];
  return out;
}

}  // namespace

bool Address::parse(std::string_view text, Address& out) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
    if (text.find(':') == std::string_view::npos) return false;
  }
  Address parsed;
  if (text.find(':') == std::string_view::npos) {
    std::memcpy(parsed.bytes, kMappedPrefix, sizeof kMappedPrefix);
    if (!parse_v4(text, parsed.bytes + sizeof kMappedPrefix)) return false;
    parsed.v4 = true;
  } else {
    if (!parse_v6(text, parsed.bytes)) return false;
    parsed.v4 = std::memcmp(parsed.bytes, kMappedPrefix, sizeof kMappedPrefix) == 0;
  }
  out = parsed;
  return true;
}

size_t Address::format(char* out) const {
  char* at = out;
  if (v4) {
    for (size_t i = 12; i < 16; ++i) {
      if (i > 12) *at++ = '.';
      at += format_u64(bytes[i], at);
    }
    return static_cast<size_t>(at - out);
  }
  size_t run = 0;
  size_t run_length = 0;
  find_zero_run(bytes, run, run_length);
  for (size_t i = 0; i < kGroups; ++i) {
    if (i == run) {
      *at++ = ':';
      if (i + run_length == kGroups) *at++ = ':';
      i += run_length - 1;
      continue;
    }
    if (i > 0) *at++ = ':';
    at = put_hex(group_at(bytes, i), at);
  }
  return static_cast<size_t>(at - out);
}

}  // namespace weir::http
