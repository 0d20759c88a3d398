// What the kernel says of this process, for the process_* metrics. Any thread; reads /proc.
#pragma once

#include <cstdint>

namespace weir::admin {

struct ProcessStats {
  uint64_t resident_bytes = 0;
  uint64_t open_fds = 0;
  double cpu_seconds = 0;
  double start_unix_seconds = 0;
};

// Zero for what cannot be read (no /proc).
ProcessStats read_process_stats();

}  // namespace weir::admin
