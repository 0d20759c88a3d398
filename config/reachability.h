// Which routes no request can reach, because an earlier route of the site takes all their requests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/snapshot.h"

namespace weir::config {

// Only what one earlier route covers alone is found, and of patterns only the same one written
// twice. The cost of a route is the length of its path and the number of earlier ones with
// conditions on the same paths, not the number of routes before it.
class Reachability {
 public:
  // Adds the next route in file order. Returns the first earlier one that covers it, if any.
  std::optional<uint32_t> add(const proxy::Route& route);

 private:
  struct Earlier {
    uint32_t index;
    proxy::Conditions conditions;
  };
  using Taken = std::unordered_map<std::string, std::vector<Earlier>>;  // by path or pattern
  std::optional<uint32_t> cover(const proxy::Route& route) const;

  Taken exact_;
  Taken segments_;
  Taken prefixes_;
  Taken patterns_;
  uint32_t next_ = 0;
};

}  // namespace weir::config
