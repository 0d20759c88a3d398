// A site or route that can be closed for a while: by a file that is there, or by an operator at the
// admin listener. Workers read two atomics; nobody asks the disk while a request waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir::proxy {

// What one `maintenance` of the configuration says. Owned by the snapshot and the filters of its
// routes; any thread, but look(), which is for the main thread.
class Maintenance {
 public:
  Maintenance(std::string name, std::string file, uint64_t retry_after_s);

  bool is_on() const { return by_file() || by_admin(); }
  bool by_file() const { return by_file_.load(std::memory_order_relaxed); }
  bool by_admin() const { return by_admin_->load(std::memory_order_relaxed); }
  const std::string& name() const { return name_; }
  const std::string& file() const { return file_; }  // empty: none
  uint64_t retry_after_s() const { return retry_after_s_; }

  // Of all that have the name, also in configurations to come, until one lacks it.
  void set_by_admin(bool on) { by_admin_->store(on, std::memory_order_relaxed); }
  // Whether the file is there. True when that has changed.
  bool look();

 private:
  const std::string name_;
  const std::string file_;
  const uint64_t retry_after_s_;
  std::atomic<bool> by_file_{false};
  const std::shared_ptr<std::atomic<bool>> by_admin_;  // shared by all of the name
};

using Maintenances = std::vector<std::shared_ptr<Maintenance>>;

// Looks at all files; logs what has changed. Main thread.
void look_at_maintenance_files(const Maintenances& all);
// A configuration is about to be in force: files are looked at before its first request comes, and
// what `before` did not name is not closed by the admin yet. Main thread.
void begin_maintenances(const Maintenances& before, const Maintenances& now);

}  // namespace weir::proxy
