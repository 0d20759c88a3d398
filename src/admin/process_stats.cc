#include "admin/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <sstream>
#include <string>

namespace weir::admin {
namespace {

double seconds_of(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t size_pages = 0;
  uint64_t resident_pages = 0;
  if (!(statm >> size_pages >> resident_pages)) return 0;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t open_fds() {
  // Not opendir(): the thread sanitizer does not see it take a descriptor, and calls its closing a
  // race with whoever had that number before.
  const int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return 0;
  DIR* const folder = fdopendir(fd);
  if (folder == nullptr) {
    close(fd);
    return 0;
  }
  uint64_t entries = 0;
  while (readdir(folder) != nullptr) ++entries;
  closedir(folder);
  return entries - 3;  // ".", ".." and the folder's own
}

// Field 22 of /proc/self/stat (proc(5)) counts clock ticks from boot.
double start_unix_seconds() {
  constexpr int kFieldsBefore = 19;  // between the ")" that ends field 2 and field 22
  std::ifstream stat("/proc/self/stat");
  std::string text;
  std::getline(stat, text);
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < kFieldsBefore; ++i) fields >> skipped;
  double start_ticks = 0;
  if (!(fields >> start_ticks)) return 0;
  const double since_boot = start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  return seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) + since_boot;
}

}  // namespace

ProcessStats read_process_stats() {
  static const double kStart = start_unix_seconds();  // once: it must not move with the wall clock
  return {resident_bytes(), open_fds(), seconds_of(CLOCK_PROCESS_CPUTIME_ID), kStart};
}

}  // namespace weir::admin
