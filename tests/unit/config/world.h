// A world for the config loader: variables, files and names that a test chose.
#pragma once

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/environment.h"
#include "config/load.h"

namespace weir::test {

struct World {
  std::map<std::string, std::string> variables;
  std::map<std::string, std::string> files;
  std::vector<upstream::NameWatch> watched;  // names, in order
  upstream::StateRegistry states;
  proxy::Labels labels;

  config::Environment environment() {
    return {
        .states = states,
        .labels = labels,
        .variable = [this](const std::string& name) -> std::optional<std::string> {
          const auto found = variables.find(name);
          if (found == variables.end()) return std::nullopt;
          return found->second;
        },
        .file = [this](const std::string& path, size_t) -> Result<std::string> {
          const auto found = files.find(path);
          if (found == files.end())
            return Result<std::string>::failure("No such file or directory");
          return found->second;
        },
        .glob = [this](const std::string& pattern) -> Result<std::vector<std::string>> {
          std::vector<std::string> paths;
          for (const auto& [path, text] : files) {
            const int flags = FNM_PATHNAME | FNM_PERIOD;
            if (fnmatch(pattern.c_str(), path.c_str(), flags) == 0) paths.push_back(path);
          }
          return paths;
        },
        .folder_exists =
            [this](const std::string& path) {
              return std::any_of(files.begin(), files.end(),
                                 [&](const auto& file) { return file.first.starts_with(path); });
            },
        // /srv is there, whatever is below.
        .files_root =
            [](const std::string& path, bool follows_links) {
              const bool known = path.starts_with("/srv/");
              return proxy::files::Root::open(known ? "/" : "/no such folder", follows_links);
            },
        // Names end in .test, or do not resolve.
        .watch_names = [this](const auto& watches) { return watch(watches); },
        .srv_list =
            [](const upstream::SrvName&, uint64_t) {
              return upstream::SrvList{{{1, "127.0.0.1", 80, 1}}, "", 1};
            },
        .cpus = [] { return 6u; },
        .user_exists = [](const std::string& name) { return name == "weir"; },
        .backlog_max = [] { return uint64_t{4096}; },
    };
  }

  config::LoadResult load(std::string_view text) {
    return config::load_text(text, "weir.yaml", environment());
  }

 private:
  std::vector<std::string> watch(const std::vector<upstream::NameWatch>& watches) {
    std::vector<std::string> reasons;
    for (const upstream::NameWatch& one : watches) {
      watched.push_back(one);
      const bool known = one.host.ends_with(".test");
      reasons.emplace_back(known ? "" : "unknown name");
      if (!known) continue;
      const std::string port = std::to_string(one.port);
      one.state->set_addresses({net::parse_address("192.0.2.1:" + port).value()});
    }
    return reasons;
  }
};

// Wraps pieces into an otherwise valid file whose first lines are fixed.
inline std::string with_route(std::string_view route) {
  return "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
         "upstreams: {app: {servers: [{address: \"127.0.0.1:3000\"}]}}\n"
         "sites:\n"
         "  - hosts: [example.com]\n"
         "    routes:\n"
         "      - " +
         std::string(route) + "\n";
}

inline std::string with_top(std::string_view section) {
  return with_route("{path: /, upstream: app}") + std::string(section) + "\n";
}

}  // namespace weir::test
