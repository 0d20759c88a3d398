// Where the main thread, which reloads, and the admin thread, which asks for it and tells of it,
// meet. Owned by the Daemon.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "config/load.h"
#include "proxy/outline.h"
#include "proxy/reload_receipt.h"

namespace weir {

class ReloadDesk {
 public:
  // Any thread. What they mean: StatusSource.
  uint64_t request();
  std::shared_ptr<const proxy::ReloadReceipt> receipt() const;
  std::shared_ptr<const proxy::ConfigDescription> description() const;

  // Main thread.
  bool has_requests() const;
  // Before the file is read: requests that come later want another reload.
  void begin(const char* cause);
  // `loaded` with all that went wrong, after the load as well, in its errors: without any, it is
  // the configuration in force.
  void end(const config::LoadResult& loaded);

 private:
  // Main thread: of the attempt under way, or the last one.
  const char* cause_ = "";
  uint64_t began_ms_ = 0;
  uint64_t ticket_ = 0;
  uint64_t attempts_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  uint64_t requests_ = 0;
  std::shared_ptr<const proxy::ReloadReceipt> receipt_;
  std::shared_ptr<const proxy::ConfigDescription> description_;
};

}  // namespace weir
