// Any text, with any files that it includes, loads into a snapshot or into errors, never into a
// crash; what loaded can be matched. The input is the main file and, each behind a line that is
// only
// "#####", the included files a.yaml, b.yaml and c.yaml.
#include <fnmatch.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.h"

namespace {

using Files = std::map<std::string, std::string, std::less<>>;

Files split(std::string_view input) {
  constexpr std::string_view kBorder = "\n#####\n";
  Files files;
  for (const char* name : {"fuzz.yaml", "a.yaml", "b.yaml", "c.yaml"}) {
    const size_t end = input.find(kBorder);
    files.emplace(name, input.substr(0, end));
    if (end == std::string_view::npos) break;
    input.remove_prefix(end + kBorder.size());
  }
  return files;
}

// Nothing of the machine: no variables but these, no files but these, no name servers.
weir::config::Environment environment(weir::upstream::StateRegistry& states,
                                      weir::proxy::Labels& labels, const Files& files) {
  return {
      .states = states,
      .labels = labels,
      .variable = [](const std::string& name) -> std::optional<std::string> {
        if (name == "A") return "127.0.0.1";
        if (name == "B") return "$uri";
        return std::nullopt;
      },
      .file =
          [&files](const std::string& path, size_t) {
            if (path.starts_with('/')) return weir::Result<std::string>("secret $status\n");
            const auto found = files.find(path);
            return found == files.end() ? weir::Result<std::string>::failure("no such file")
                                        : weir::Result<std::string>(found->second);
          },
      .glob =
          [&files](const std::string& pattern) {
            std::vector<std::string> paths;
            for (const auto& [path, text] : files) {
              if (fnmatch(pattern.c_str(), path.c_str(), 0) == 0) paths.push_back(path);
            }
            return weir::Result<std::vector<std::string>>(paths);
          },
      .files_root =
          [](const std::string& path, bool follows_links) {
            return weir::proxy::files::Root::open(path.size() % 2 == 0 ? "/" : "/no such folder",
                                                  follows_links);
          },
      .watch_names =
          [](const auto& watches) {
            return std::vector<std::string>(watches.size(), "no name server");
          },
      .cpus = [] { return 2u; },
      .user_exists = [](const std::string& name) { return name == "weir"; },
  };
}

void require(bool condition) {
  if (!condition) std::abort();
}

void match_everything(const weir::proxy::Snapshot& snapshot) {
  weir::BlockPool pool;
  for (const weir::proxy::Site& site : snapshot.sites) {
    for (const uint32_t listener : site.listeners) {
      for (std::string host : site.hosts) {
        if (host == "*") host = "claimed-by-nobody.invalid";
        if (host.starts_with("*.")) host.replace(0, 1, "x");
        for (const weir::proxy::Route& route : site.routes) {
          weir::Arena arena(pool);
          weir::http::RequestHead request(arena);
          request.host = host;
          request.path = route.path;
          if (route.match == weir::proxy::PathMatch::kRegex) request.path = "/";
          const auto match = snapshot.match(listener, request, arena);
          // An exact host beats a wildcard of another site, so only that there is a site is sure;
          // and some route takes this path where it asks for nothing else, this one or an earlier
          // one.
          require(match.site != nullptr);
          const bool plain =
              route.match != weir::proxy::PathMatch::kRegex && route.conditions.empty();
          require(!plain || match.site != &site || match.route != nullptr);
        }
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weir::upstream::StateRegistry states;
  weir::proxy::Labels labels;
  const Files files = split({reinterpret_cast<const char*>(data), size});
  const weir::config::LoadResult result = weir::config::load_text(
      files.at("fuzz.yaml"), "fuzz.yaml", environment(states, labels, files));
  require(result.ok() == result.errors.empty());
  if (result.ok()) match_everything(*result.snapshot);
  return 0;
}
