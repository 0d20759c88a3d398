// How many CPUs this process may use: what `workers: auto` means.
#pragma once

#include <cstdint>
#include <string>

namespace weir {

// The CPU quota of the process's cgroup (v2 cpu.max, v1 cpu.cfs_quota_us) and of all its parents,
// rounded up to whole CPUs; 0 when there is none. `root` stands before /proc and /sys.
uint32_t cgroup_cpus(const std::string& root = {});

// The smaller of the affinity mask and the quota, at least 1.
uint32_t usable_cpus();

}  // namespace weir
