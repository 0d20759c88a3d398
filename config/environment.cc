#include "config/environment.h"

#include <pwd.h>

#include <cstdlib>
#include <fstream>
#include <memory>

#include "base/cpus.h"
#include "config/files.h"

namespace weir::config {

namespace {

uint64_t kernel_backlog_max() {
  std::ifstream file("/proc/sys/net/core/somaxconn");
  uint64_t value = 0;
  return file >> value ? value : UINT64_MAX;
}

}  // namespace

Environment system_environment(upstream::StateRegistry& states, proxy::Labels& labels) {
  const char* servers = std::getenv("WEIR_DNS_SERVERS");
  const auto watcher = std::make_shared<upstream::NameWatcher>(servers == nullptr ? "" : servers);
  const auto srv = std::make_shared<upstream::SrvWatcher>(servers == nullptr ? "" : servers);
  return {
      .states = states,
      .labels = labels,
      .variable = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) return std::nullopt;
        return std::string(value);
      },
      .file = read_regular_file,
      .member_file = read_regular_file,
      .glob = glob_files,
      .folder_exists = folder_exists,
      .files_root = proxy::files::Root::open,
      .watch_names = [watcher](const auto& watches) { return watcher->watch(watches); },
      .srv_list = [srv](const auto& name, uint64_t wait_ms) { return srv->list(name, wait_ms); },
      .srv_version = [srv](const auto& name) { return srv->version(name); },
      .keep_srv = [srv](const auto& names) { srv->keep(names); },
      .cpus = usable_cpus,
      .user_exists = [](const std::string& name) { return getpwnam(name.c_str()) != nullptr; },
      .backlog_max = kernel_backlog_max,
  };
}

}  // namespace weir::config
