// Media types: by the extension of a file, and matched against patterns. Never allocates.
#pragma once

#include <span>
#include <string_view>

namespace weir::http {

// The Content-Type for a file of this name (or path): by what stands behind its last dot, in any
// case. Text types come with "charset=utf-8". "application/octet-stream" for all that is not known.
std::string_view content_type_of(std::string_view file_name);

// "text/html" of "Text/HTML ; charset=utf-8": without parameters, in the case in which it came.
std::string_view essence_of(std::string_view content_type);

// Whether a type is one of these: "text/*", or exact ones, without parameters, in any case. "*/*"
// and "*" are all of them.
bool matches_type(std::string_view content_type, std::string_view pattern);
template <typename Patterns>
bool matches_any_type(std::string_view content_type, const Patterns& patterns) {
  for (const auto& pattern : patterns) {
    if (matches_type(content_type, pattern)) return true;
  }
  return false;
}

// A pattern by the grammar: a token, a slash, and a token or "*"; "*/*" and "*".
bool is_type_pattern(std::string_view pattern);

// What compression makes smaller, as patterns: texts, their kin, fonts and images that nobody has
// packed yet.
std::span<const std::string_view> compressible_types();

}  // namespace weir::http
