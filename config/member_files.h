// The files of members (upstreams.*.servers_file) as they were when they were last good: a broken
// one, or one that is gone, changes nothing. One per process; config thread only.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "upstream/cluster.h"

namespace weir::config {

class MemberFiles {
 public:
  struct File {
    std::string seen;                       // what it held when it was last read; good or bad
    std::vector<upstream::Server> servers;  // of the last good content, without states
    std::string error;                      // why `seen` is no good; empty: it is
  };

  // By upstream and path: another file's members are no stand-in.
  File& of(const std::string& upstream, const std::string& path) {
    return files_[{upstream, path}];
  }

 private:
  std::map<std::pair<std::string, std::string>, File> files_;
};

}  // namespace weir::config
