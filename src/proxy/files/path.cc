#include "proxy/files/path.h"

#include <algorithm>

#include "proxy/snapshot.h"

namespace weir::proxy::files {

namespace {

constexpr std::string_view kWellKnown = ".well-known";

// Behind what the route is found by.
std::string_view rest_of(const Route& route, std::string_view path) {
  switch (route.match) {
    case PathMatch::kPrefix:
    case PathMatch::kSegment: path.remove_prefix(std::min(route.path.size(), path.size())); break;
    case PathMatch::kExact: path.remove_prefix(path.rfind('/') + 1); break;
    case PathMatch::kRegex: break;
  }
  // "/static" takes "/static/x", too.
  const bool has_slash = route.match == PathMatch::kSegment || route.match == PathMatch::kRegex;
  if (has_slash && path.starts_with('/')) path.remove_prefix(1);
  return path;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// False for a broken escape and for a slash that was one.
bool decode(std::string_view text, char* out, size_t& size) {
  size = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '%') {
      if (text.size() - at < 3) return false;
      const int high = hex_value(text[at + 1]);
      const int low = hex_value(text[at + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      if (c == '/') return false;
      at += 2;
    }
    out[size++] = c;
  }
  return true;
}

}  // namespace

bool is_servable(std::string_view segment) {
  return !segment.empty() && std::none_of(segment.begin(), segment.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\' || c == '/';
  });
}

std::optional<std::string_view> name_below(const Route& route, std::string_view path,
                                           bool shows_well_known, Arena& arena) {
  std::string_view name = rest_of(route, path);
  if (name.size() >= kNameBytes) return std::nullopt;
  if (name.find('%') != std::string_view::npos) {
    char* const decoded = static_cast<char*>(arena.allocate(name.size(), 1));
    size_t size = 0;
    if (!decode(name, decoded, size)) return std::nullopt;
    name = {decoded, size};
  }
  for (size_t at = 0; at < name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    const std::string_view segment = name.substr(at, end - at);
    if (!is_servable(segment)) return std::nullopt;
    const bool shown = at == 0 && shows_well_known && segment == kWellKnown;
    if (segment.front() == '.' && !shown) return std::nullopt;
    at = end + 1;
  }
  return name;
}

}  // namespace weir::proxy::files
