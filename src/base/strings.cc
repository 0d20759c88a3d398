#include "base/strings.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <vector>

namespace weir {

bool iequals_same_size(std::string_view a, std::string_view b) {
  size_t i = 0;
  for (uint64_t x = 0, y = 0; i + sizeof(x) <= a.size(); i += sizeof(x)) {
    std::memcpy(&x, a.data() + i, sizeof(x));
    std::memcpy(&y, b.data() + i, sizeof(y));
    constexpr uint64_t kCaseBits = 0x2020202020202020;
    if (((x ^ y) & ~kCaseBits) != 0) return false;
    if (x != y) break;  // in the case of letters, or in what is no letter
  }
  for (; i < a.size(); ++i) {
    if (a[i] != b[i] && to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

bool parse_u64(std::string_view digits, uint64_t& out) {
  if (digits.empty()) return false;
  uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return false;
    if (__builtin_mul_overflow(value, uint64_t{10}, &value)) return false;
    if (__builtin_add_overflow(value, static_cast<uint64_t>(c - '0'), &value)) return false;
  }
  out = value;
  return true;
}

size_t format_u64(uint64_t value, char* out) {
  return static_cast<size_t>(std::to_chars(out, out + kNumberCharsMax, value).ptr - out);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      const size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, substitution});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace weir
