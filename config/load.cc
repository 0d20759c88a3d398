#include "config/load.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "config/build.h"
#include "config/describe.h"
#include "config/include.h"
#include "config/substitute.h"
#include "config/yaml.h"

namespace weir::config {

using options::MapReader;
using options::Node;
using options::Problems;

void build_top(Build& build, const Node& root) {
  MapReader top(root, build.problems);
  // Not of sites and routes: there, absent keys stand for what the outer levels say.
  build.problems.note_defaults(&build.defaults);
  build_process(build, top);
  if (const Node* section = top.find("certificates")) build_certificates(build, *section);
  if (const Node* section = top.require("listeners",
                                        "one at least, as in "
                                        "listeners: {http: {address: \"0.0.0.0:80\"}}")) {
    build_listeners(build, *section);
  }
  if (const Node* section = top.find("upstreams")) build_upstreams(build, *section);
  build.problems.note_defaults(nullptr);

  Level level = standard_level();
  if (const Node* section = top.find("defaults")) {
    MapReader defaults(*section, build.problems);
    build_level(build, defaults, level);
    read_slashes(defaults, level);
    later_level_keys(defaults);
    defaults.finish();
  }
  if (const Node* section = top.require("sites", "one at least, with hosts and routes")) {
    build_sites(build, *section, level);
  }
  top.find("include");  // include_files() has read it
  top.later({"redis", "cache", "tracing", "rate_limits"});
  top.finish();
}

namespace {

// Ids live as long as the process: only a configuration that will be used gets any.
void bind_labels(Build& build) {
  for (proxy::Site& site : build.snapshot.sites) {
    for (proxy::Route& route : site.routes) route.label = build.environment.labels.id(route.name);
  }
}

// The whole file, or false with errno set.
bool read_file(const std::string& path, std::string& out) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  constexpr size_t kStopBytes = 128u << 20;  // far above what parse_yaml() takes
  ssize_t got = 0;
  char chunk[65536];
  do {
    got = read(descriptor, chunk, sizeof(chunk));
    if (got > 0) out.append(chunk, static_cast<size_t>(got));
  } while ((got > 0 && out.size() < kStopBytes) || (got < 0 && errno == EINTR));
  const int failure = errno;
  close(descriptor);
  errno = failure;
  return got >= 0;
}

}  // namespace

LoadResult load_text(std::string_view text, const std::string& file,
                     const Environment& environment) {
  Problems problems;
  LoadResult result;
  Documents documents;
  documents.push_back(parse_yaml(text, file, problems));
  if (documents.front() != nullptr) {
    const Node& root = *documents.front()->root;
    auto snapshot = std::make_shared<proxy::Snapshot>();
    Build build{environment, problems, *snapshot, {}, {}, {}, {}, {}};
    substitute(*documents.front()->root, environment, problems);
    include_files(documents, environment, problems);
    build_top(build, root);
    if (problems.ok()) {
      bind_upstreams(build);
      bind_labels(build);
      result.description = describe(root, build.defaults);
      result.snapshot = std::move(snapshot);
    }
  }
  result.errors = problems.errors();
  result.warnings = problems.warnings();
  return result;
}

LoadResult load(const std::string& path, const Environment& environment) {
  std::string text;
  if (!read_file(path, text)) {
    LoadResult result;
    result.errors.push_back(path + ": cannot be read: " + std::strerror(errno));
    return result;
  }
  return load_text(text, path, environment);
}

}  // namespace weir::config
