// What the admin pages read of a running process. Implemented by the composition root
// (src/daemon.*); admin/ knows no worker. Every method may be called from the admin worker's
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/metrics.h"
#include "proxy/outline.h"
#include "proxy/reload_receipt.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

class ProxyWorker;

struct ReloadStats {
  uint64_t succeeded = 0;
  uint64_t failed = 0;
  uint64_t last_unix_s = 0;  // of the last successful load, the first one included
  uint64_t snapshots = 0;    // in memory: the one in force, and those that requests still use
};

class StatusSource {
 public:
  virtual ~StatusSource() = default;
  virtual std::vector<Metrics*> worker_metrics() = 0;  // one per proxy worker; live until the end
  virtual std::shared_ptr<const Snapshot> snapshot() = 0;  // the current one
  // Where the listeners of `snapshot` really listen, in its order; empty when it is not the current
  // one any more.
  virtual std::vector<net::SocketAddress> bound_listeners(const Snapshot& snapshot) = 0;
  virtual std::vector<std::shared_ptr<upstream::EndpointState>> endpoints() = 0;
  virtual ReloadStats reloads() = 0;
  // Of the last attempt, the start included; null before it.
  virtual std::shared_ptr<const ReloadReceipt> reload_receipt() = 0;
  // Asks for a reload and returns at once. It is over when the last receipt's ticket is the
  // returned one or a later one: several requests may be answered by one reload. Not while
  // draining(): then nothing comes of it.
  virtual uint64_t request_reload() = 0;
  // Of the configuration in force; null before the first one.
  virtual std::shared_ptr<const ConfigDescription> description() = 0;
  virtual uint64_t uptime_s() = 0;
  virtual bool draining() = 0;
  virtual uint64_t log_dropped_lines() = 0;  // by the writer; workers count their own
  // Runs `work` on a worker that serves clients, soon. False: they are ending.
  virtual bool post(std::function<void(ProxyWorker&)> work) = 0;
};

}  // namespace weir::proxy
