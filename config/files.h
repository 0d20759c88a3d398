// The files that a configuration is made of and names: reading them, finding them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace weir::config {

// The content of a regular file (symlinks are followed), or why there is none. Never waits, as a
// FIFO would make it; larger than `max_bytes` is a failure.
Result<std::string> read_regular_file(const std::string& path, size_t max_bytes);

// The paths that match a pattern of the shell (`*`, `?`, `[...]`), sorted by bytes. A wildcard
// matches no leading dot.
Result<std::vector<std::string>> glob_files(const std::string& pattern);

// False where there is certainly no folder at `path`. Empty: the working directory.
bool folder_exists(const std::string& path);

// What makes a path a pattern.
inline constexpr std::string_view kWildcards = "*?[";
// Whether `text` holds a wildcard; if not, it names one file.
bool is_glob(std::string_view text);

// `path` as it is meant in `file`: relative to the folder of that file.
std::string path_beside(const std::string& file, const std::string& path);

}  // namespace weir::config
