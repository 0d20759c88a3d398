// A folder whose content is served, and what is opened below it: the kernel itself sees to it that
// no path leads out (openat2 with RESOLVE_BENEATH), whatever it is made of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/error.h"

namespace weir::proxy::files {

// An open descriptor, closed with it. Any thread.
class OpenFile {
 public:
  OpenFile() = default;
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(OpenFile&& other) noexcept { *this = std::move(other); }
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile();
  int fd() const { return fd_; }

  // As they were when it was opened. Times are of Unix, in nanoseconds.
  uint64_t size_bytes = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;  // of its inode: nobody sets it at will

 private:
  int fd_ = -1;
};

enum class Opened : uint8_t {
  kFile,
  kFolder,
  kMissing,    // or out of reach: beyond the folder, behind a link, a device, a FIFO
  kForbidden,  // not for weir's user
  kFull,       // no descriptor is left
  kUncached,   // the disk would have to be asked
  kFailed,     // the disk has failed
};

// Owner: the snapshot, shared by routes. Immutable; any thread.
class Root {
 public:
  // Follows links in `path` itself, once. Fails where there is no such folder, or a kernel that
  // cannot keep look-ups below it.
  static Result<std::shared_ptr<const Root>> open(const std::string& path, bool follows_links);

  const std::string& path() const { return path_; }
  bool follows_links() const { return follows_links_; }
  // `name` is relative, with a NUL at its end; empty: the folder itself. Without `may_wait` it is
  // opened only if the kernel knows it already (kUncached else, on kernels that can tell).
  Opened open_below(const char* name, bool may_wait, OpenFile& out) const;

 private:
  Root(std::string path, OpenFile folder, bool follows_links);

  const std::string path_;
  const OpenFile folder_;
  const bool follows_links_;
  bool can_tell_cached_ = false;
};

}  // namespace weir::proxy::files
