// A configuration file to a snapshot. Validates whole: either there is a snapshot, or there are
// errors, each with its place in the file. Blocking (files, DNS): never on a worker's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/environment.h"
#include "filters/cache/store_options.h"
#include "proxy/outline.h"
#include "proxy/snapshot.h"

namespace weir::config {

struct Source;

struct LoadResult {
  std::shared_ptr<const proxy::Snapshot> snapshot;  // null when there are errors
  std::vector<std::string> errors;                  // lines, in order of position
  std::vector<std::string> warnings;
  std::shared_ptr<const proxy::ConfigDescription> description;  // null when there are errors
  // For rebuild(); null when no upstream has a servers_file or srv.
  std::shared_ptr<const Source> source;
  std::vector<MemberFile> member_files = {};  // of each servers_file
  // Of each srv, with the version of its records that the snapshot has.
  std::vector<std::pair<upstream::SrvName, uint64_t>> srv_names = {};
  // For put_cache_in_force(); nothing: no route uses it.
  std::optional<filters::cache::StoreOptions> cache = {};

  bool ok() const { return snapshot != nullptr; }
};

LoadResult load(const std::string& path, const Environment& environment);
// `file` is only the name that messages carry.
LoadResult load_text(std::string_view text, const std::string& file,
                     const Environment& environment);

// Where the admin of that file listens; empty: it has none. Nothing else of it is judged, read or
// looked up: for probes.
Result<std::string> admin_address(const std::string& path, const Environment& environment);

// The same configuration with the members that its files and SRV records name now. Nothing else is
// read again: not the configuration, which may be half edited, and none of the files, folders and
// variables that it names. Nor is the clock: a certificate that ends meanwhile is no reason to keep
// servers that are gone. Without a description.
LoadResult rebuild(const std::shared_ptr<const Source>& source, const Environment& environment);

// Once nothing can refuse `next` any more, and before a worker gets its snapshot: the process's
// store is there, with the bound that `next` says. `before` is what is in force, null at the start:
// where one of both has no cache, all that is kept is purged, for nobody heard of writes and purges
// meanwhile. Config thread.
void put_cache_in_force(const LoadResult& next, const proxy::Snapshot* before);

}  // namespace weir::config
