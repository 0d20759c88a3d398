// The files of members (upstreams.*.servers_file) as they were when they were last good: a broken
// one, or one that is gone, changes nothing. One per process; config thread only.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "upstream/cluster.h"

namespace weir::config {

// What one load has read: a load that fails has seen a change that is still to be followed.
struct MemberFile {
  std::string upstream;
  std::string path;
  std::string seen;  // good or bad; empty where there is no file
};

class MemberFiles {
 public:
  struct File {
    std::vector<upstream::Server> servers;  // of the last good content, without states
    std::string error;                      // why what was read last is no good; empty: it is
  };

  // By upstream and path: another file's members are no stand-in.
  File& of(const std::string& upstream, const std::string& path) {
    return files_[{upstream, path}];
  }

 private:
  std::map<std::pair<std::string, std::string>, File> files_;
};

}  // namespace weir::config
