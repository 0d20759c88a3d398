// Who looks after servers from outside of requests: active checks, outlier detection, panic. One
// per process, on a thread and a loop of its own, however many workers there are.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "upstream/cluster.h"

namespace weir::upstream {

class CheckLoop;

// Owner: the Daemon. Its results are in EndpointState and ClusterState.
class Checker {
 public:
  Checker() = default;
  ~Checker();  // ends the thread
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // From now on these clusters. Checks that ask the same of the same server as before go on as if
  // nothing had happened. The thread starts with the first cluster that wants something of it. One
  // caller at a time.
  void watch(std::vector<std::shared_ptr<const Cluster>> clusters);

 private:
  CheckLoop* loop_ = nullptr;  // the thread's; from start to join
  std::thread thread_;
};

}  // namespace weir::upstream
