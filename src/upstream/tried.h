// The servers that failed one request, for its next try: which of them may be taken again is the
// Balancer's to say.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/limits.h"
#include "upstream/cluster.h"

namespace weir::upstream {

// Part of an exchange, made with its first failure. The servers are those of its snapshot.
class TriedServers {
 public:
  // Each once, who failed last at the end: it is the last to be taken again. When there is no room,
  // who failed first is forgotten.
  void add(const Server& server);
  // It failed the request for no fault of its own: the first to be taken again.
  void add_excused(const Server& server);
  void clear() { count_ = 0; }
  std::span<const Server* const> all() const { return {servers_.data(), count_}; }

 private:
  std::array<const Server*, limits::kAttemptsMax> servers_;
  size_t count_ = 0;
};

}  // namespace weir::upstream
