// Vary (RFC 9111 4.1): which fields of a request chose an answer, and the part of a cache's key
// that they make. Pure; nothing is allocated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "http/cache_fields.h"

namespace weir::http {

// Names that one answer varies by, and their text. Real ones have up to five. Reached: as "*".
inline constexpr size_t kVaryNamesMax = 16;
inline constexpr size_t kVaryTextMax = 256;

// The names of an answer's Vary lines, each once, in one order whatever the answer's. Views of the
// head.
class VaryNames {
 public:
  VaryNames() = default;
  explicit VaryNames(const CacheFields& answer);

  void add(std::string_view line);

  // No request is known to match: "*", more than can be kept, or what is no name of a field.
  bool matches_nothing() const { return matches_nothing_; }
  std::span<const std::string_view> names() const { return {names_.data(), count_}; }
  // The normal form, "accept,origin": to be kept with what is stored. At most kVaryTextMax bytes.
  // REQUIRES !matches_nothing().
  size_t write(char* out) const;

 private:
  void add_name(std::string_view name);

  std::array<std::string_view, kVaryNamesMax> names_;
  size_t count_ = 0;
  size_t text_size_ = 0;
  bool matches_nothing_ = false;
};

// What of a request counts for an answer that varies by `names` (VaryNames::write): two requests
// get the same text if and only if one may be given the other's answer. Each value has its length
// and its kind before it, so that no two lists of values look alike. Values are compared as they
// are meant, where that is known: Accept-Encoding by what it accepts, Accept, Accept-Language and
// Accept-Charset without regard to case and optional whitespace; all others as they came, their
// lines joined. False when it is longer than `out`: kVaryKeyMax is plenty for honest requests.
inline constexpr size_t kVaryKeyMax = 4096;
bool write_vary_key(std::string_view names, const CacheFields& request, std::span<char> out,
                    size_t& size);

}  // namespace weir::http
