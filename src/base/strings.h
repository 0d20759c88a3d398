// Small text helpers that every folder needs. Never allocate unless they return std::string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace weir {

inline char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool iequals_same_size(std::string_view a, std::string_view b);

// ASCII, without regard to case. Most texts are told apart by their sizes.
inline bool iequals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && iequals_same_size(a, b);
}

inline size_t total_size(std::span<const std::string_view> pieces) {
  size_t size = 0;
  for (const std::string_view piece : pieces) size += piece.size();
  return size;
}

// The first and the last `Bytes`, which overlap where `size` is less than both.
template <size_t Bytes>
void copy_ends(char* out, const char* from, size_t size) {
  std::memcpy(out, from, Bytes);
  std::memcpy(out + size - Bytes, from + size - Bytes, Bytes);
}

// Copies `text` to `out`, which has room for it elsewhere, and returns the place behind it. What is
// short, as most of a head is, takes two moves: less than a call.
inline char* put_text(char* out, std::string_view text) {
  const char* const from = text.data();
  const size_t size = text.size();
  if (size > 32) {
    std::memcpy(out, from, size);
  } else if (size >= 16) {
    copy_ends<16>(out, from, size);
  } else if (size >= 8) {
    copy_ends<8>(out, from, size);
  } else if (size >= 4) {
    copy_ends<4>(out, from, size);
  } else if (size > 0) {
    out[0] = from[0];
    out[size / 2] = from[size / 2];
    out[size - 1] = from[size - 1];
  }
  return out + size;
}

// The same piece of a copy of what it is a piece of, which begins at `from`.
inline std::string_view moved(std::string_view piece, const char* from, const char* copy) {
  return {copy + (piece.data() - from), piece.size()};
}

inline bool is_ows(char c) { return c == ' ' || c == '\t'; }

// Without spaces and tabs at both ends.
inline std::string_view trim_ows(std::string_view text) {
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_ows(text.back())) text.remove_suffix(1);
  return text;
}

bool parse_u64(std::string_view digits, uint64_t& out);  // decimal digits only, no overflow

inline constexpr size_t kNumberCharsMax = 20;
size_t format_u64(uint64_t value, char* out);  // at most kNumberCharsMax; returns the length
// The closest of `candidates` to `word` within an edit distance of 1/3 of its length, or empty.
template <typename Range>
std::string closest(std::string_view word, const Range& candidates);
size_t edit_distance(std::string_view a, std::string_view b);

// For maps by std::string that are asked by view, without making a string.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

// Calls visit(item) for each comma-separated, trimmed, non-empty item (RFC 9110 5.6.1).
template <typename Visit>
void for_each_list_item(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view item = trim_ows(list.substr(0, comma));
    if (!item.empty()) visit(item);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

template <typename Range>
std::string closest(std::string_view word, const Range& candidates) {
  size_t best = word.size() / 3 + 1;
  std::string found;
  for (const auto& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance <= best && distance < candidate.size()) {
      if (distance == best && !found.empty()) continue;
      best = distance;
      found = candidate;
    }
  }
  return found;
}

}  // namespace weir
