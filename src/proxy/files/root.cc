#include "proxy/files/root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir::proxy::files {

namespace {

constexpr int64_t kNsPerS = 1'000'000'000;
// A look-up that races with a rename has to be made again.
constexpr int kRacesMax = 8;

// glibc has no wrapper.
int openat2(int folder, const char* name, uint64_t flags, uint64_t resolve) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve;
  return static_cast<int>(syscall(SYS_openat2, folder, name, &how, sizeof(how)));
}

int64_t ns_of(const timespec& time) { return time.tv_sec * kNsPerS + time.tv_nsec; }

Opened why_not(int error) {
  switch (error) {
    case EACCES:
    case EPERM: return Opened::kForbidden;
    case EMFILE:
    case ENFILE:
    case ENOMEM: return Opened::kFull;
    case ENOENT:
    case ENOTDIR:
    case ELOOP:   // a link
    case EXDEV:   // beyond the folder
    case ENXIO:   // a socket
    case ENODEV:  // a device
    case ENAMETOOLONG:
    case EINVAL: return Opened::kMissing;  // a name that this file system has none of
    default: return Opened::kFailed;
  }
}

}  // namespace

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  size_bytes = other.size_bytes;
  modified_ns = other.modified_ns;
  changed_ns = other.changed_ns;
  return *this;
}

OpenFile::~OpenFile() {
  if (fd_ >= 0) close(fd_);
}

Root::Root(std::string path, OpenFile folder, bool follows_links)
    : path_(std::move(path)), folder_(std::move(folder)), follows_links_(follows_links) {
  const OpenFile trial(openat2(folder_.fd(), ".", O_PATH, RESOLVE_BENEATH | RESOLVE_CACHED));
  can_tell_cached_ = trial.fd() >= 0 || errno == EAGAIN;
}

Result<std::shared_ptr<const Root>> Root::open(const std::string& path, bool follows_links) {
  using Out = Result<std::shared_ptr<const Root>>;
  OpenFile folder(openat2(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY, 0));
  if (folder.fd() < 0) {
    // A sandbox that does not know the call says EPERM.
    const bool unknown = errno == ENOSYS || errno == EPERM;
    return Out::failure(unknown ? "the kernel, or a sandbox, has no openat2 (Linux 5.6)"
                                : std::strerror(errno));
  }
  const OpenFile below(openat2(folder.fd(), ".", O_PATH, RESOLVE_BENEATH));
  if (below.fd() < 0) return Out::failure(std::strerror(errno));
  return std::shared_ptr<const Root>(new Root(path, std::move(folder), follows_links));
}

Opened Root::open_below(const char* name, bool may_wait, OpenFile& out) const {
  uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  if (!follows_links_) resolve |= RESOLVE_NO_SYMLINKS;
  const bool cached_only = !may_wait && can_tell_cached_;
  if (cached_only) resolve |= RESOLVE_CACHED;
  // Non-blocking: a FIFO must not wait for its writer.
  constexpr uint64_t kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
  int fd = -1;
  for (int i = 0; i < kRacesMax; ++i) {
    fd = openat2(folder_.fd(), *name == '\0' ? "." : name, kFlags, resolve);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
    if (cached_only) return Opened::kUncached;
  }
  if (fd < 0) return why_not(errno);
  out = OpenFile(fd);
  struct stat about = {};
  if (fstat(fd, &about) != 0) return Opened::kFailed;
  out.size_bytes = static_cast<uint64_t>(about.st_size);
  out.modified_ns = ns_of(about.st_mtim);
  out.changed_ns = ns_of(about.st_ctim);
  if (S_ISREG(about.st_mode)) return Opened::kFile;
  return S_ISDIR(about.st_mode) ? Opened::kFolder : Opened::kMissing;
}

}  // namespace weir::proxy::files
