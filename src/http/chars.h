// Byte classes of RFC 9110 and RFC 3986, and the search for bytes that end or break a line. What is
// here is the inner loop of every head: tables and 16 bytes at a time, no branches per byte.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace weir::http {

inline constexpr uint8_t kTokenByte = 1;       // tchar, RFC 9110 5.6.2
inline constexpr uint8_t kTargetByte = 2;      // visible ASCII without "#"
inline constexpr uint8_t kRegNameByte = 4;     // unreserved and sub-delims, without ","
inline constexpr uint8_t kUnreservedByte = 8;  // RFC 3986 2.3
inline constexpr uint8_t kHexByte = 16;
inline constexpr uint8_t kControlByte = 32;     // below 0x20, and DEL
inline constexpr uint8_t kLowerTokenByte = 64;  // tchar that is no capital: RFC 9113 8.2.1

namespace detail {

constexpr std::array<uint8_t, 256> make_byte_classes() {
  std::array<uint8_t, 256> classes{};
  const auto mark = [&classes](std::string_view bytes, uint8_t bits) {
    for (const char c : bytes) classes[static_cast<uint8_t>(c)] |= bits;
  };
  for (size_t c = 0; c < 256; ++c) {
    if (c < 0x20 || c == 0x7f) classes[c] |= kControlByte;
    if (c > 0x20 && c < 0x7f && c != '#') classes[c] |= kTargetByte;
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter || (c >= '0' && c <= '9')) {
      classes[c] |= kTokenByte | kRegNameByte | kUnreservedByte;
    }
  }
  mark("!#$%&'*+-.^_`|~", kTokenByte | kLowerTokenByte);
  mark("0123456789abcdefghijklmnopqrstuvwxyz", kLowerTokenByte);
  mark("-._~", kUnreservedByte | kRegNameByte);
  mark("!$&'()*+;=", kRegNameByte);  // a comma would join two hosts into a list
  mark("0123456789abcdefABCDEF", kHexByte);
  return classes;
}

}  // namespace detail

inline constexpr std::array<uint8_t, 256> kByteClasses = detail::make_byte_classes();

inline bool is_byte(char c, uint8_t classes) {
  return (kByteClasses[static_cast<uint8_t>(c)] & classes) != 0;
}

// True when every byte of `text` is of one of `classes`; true for empty text.
inline bool all_bytes(std::string_view text, uint8_t classes) {
  for (const char c : text) {
    if (!is_byte(c, classes)) return false;
  }
  return true;
}

// The value of a hex digit (REQUIRES kHexByte).
inline unsigned hex_value(char c) {
  return c <= '9' ? static_cast<unsigned>(c - '0') : static_cast<unsigned>((c | 0x20) - 'a' + 10);
}

#if defined(__SSE2__)
// One bit for each of the 16 bytes at `at` that is a control byte.
inline unsigned control_mask(const char* at) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
  const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(low, del)));
}

namespace detail {
// One bit for each of 16 bytes that is a digit or "-", or of which `letters` is a letter of lower
// case.
inline unsigned name_mask(__m128i bytes, __m128i letters) {
  const auto within = [](__m128i of, char first, char count) {
    const __m128i distance = _mm_sub_epi8(of, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(distance, _mm_set1_epi8(static_cast<char>(count - 1))),
                          distance);
  };
  const __m128i dashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'));
  return static_cast<unsigned>(_mm_movemask_epi8(
      _mm_or_si128(_mm_or_si128(within(letters, 'a', 26), within(bytes, '0', 10)), dashes)));
}
}  // namespace detail

// One bit for each of the 16 bytes at `at` that is a letter, a digit or "-": nearly all of tokens.
inline unsigned plain_token_mask(const char* at) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  return detail::name_mask(bytes, _mm_or_si128(bytes, _mm_set1_epi8(0x20)));
}

// The same of kLowerTokenByte.
inline unsigned lower_token_mask(const char* at) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  return detail::name_mask(bytes, bytes);
}
#endif

// True when the first `size` bytes of `text` are all kLowerTokenByte. The more of it follows them,
// the fewer are looked at one by one.
inline bool starts_with_lower_token(std::string_view text, size_t size) {
  size_t at = 0;
#if defined(__SSE2__)
  for (; at < size && at + 16 <= text.size(); at += 16) {
    const size_t wanted = std::min<size_t>(size - at, 16);
    const unsigned others = (lower_token_mask(text.data() + at) ^ 0xffffu) & ((1u << wanted) - 1);
    if (others != 0) break;  // perhaps one of those that are rare
  }
  if (at >= size) return true;
#endif
  return all_bytes(text.substr(at, size - at), kLowerTokenByte);
}

// The index of the first control byte (tab included) at or after `at`; text.size() if there is
// none.
inline size_t find_control(std::string_view text, size_t at) {
#if defined(__SSE2__)
  for (; at + 16 <= text.size(); at += 16) {
    const unsigned mask = control_mask(text.data() + at);
    if (mask != 0) return at + static_cast<size_t>(std::countr_zero(mask));
  }
  if (text.size() >= 16 && at < text.size()) {  // the last 16, some of them once more
    const size_t from = text.size() - 16;
    const unsigned mask = control_mask(text.data() + from) >> (at - from);
    return mask == 0 ? text.size() : at + static_cast<size_t>(std::countr_zero(mask));
  }
#endif
  while (at < text.size() && !is_byte(text[at], kControlByte)) ++at;
  return at;
}

inline bool has_control(std::string_view text) { return find_control(text, 0) != text.size(); }

// True when `text` is all kTargetByte: find it out 16 bytes at a time.
inline bool all_target_bytes(std::string_view text) {
  size_t at = 0;
#if defined(__SSE2__)
  for (; at + 16 <= text.size(); at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    // As signed bytes, those above 0x7f are negative.
    const __m128i visible = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x20));
    const __m128i refused = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')),
                                         _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
    if (_mm_movemask_epi8(_mm_andnot_si128(refused, visible)) != 0xffff) return false;
  }
#endif
  return all_bytes(text.substr(at), kTargetByte);
}

// How many control bytes `text` holds: two per line of a clean head, unless it has tabs.
inline size_t count_control_bytes(std::string_view text) {
  size_t at = 0;
  size_t count = 0;
#if defined(__SSE2__)
  constexpr size_t kWidth = 16;
  constexpr size_t kRounds = 255;  // as long as a sum fits its byte
  const __m128i zero = _mm_setzero_si128();
  // All ones where the byte at `from` is one.
  const auto controls = [](const char* from) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    return _mm_or_si128(low, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
  };
  __m128i sums = zero;
  while (at + kWidth <= text.size()) {
    const size_t rounds = std::min((text.size() - at) / kWidth, kRounds);
    __m128i bytes = zero;
    for (const size_t end = at + rounds * kWidth; at < end; at += kWidth) {
      bytes = _mm_sub_epi8(bytes, controls(text.data() + at));
    }
    sums = _mm_add_epi64(sums, _mm_sad_epu8(bytes, zero));
  }
  if (text.size() >= kWidth) {  // the last 16, without those that were counted
    static constexpr std::array<char, 32> kZerosOnes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                                        0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1,
                                                        1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const char* const ones = kZerosOnes.data() + (text.size() - at);
    const __m128i last = _mm_and_si128(controls(text.data() + text.size() - kWidth),
                                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(ones)));
    sums = _mm_add_epi64(sums, _mm_sad_epu8(last, zero));
    at = text.size();
  }
  count = static_cast<size_t>(_mm_cvtsi128_si64(sums)) +
          static_cast<size_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums)));
#endif
  for (; at < text.size(); ++at) count += is_byte(text[at], kControlByte) ? 1 : 0;
  return count;
}

}  // namespace weir::http
