#include "base/escape.h"

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace weir {
namespace {

constexpr uint64_t repeat(uint8_t byte) { return 0x0101010101010101ULL * byte; }

// Eight bytes at once: false as soon as one of them is below 0x20, above 0x7e, a quote or a
// backslash. Subtraction borrows only out of a byte that is such a one itself.
bool is_clean(uint64_t word) {
  const uint64_t control = word - repeat(0x20);
  const uint64_t quote = (word ^ repeat('"')) - repeat(1);
  const uint64_t backslash = (word ^ repeat('\\')) - repeat(1);
  const uint64_t del = (word ^ repeat(0x7f)) - repeat(1);
  return ((word | control | quote | backslash | del) & repeat(0x80)) == 0;
}

bool is_clean(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
}

template <typename Word>
Word load(const char* from) {
  Word word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

template <typename Word>
void store(char* to, Word word) {
  std::memcpy(to, &word, sizeof(word));
}

#if defined(__SSE2__)
// Copies sixteen bytes. Compared as signed bytes, those above 0x7f are below 0x20.
bool copy_16_if_clean(const char* from, char* out) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
  const __m128i below = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
  const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
  const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
  const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
  return _mm_movemask_epi8(
             _mm_or_si128(_mm_or_si128(below, del), _mm_or_si128(quote, backslash))) == 0;
}
#else
bool copy_16_if_clean(const char* from, char* out) {
  const uint64_t first = load<uint64_t>(from);
  const uint64_t second = load<uint64_t>(from + 8);
  store(out, first);
  store(out + 8, second);
  return is_clean(first) && is_clean(second);
}
#endif

// Copies `text` if all of it is clean (else some of it, to no harm). The last step overlaps the one
// before it, so that no text but the shortest is walked by the byte.
bool copy_if_clean(std::string_view text, char* out) {
  const char* const from = text.data();
  const size_t size = text.size();
  if (size >= 16) {
    for (size_t at = 0; at < size - 16; at += 16) {
      if (!copy_16_if_clean(from + at, out + at)) return false;
    }
    return copy_16_if_clean(from + size - 16, out + size - 16);
  }
  if (size >= 8) {
    const uint64_t first = load<uint64_t>(from);
    const uint64_t last = load<uint64_t>(from + size - 8);
    store(out, first);
    store(out + size - 8, last);
    return is_clean(first) && is_clean(last);
  }
  if (size >= 4) {
    const uint32_t first = load<uint32_t>(from);
    const uint32_t last = load<uint32_t>(from + size - 4);
    store(out, first);
    store(out + size - 4, last);
    return is_clean(uint64_t{last} << 32 | first);
  }
  for (size_t at = 0; at < size; ++at) {
    if (!is_clean(from[at])) return false;
    out[at] = from[at];
  }
  return true;
}

// Copies clean bytes from the front; returns how many.
size_t copy_clean(std::string_view text, char* out) {
  size_t at = 0;
  while (at < text.size() && is_clean(text[at])) {
    out[at] = text[at];
    ++at;
  }
  return at;
}

// Length of the valid UTF-8 sequence of two to four bytes at the front (no overlong form, surrogate
// or value above U+10FFFF), or 0.
size_t utf8_sequence(std::string_view text) {
  const auto byte = [&text](size_t at) {
    return at < text.size() ? static_cast<uint8_t>(text[at]) : uint8_t{0};
  };
  const auto continues = [&byte](size_t at, uint8_t low = 0x80, uint8_t high = 0xbf) {
    return byte(at) >= low && byte(at) <= high;
  };
  const uint8_t lead = byte(0);
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool second = continues(1, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf);
    return second && continues(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = continues(1, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf);
    return second && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

char* put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* put_hex(char* out, std::string_view prefix, uint8_t byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  out = put(out, prefix);
  *out++ = kDigits[byte >> 4];
  *out++ = kDigits[byte & 15];
  return out;
}

char* put_json_ascii(char* out, char c) {
  switch (c) {
    case '"': return put(out, "\\\"");
    case '\\': return put(out, "\\\\");
    case '\b': return put(out, "\\b");
    case '\f': return put(out, "\\f");
    case '\n': return put(out, "\\n");
    case '\r': return put(out, "\\r");
    case '\t': return put(out, "\\t");
    default: return put_hex(out, "\\u00", static_cast<uint8_t>(c));
  }
}

enum class Form { kJson, kText };

// Takes one character from the front of `text`, which is not clean.
template <Form form>
char* escape_one(std::string_view& text, char* out) {
  const char c = text.front();
  const auto byte = static_cast<uint8_t>(c);
  const size_t sequence = byte < 0x80 ? 1 : utf8_sequence(text);
  const bool is_c1 = sequence == 2 && byte == 0xc2 && static_cast<uint8_t>(text[1]) < 0xa0;
  if (sequence > 1 && !is_c1) {
    out = put(out, text.substr(0, sequence));
  } else if (form == Form::kJson) {
    if (sequence == 1)
      out = put_json_ascii(out, c);
    else if (is_c1)
      out = put_hex(out, "\\u00", static_cast<uint8_t>(text[1]));
    else
      out = put(out, "\\ufffd");
  } else if (c == '"' || c == '\\') {
    *out++ = c;
  } else {
    out = put_hex(out, "\\x", byte);
    if (is_c1) out = put_hex(out, "\\x", static_cast<uint8_t>(text[1]));
  }
  text.remove_prefix(sequence == 0 ? 1 : sequence);
  return out;
}

template <Form form>
char* escape(std::string_view text, char* out) {
  if (copy_if_clean(text, out)) return out + text.size();
  for (;;) {
    const size_t clean = copy_clean(text, out);
    out += clean;
    if (clean == text.size()) return out;
    text.remove_prefix(clean);
    out = escape_one<form>(text, out);
  }
}

}  // namespace

char* escape_json(std::string_view text, char* out) { return escape<Form::kJson>(text, out); }

char* escape_text(std::string_view text, char* out) { return escape<Form::kText>(text, out); }

char* escape_combined(std::string_view text, char* out) {
  if (copy_if_clean(text, out)) return out + text.size();
  for (;;) {
    const size_t clean = copy_clean(text, out);
    out += clean;
    if (clean == text.size()) return out;
    out = put_hex(out, "\\x", static_cast<uint8_t>(text[clean]));
    text.remove_prefix(clean + 1);
  }
}

}  // namespace weir
