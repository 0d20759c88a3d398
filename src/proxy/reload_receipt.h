// What became of one attempt to load the configuration. Immutable once it is published; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/outline.h"

namespace weir::proxy {

struct ReloadReceipt {
  uint64_t number = 0;  // of attempts in this process; the start is 1
  // The last request for a reload (StatusSource::request_reload()) that this one answers; 0 = none.
  uint64_t ticket = 0;
  uint64_t ended_unix_ms = 0;
  uint64_t took_ms = 0;
  const char* cause = "";                // "start", "signal", "admin"
  std::vector<std::string> errors = {};  // lines; empty when the configuration is in force
  std::vector<std::string> warnings = {};
  Changes changes = {};  // all empty for the start and for a failure

  bool ok() const { return errors.empty(); }
};

}  // namespace weir::proxy
