// What a configuration may ask the world for. Tests and fuzzers bring their own world.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/member_files.h"
#include "proxy/files/root.h"
#include "proxy/snapshot.h"
#include "upstream/cluster.h"
#include "upstream/names.h"
#include "upstream/srv_watcher.h"

namespace weir::config {

struct Environment {
  upstream::StateRegistry& states;  // server state that outlives snapshots
  proxy::Labels& labels;            // ids of route names, for the life of the process

  std::function<std::optional<std::string>(const std::string& name)> variable;
  // The content of a regular file of at most `max_bytes`: secrets, included files, error pages.
  std::function<Result<std::string>(const std::string& path, size_t max_bytes)> file;
  // The same of a servers_file, which is read again and again. Empty: as `file`.
  std::function<Result<std::string>(const std::string& path, size_t max_bytes)> member_file = {};
  std::shared_ptr<MemberFiles> member_files = std::make_shared<MemberFiles>();
  // The files that match a pattern of the shell, sorted; none is no failure.
  std::function<Result<std::vector<std::string>>(const std::string& pattern)> glob;
  // False where there is certainly no folder.
  std::function<bool(const std::string& path)> folder_exists = [](const std::string&) {
    return true;
  };
  // A folder to serve. `follows_links`: below it, as far as they stay there.
  std::function<Result<std::shared_ptr<const proxy::files::Root>>(const std::string& path,
                                                                  bool follows_links)>
      files_root = [](const std::string&, bool) {
        return Result<std::shared_ptr<const proxy::files::Root>>::failure("there are no folders");
      };
  // Keeps the addresses of servers with a name current from now on; blocks for a bounded time until
  // they are known. For each: why it has none yet, or nothing.
  std::function<std::vector<std::string>(const std::vector<upstream::NameWatch>&)> watch_names;
  // What is known of a name's SRV records, which are kept current from now on; blocks for their
  // first answer, `wait_ms` at most.
  std::function<upstream::SrvList(const upstream::SrvName&, uint64_t wait_ms)> srv_list =
      [](const upstream::SrvName&, uint64_t) {
        return upstream::SrvList{{}, "there is no name server", 0};
      };
  // The version of what srv_list() would say now.
  std::function<uint64_t(const upstream::SrvName&)> srv_version = [](const upstream::SrvName&) {
    return uint64_t{0};
  };
  // The others are not asked for any more.
  std::function<void(const std::vector<upstream::SrvName>&)> keep_srv = [](const auto&) {};
  std::function<uint32_t()> cpus;
  std::function<bool(const std::string& name)> user_exists;
  // The kernel's cap on a listener's backlog.
  std::function<uint64_t()> backlog_max = [] { return UINT64_MAX; };
  // What the time is, in seconds since 1970: certificates end.
  std::function<int64_t()> unix_s = [] { return static_cast<int64_t>(std::time(nullptr)); };
  // Between the steps of a load, each of which may take long.
  std::function<void()> on_step = [] {};
};

// The process's own: getenv, the file system, the machine's name servers or those of
// WEIR_DNS_SERVERS. Names are watched as long as a copy of it lives.
Environment system_environment(upstream::StateRegistry& states, proxy::Labels& labels);

}  // namespace weir::config
