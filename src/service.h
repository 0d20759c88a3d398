// What a service manager and an operator's scripts see of the process: notifications to systemd
// (sd_notify(3), sd_watchdog_enabled(3)) and the pid file. Main thread only.
#pragma once

#include <cstdint>
#include <string>

namespace weir {

// Does nothing where no manager asked for it (no $NOTIFY_SOCKET).
class ServiceManager {
 public:
  ServiceManager();  // reads the environment
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  void ready() { notify("READY=1"); }
  void reloading();
  void stopping() { notify("STOPPING=1"); }
  void alive() { notify("WATCHDOG=1"); }
  // How often alive() is due: half of what the manager allows; 0 = it does not watch.
  uint64_t watchdog_ms() const { return watchdog_ms_; }

 private:
  void notify(const std::string& state);

  int fd_ = -1;
  uint64_t watchdog_ms_ = 0;
};

// The file holds the process's id, and is locked, from write() to the end of this object. Written
// before privileges are dropped; where its folder then forbids removing it, it is left empty.
class PidFile {
 public:
  PidFile() = default;
  ~PidFile();
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  // Empty: done. Else why not: another process that lives holds the file, for one.
  std::string write(const std::string& path);
  void remove();  // idempotent

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace weir
