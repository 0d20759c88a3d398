// Asks a snapshot for a bare GET, as a worker would.
#pragma once

#include <string_view>

#include "proxy/snapshot.h"

namespace weir::test {

// Of the answer, only `path` is gone when this returns.
inline proxy::Snapshot::Match match(const proxy::Snapshot& snapshot, uint32_t listener,
                                    std::string_view host, std::string_view path) {
  BlockPool pool;
  Arena arena(pool);
  http::RequestHead request(arena);
  request.host = host;
  request.path = path;
  proxy::Snapshot::Match found = snapshot.match(listener, request, arena);
  found.path = {};
  return found;
}

}  // namespace weir::test
