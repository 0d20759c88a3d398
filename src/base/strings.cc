#include "base/strings.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <vector>

namespace weir {

namespace {

// Eight letters at once, capital ones made small; bytes that are no ASCII letters stay.
uint64_t lower_word(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const uint64_t low = word & (0x7f * kOnes);
  const uint64_t from_a = low + (0x80 - 'A') * kOnes;  // bit 7 of a byte: 'A' or behind it
  const uint64_t behind_z = low + (0x7f - 'Z') * kOnes;
  const uint64_t capital = (from_a ^ behind_z) & ~word & (0x80 * kOnes);
  return word | capital >> 2;
}

bool iequals_words(uint64_t a, uint64_t b) { return a == b || lower_word(a) == lower_word(b); }

uint64_t word_at(const char* at) {
  uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

// All of a text of less than eight bytes, some of it twice.
uint64_t short_word(const char* at, size_t size) {
  if (size >= 4) {
    std::array<uint32_t, 2> ends;
    std::memcpy(&ends[0], at, 4);
    std::memcpy(&ends[1], at + size - 4, 4);
    return std::bit_cast<uint64_t>(ends);
  }
  if (size == 0) return 0;
  const auto byte = [at](size_t i) { return uint64_t{static_cast<uint8_t>(at[i])}; };
  return byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16;
}

}  // namespace

bool iequals_same_size(std::string_view a, std::string_view b) {
  constexpr size_t kWord = sizeof(uint64_t);
  const size_t size = a.size();
  if (size < kWord) {
    return iequals_words(short_word(a.data(), size), short_word(b.data(), size));
  }
  for (size_t i = 0; i + kWord < size; i += kWord) {
    if (!iequals_words(word_at(a.data() + i), word_at(b.data() + i))) return false;
  }
  return iequals_words(word_at(a.data() + size - kWord), word_at(b.data() + size - kWord));
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
