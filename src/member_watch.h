// Notices when a file of members (upstreams.*.servers_file) or the SRV records of a name
// (upstreams.*.srv, which an upstream::SrvWatcher asks for) say something else. By looking at it
// once a second: what takes a file's place (a rename, the symlinks of a Kubernetes ConfigMap, a
// mount) is seen alike, and nothing is missed. Owned by the Daemon; main thread.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "config/environment.h"
#include "config/member_files.h"
#include "proxy/snapshot.h"

namespace weir {

class MemberWatch {
 public:
  using SrvNames = std::vector<std::pair<upstream::SrvName, uint64_t>>;  // with what is known

  // From now on these, as what is in force has seen them; the others no more. None: next_ms() is
  // never.
  void watch(const std::vector<config::MemberFile>& files, SrvNames names);
  // What look() has told of could not be taken over: it tells it again, later each time. In ms.
  uint64_t put_off();
  uint64_t next_ms() const { return next_ms_; }
  // REQUIRES: next_ms() is over. True: some name has other records, or some file differs from what
  // was seen of it, and has been left alone for a moment (a writer that does not rename is not read
  // in the middle), or it was put off.
  bool look(uint64_t now_ms, const config::Environment& environment);

 private:
  struct Watched {
    config::MemberFile file;
    struct stat stamp = {};       // of the last look; all 0 where there is no file
    uint64_t moving_from_ms = 0;  // since when it may differ from what was read; 0: it does not
  };

  std::vector<Watched> files_;
  SrvNames names_;
  uint64_t next_ms_ = UINT64_MAX;
  uint32_t put_off_ = 0;  // so many times
};

// Logs and counts, upstream by upstream, who came, who left and whose keys are others.
void tell_of_members(const proxy::Snapshot& before, const proxy::Snapshot& now);
// To /health: whether what the members of these upstreams are now could not be taken over; that is
// counted, too.
void mark_members(const proxy::Snapshot& snapshot, bool stuck);

}  // namespace weir
