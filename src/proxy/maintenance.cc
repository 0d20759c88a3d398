#include "proxy/maintenance.h"

#include <sys/stat.h>

#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/log.h"

namespace weir::proxy {

namespace {

std::shared_ptr<std::atomic<bool>> switch_of(const std::string& name) {
  static std::mutex mutex;
  static std::unordered_map<std::string, std::weak_ptr<std::atomic<bool>>> by_name;
  const std::lock_guard lock(mutex);
  std::erase_if(by_name, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<std::atomic<bool>>& known = by_name[name];
  std::shared_ptr<std::atomic<bool>> found = known.lock();
  if (found == nullptr) known = found = std::make_shared<std::atomic<bool>>(false);
  return found;
}

}  // namespace

Maintenance::Maintenance(std::string name, std::string file, uint64_t retry_after_s)
    : name_(std::move(name)),
      file_(std::move(file)),
      retry_after_s_(retry_after_s),
      by_admin_(switch_of(name_)) {}

bool Maintenance::look() {
  if (file_.empty()) return false;
  struct stat found = {};
  const bool there = stat(file_.c_str(), &found) == 0;
  return by_file_.exchange(there, std::memory_order_relaxed) != there;
}

void look_at_maintenance_files(const Maintenances& all) {
  for (const auto& one : all) {
    if (!one->look()) continue;
    if (one->by_file()) {
      log_warn("maintenance of {}: on, {} is there", one->name(), one->file());
    } else {
      log_info("maintenance of {}: {} is gone{}", one->name(), one->file(),
               one->is_on() ? ", still on by the admin" : ", off");
    }
  }
}

void begin_maintenances(const Maintenances& before, const Maintenances& now) {
  std::unordered_map<std::string, bool> known;
  for (const auto& one : before) known[one->name()] |= one->is_on();
  for (const auto& one : now) {
    const auto same = known.find(one->name());
    if (same == known.end()) one->set_by_admin(false);
    one->look();
    if (one->is_on() && (same == known.end() || !same->second)) {
      log_warn("maintenance of {}: on, {} is there", one->name(), one->file());
    }
  }
}

}  // namespace weir::proxy
