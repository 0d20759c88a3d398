#include "upstream/tried.h"

#include <algorithm>

namespace weir::upstream {

void TriedServers::add(const Server& server) {
  auto end = servers_.begin() + count_;
  auto gone = std::find(servers_.begin(), end, &server);
  if (gone == end && count_ < servers_.size()) {
    servers_[count_++] = &server;
    return;
  }
  if (gone == end) gone = servers_.begin();
  std::move(gone + 1, end, gone);
  *(end - 1) = &server;
}

void TriedServers::add_excused(const Server& server) {
  const auto end = servers_.begin() + count_;
  const auto at = std::find(servers_.begin(), end, &server);
  if (at == end) {
    if (count_ == servers_.size()) return;  // no harm in asking it again
    ++count_;
  }
  std::move_backward(servers_.begin(), at, at + 1);
  servers_.front() = &server;
}

}  // namespace weir::upstream
