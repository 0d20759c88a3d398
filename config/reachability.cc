#include "config/reachability.h"

#include <algorithm>

namespace weir::config {

std::optional<uint32_t> Reachability::add(const proxy::Route& route) {
  const std::optional<uint32_t> covered_by = cover(route);
  const uint32_t index = next_++;
  if (covered_by) return covered_by;  // what it would cover, that one covers
  switch (route.match) {
    case proxy::PathMatch::kExact: put(exact_[route.path], route.conditions, index); break;
    case proxy::PathMatch::kSegment: put(segments_[route.path], route.conditions, index); break;
    case proxy::PathMatch::kPrefix: put(prefixes_[route.path], route.conditions, index); break;
    case proxy::PathMatch::kRegex:
      put(patterns_[route.regex->pattern()], route.conditions, index);
      break;
  }
  return std::nullopt;
}

void Reachability::put(Tree& tree, const proxy::Conditions& conditions, uint32_t index) {
  Tree* node = &tree;
  for (const proxy::Condition& condition : conditions.named) {
    std::unique_ptr<Tree>& below = node->below[condition];
    if (below == nullptr) below = std::make_unique<Tree>();
    node = below.get();
  }
  node->routes.push_back({index, conditions.methods});
}

// Those that ask for nothing but some of `narrower`: of its conditions before `from` those on the
// way to `tree`, behind it any.
void Reachability::look(const Tree& tree, const proxy::Conditions& narrower, size_t from,
                        std::optional<uint32_t>& first) {
  for (const Earlier& earlier : tree.routes) {
    if (!proxy::Conditions{earlier.methods, {}}.cover(narrower)) continue;
    first = std::min(first.value_or(earlier.index), earlier.index);
    break;
  }
  for (size_t i = from; i < narrower.named.size(); ++i) {
    const auto below = tree.below.find(narrower.named[i]);
    if (below != tree.below.end()) look(*below->second, narrower, i + 1, first);
  }
}

// "/a/" covers every path that starts with it, "/a" those and "/a" itself, "=/a" only "/a".
std::optional<uint32_t> Reachability::cover(const proxy::Route& route) const {
  std::optional<uint32_t> first;
  const auto look_at = [&](const Taken& taken, std::string_view key) {
    const auto found = taken.find(std::string(key));
    if (found != taken.end()) look(found->second, route.conditions, 0, first);
  };
  if (route.match == proxy::PathMatch::kRegex) {
    look_at(patterns_, route.regex->pattern());
    look_at(prefixes_, "/");  // every path
    return first;
  }
  const std::string_view path = route.path;
  if (route.match == proxy::PathMatch::kExact) look_at(exact_, path);
  if (route.match != proxy::PathMatch::kPrefix) look_at(segments_, path);
  for (size_t slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    look_at(prefixes_, path.substr(0, slash + 1));
    look_at(segments_, path.substr(0, slash));
  }
  return first;
}

}  // namespace weir::config
