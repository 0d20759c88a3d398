#include "net/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace weir::net {

void raise_open_files_limit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t open_files_limit() {
  rlimit limit = {};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

uint64_t descriptors_for_clients() {
  constexpr uint64_t kReserveMax = 1024;
  const uint64_t limit = open_files_limit();
  return limit - std::min(limit / 4, kReserveMax);
}

}  // namespace weir::net
