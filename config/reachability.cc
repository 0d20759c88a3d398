#include "config/reachability.h"

#include <algorithm>

namespace weir::config {

std::optional<uint32_t> Reachability::add(const proxy::Route& route) {
  const std::optional<uint32_t> covered_by = cover(route);
  const uint32_t index = next_++;
  if (covered_by) return covered_by;  // what it would cover, that one covers
  switch (route.match) {
    case proxy::PathMatch::kExact: exact_[route.path].push_back({index, route.conditions}); break;
    case proxy::PathMatch::kSegment:
      segments_[route.path].push_back({index, route.conditions});
      break;
    case proxy::PathMatch::kPrefix:
      prefixes_[route.path].push_back({index, route.conditions});
      break;
    case proxy::PathMatch::kRegex:
      patterns_[route.regex->pattern()].push_back({index, route.conditions});
      break;
  }
  return std::nullopt;
}

// "/a/" covers every path that starts with it, "/a" those and "/a" itself, "=/a" only "/a".
std::optional<uint32_t> Reachability::cover(const proxy::Route& route) const {
  std::optional<uint32_t> first;
  const auto look = [&](const Taken& taken, std::string_view key) {
    const auto found = taken.find(std::string(key));
    if (found == taken.end()) return;
    for (const Earlier& earlier : found->second) {
      if (!earlier.conditions.cover(route.conditions)) continue;
      first = std::min(first.value_or(earlier.index), earlier.index);
      return;
    }
  };
  if (route.match == proxy::PathMatch::kRegex) {
    look(patterns_, route.regex->pattern());
    look(prefixes_, "/");  // every path
    return first;
  }
  const std::string_view path = route.path;
  if (route.match == proxy::PathMatch::kExact) look(exact_, path);
  if (route.match != proxy::PathMatch::kPrefix) look(segments_, path);
  for (size_t slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    look(prefixes_, path.substr(0, slash + 1));
    look(segments_, path.substr(0, slash));
  }
  return first;
}

}  // namespace weir::config
