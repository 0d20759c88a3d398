// A configuration file to a snapshot. Validates whole: either there is a snapshot, or there are
// errors, each with its place in the file. Blocking (files, DNS): never on a worker's thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/environment.h"
#include "proxy/outline.h"
#include "proxy/snapshot.h"

namespace weir::config {

struct LoadResult {
  std::shared_ptr<const proxy::Snapshot> snapshot;  // null when there are errors
  std::vector<std::string> errors;                  // lines, in order of position
  std::vector<std::string> warnings;
  std::shared_ptr<const proxy::ConfigDescription> description;  // null when there are errors

  bool ok() const { return snapshot != nullptr; }
};

LoadResult load(const std::string& path, const Environment& environment);
// `file` is only the name that messages carry.
LoadResult load_text(std::string_view text, const std::string& file,
                     const Environment& environment);

}  // namespace weir::config
