#include "base/cpus.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string_view>

#include "base/strings.h"

namespace weir {

namespace {

// The first line; empty when there is no such file.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

uint32_t rounded_up(uint64_t quota_us, uint64_t period_us) {
  if (quota_us == 0 || period_us == 0) return 0;
  const uint64_t cpus = quota_us / period_us + (quota_us % period_us != 0 ? 1 : 0);
  return static_cast<uint32_t>(std::min<uint64_t>(cpus, UINT32_MAX));
}

// "200000 100000" or "max 100000"; 0 = no quota.
uint32_t quota_v2(const std::string& folder) {
  const std::string line = first_line(folder + "/cpu.max");
  const size_t space = std::min(line.find(' '), line.size());
  uint64_t quota_us = 0;
  uint64_t period_us = 100'000;
  if (!parse_u64(std::string_view(line).substr(0, space), quota_us)) return 0;
  if (space < line.size() && !parse_u64(std::string_view(line).substr(space + 1), period_us)) {
    return 0;
  }
  return rounded_up(quota_us, period_us);
}

// A quota of -1 means none.
uint32_t quota_v1(const std::string& folder) {
  uint64_t quota_us = 0;
  uint64_t period_us = 0;
  if (!parse_u64(first_line(folder + "/cpu.cfs_quota_us"), quota_us) ||
      !parse_u64(first_line(folder + "/cpu.cfs_period_us"), period_us)) {
    return 0;
  }
  return rounded_up(quota_us, period_us);
}

// The tightest quota from `group` up to the root of the hierarchy at `mount`. A parent's quota
// binds its children; in a container the own group is often mounted as the root itself.
uint32_t tightest(const std::string& mount, std::string group,
                  uint32_t (*quota)(const std::string&)) {
  uint32_t least = 0;
  while (true) {
    const uint32_t cpus = quota(mount + group);
    if (cpus != 0 && (least == 0 || cpus < least)) least = cpus;
    if (group.empty()) return least;
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

bool names_cpu(std::string_view controllers) {
  bool found = false;
  for_each_list_item(controllers, [&](std::string_view item) { found |= item == "cpu"; });
  return found;
}

uint32_t affinity_cpus() {
  // The kernel's mask may be wider than cpu_set_t: grow until it fits.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(cpus),
                                                               [](cpu_set_t* at) { CPU_FREE(at); });
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    if (set != nullptr && sched_getaffinity(0, bytes, set.get()) == 0) {
      return static_cast<uint32_t>(CPU_COUNT_S(bytes, set.get()));
    }
  }
  return static_cast<uint32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

uint32_t cgroup_cpus(const std::string& root) {
  std::ifstream groups(root + "/proc/self/cgroup");
  uint32_t least = 0;
  const auto consider = [&least](uint32_t cpus) {
    if (cpus != 0 && (least == 0 || cpus < least)) least = cpus;
  };
  for (std::string line; std::getline(groups, line);) {
    // "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1)
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    if (controllers.empty()) {
      consider(tightest(root + "/sys/fs/cgroup", group, quota_v2));
    } else if (names_cpu(controllers)) {
      consider(tightest(root + "/sys/fs/cgroup/cpu", group, quota_v1));
      consider(tightest(root + "/sys/fs/cgroup/" + controllers, group, quota_v1));
    }
  }
  return least;
}

uint32_t usable_cpus() {
  const uint32_t allowed = std::max<uint32_t>(1, affinity_cpus());
  const uint32_t quota = cgroup_cpus();
  return quota == 0 ? allowed : std::min(allowed, quota);
}

}  // namespace weir
