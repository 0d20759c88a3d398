#include "filters/compression/types.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "http/rules.h"

namespace weir::filters::compression {

namespace {

// What text/* leaves out, as servers name it. Fonts and images that are compressed by themselves
// are not here: woff, png, webp.
constexpr const char* kUsual[] = {
    "text/*",
    "application/json",
    "application/*+json",
    "application/xml",
    "application/*+xml",
    "application/javascript",
    "application/x-javascript",
    "application/x-ndjson",
    "application/graphql",
    "application/wasm",
    "application/yaml",
    "application/vnd.ms-fontobject",
    "image/svg+xml",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
    "font/ttf",
    "font/otf",
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), &to_lower);
  return out;
}

bool is_at(std::string_view text, size_t at, std::string_view part) {
  return iequals(text.substr(at, part.size()), part);
}

}  // namespace

TypeSet TypeSet::usual() {
  TypeSet types;
  for (const char* pattern : kUsual) WEIR_CHECK(types.add(pattern));
  return types;
}

bool TypeSet::add(std::string_view pattern) {
  const size_t slash = pattern.find('/');
  if (slash == std::string_view::npos) return false;
  const size_t star = pattern.find('*');
  std::string plain = lower(pattern);
  if (star != std::string_view::npos) {
    if (star < slash) return false;
    plain.erase(star, 1);
  }
  const std::string_view type(plain.data(), slash);
  const std::string_view subtype = std::string_view(plain).substr(slash + 1);
  const bool is_token = subtype.empty() ? star != std::string_view::npos : http::is_token(subtype);
  if (!http::is_token(type) || !is_token || subtype.find('*') != std::string_view::npos)
    return false;
  if (star == std::string_view::npos) {
    patterns_.push_back({std::move(plain), {}, true});
  } else {
    patterns_.push_back({plain.substr(0, star), plain.substr(star), false});
  }
  return true;
}

bool TypeSet::contains(std::string_view content_type) const {
  const std::string_view type = essence(content_type);
  return std::any_of(patterns_.begin(), patterns_.end(), [type](const Pattern& pattern) {
    if (pattern.is_whole) return iequals(type, pattern.head);
    return type.size() >= pattern.head.size() + pattern.tail.size() &&
           is_at(type, 0, pattern.head) &&
           is_at(type, type.size() - pattern.tail.size(), pattern.tail);
  });
}

std::string_view essence(std::string_view content_type) {
  return trim_ows(content_type.substr(0, content_type.find(';')));
}

}  // namespace weir::filters::compression
