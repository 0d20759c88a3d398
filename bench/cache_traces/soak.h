// What the store's memory does when much more than fits goes through it.
#pragma once

#include <cstdint>

namespace weir::bench {

// Prints a line per phase: what was resident, used, and the longest insert.
void run_soak(uint64_t gigabytes);

}  // namespace weir::bench
