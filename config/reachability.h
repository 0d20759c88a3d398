// Which routes no request can reach, because an earlier route of the site takes all their requests.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/snapshot.h"

namespace weir::config {

// Only what one earlier route covers alone is found, and of patterns only the same one written
// twice. The cost of a route is the length of its path and the number of its conditions, and of
// earlier ones on the same paths that ask for some of these and nothing else; not the number of
// routes before it.
class Reachability {
 public:
  // Adds the next route in file order. Returns the first earlier one that covers it, if any.
  std::optional<uint32_t> add(const proxy::Route& route);

 private:
  struct Earlier {
    uint32_t index;
    http::MethodSet methods;
  };
  // Those of one path or pattern: the conditions on the way from the root, in order, are what the
  // routes of a node ask for beside their methods.
  struct Tree {
    std::vector<Earlier> routes;
    std::map<proxy::Condition, std::unique_ptr<Tree>> below;
  };
  using Taken = std::unordered_map<std::string, Tree>;
  static void put(Tree& tree, const proxy::Conditions& conditions, uint32_t index);
  static void look(const Tree& tree, const proxy::Conditions& narrower, size_t from,
                   std::optional<uint32_t>& first);
  std::optional<uint32_t> cover(const proxy::Route& route) const;

  Taken exact_;
  Taken segments_;
  Taken prefixes_;
  Taken patterns_;
  uint32_t next_ = 0;
};

}  // namespace weir::config
