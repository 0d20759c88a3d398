#include "config/files.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace weir::config {

namespace {

class File {
 public:
  // Non-blocking: opening a FIFO must not wait for a writer.
  explicit File(const char* path) : descriptor_(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

std::string size_text(size_t bytes) {
  const bool whole_mib = bytes >> 20 != 0;
  return std::to_string(whole_mib ? bytes >> 20 : bytes >> 10) + (whole_mib ? " MiB" : " KiB");
}

}  // namespace

Result<std::string> read_regular_file(const std::string& path, size_t max_bytes) {
  using Out = Result<std::string>;
  const File file(path.c_str());
  if (file.descriptor() < 0) return Out::failure(std::strerror(errno));
  struct stat about = {};
  if (fstat(file.descriptor(), &about) != 0) return Out::failure(std::strerror(errno));
  if (!S_ISREG(about.st_mode)) return Out::failure("not a regular file");
  std::string content;
  char chunk[16384];
  while (content.size() <= max_bytes) {
    const ssize_t got = read(file.descriptor(), chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Out::failure(std::strerror(errno));
    if (got == 0) return content;
    content.append(chunk, static_cast<size_t>(got));
  }
  return Out::failure("larger than " + size_text(max_bytes));
}

Result<std::vector<std::string>> glob_files(const std::string& pattern) {
  using Out = Result<std::vector<std::string>>;
  // A folder that is not there holds no files; one that may not be read could hold some.
  const auto go_on = [](const char*, int error) { return error == ENOENT ? 0 : 1; };
  glob_t found = {};
  const int status = glob(pattern.c_str(), 0, go_on, &found);
  std::vector<std::string> paths;
  if (status == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  if (status == GLOB_ABORTED) return Out::failure("a folder cannot be read");
  if (status == GLOB_NOSPACE) return Out::failure("out of memory");
  return paths;
}

bool folder_exists(const std::string& path) {
  struct stat about = {};
  if (path.empty() || stat(path.c_str(), &about) == 0)
    return path.empty() || S_ISDIR(about.st_mode);
  return errno != ENOENT && errno != ENOTDIR;
}

bool is_glob(std::string_view text) {
  return text.find_first_of(kWildcards) != std::string_view::npos;
}

std::string path_beside(const std::string& file, const std::string& path) {
  const size_t slash = file.rfind('/');
  if (path.starts_with('/') || slash == std::string::npos) return path;
  return file.substr(0, slash + 1) + path;
}

}  // namespace weir::config
