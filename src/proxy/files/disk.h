// The threads that wait for disks, so that no worker does.
#pragma once

#include <cstdint>

#include "net/helpers.h"

namespace weir::proxy::files {

// How long one look-up, or the reading of one piece, may take. Over: 503, or a cut.
inline constexpr uint64_t kDiskMs = 30'000;

// The process's; started by the first errand. Where too many errands wait already, the worker does
// the work itself, and its other requests wait meanwhile.
net::Helpers& disk_threads();

}  // namespace weir::proxy::files
