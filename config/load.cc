#include "config/load.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/build.h"
#include "config/describe.h"
#include "config/include.h"
#include "config/substitute.h"
#include "config/yaml.h"
#include "filters/rate_limit/read.h"
#include "filters/rate_limit/reset.h"

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
  const Node* const limits = top.find("rate_limits");
  const bool has_redis = root.find("redis") != nullptr;
  if (limits != nullptr) {
    build.rate_limits = filters::rate_limit::read_limits(*limits, build.problems, has_redis);
  }
  if (const Node* section = top.find("redis")) build_redis(build, *section);
  if (const Node* section = top.find("cache")) build_cache(build, *section, has_redis);
  build.problems.note_defaults(nullptr);

  Level level = standard_level();
  if (const Node* section = top.find("defaults")) {
    MapReader defaults(*section, build.problems);
    build_level(build, defaults, level);
    read_slashes(defaults, level);
    defaults.finish();
  }
  build.snapshot.stray_filters = stray_filters(level);
  if (const Node* section = top.require("sites", "one at least, with hosts and routes")) {
    build_sites(build, *section, level);
  }
  if (limits != nullptr) {
    filters::rate_limit::warn_of_unused(*limits, build.rate_limits, build.problems);
  }
  top.find("include");  // include_files() has read it
  top.later({"tracing"});
  top.finish();
}

namespace {

// Ids live as long as the process: only a configuration that will be used gets any.
void bind_labels(Build& build) {
  for (proxy::Site& site : build.snapshot.sites) {
    for (proxy::Route& route : site.routes) route.label = build.environment.labels.id(route.name);
  }
}

void bind_splits(Build& build) {
  for (const auto& split : build.splits) {
    split->rollback = build.environment.states.rollback(split->identity(), split->name,
                                                        split->upstreams(), *split->rollback_rule);
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

// A configuration as it was read.
struct Source {
  Documents documents;                                 // substituted, included files in the first
  std::unordered_map<std::string, std::string> files;  // that it names, by path
  std::map<std::pair<std::string, bool>, std::shared_ptr<const proxy::files::Root>> roots;
  int64_t unix_s = 0;  // when
};

namespace {

bool build_all(Build& build, const Node& root) {
  build_top(build, root);
  if (!build.problems.ok()) return false;
  bind_upstreams(build);
  bind_labels(build);
  bind_splits(build);
  filters::rate_limit::bind(build.rate_limits);
  build.snapshot.limits = filters::rate_limit::make_book(build.rate_limits);
  bind_redis(build);
  bind_cache(build);
  return true;
}

}  // namespace

LoadResult load_text(std::string_view text, const std::string& file,
                     const Environment& environment) {
  Problems problems;
  LoadResult result;
  auto source = std::make_shared<Source>();
  Documents& documents = source->documents;
  documents.push_back(parse_yaml(text, file, problems));
  if (documents.front() != nullptr) {
    const Node& root = *documents.front()->root;
    auto snapshot = std::make_shared<proxy::Snapshot>();
    substitute(*documents.front()->root, environment, problems);
    environment.on_step();
    include_files(documents, environment, problems);
    environment.on_step();
    Environment keeping = environment;
    if (!keeping.member_file) keeping.member_file = environment.file;
    keeping.file = [&](const std::string& path, size_t max_bytes) {
      Result<std::string> content = environment.file(path, max_bytes);
      if (content.ok()) source->files[path] = content.value();
      return content;
    };
    keeping.files_root = [&](const std::string& path, bool follows_links) {
      auto opened = environment.files_root(path, follows_links);
      if (opened.ok()) source->roots[{path, follows_links}] = opened.value();
      return opened;
    };
    source->unix_s = environment.unix_s();
    keeping.unix_s = [&] { return source->unix_s; };
    Build build{keeping, problems, *snapshot, {}, {}, {}, {}, {}};
    if (build_all(build, root)) {
      environment.on_step();
      result.description = describe(root, build.defaults);
      result.snapshot = std::move(snapshot);
      if (build.uses_cache) result.cache = build.store;
      result.member_files = std::move(build.member_files);
      result.srv_names = std::move(build.srv_names);
      const bool followed = !result.member_files.empty() || !result.srv_names.empty();
      if (followed) result.source = std::move(source);
    }
  }
  result.errors = problems.errors();
  result.warnings = problems.warnings();
  return result;
}

LoadResult rebuild(const std::shared_ptr<const Source>& source, const Environment& environment) {
  Problems problems;
  LoadResult result;
  auto snapshot = std::make_shared<proxy::Snapshot>();
  Environment kept = environment;
  if (!kept.member_file) kept.member_file = environment.file;
  kept.file = [&source](const std::string& path, size_t) {
    const auto found = source->files.find(path);
    if (found == source->files.end()) return Result<std::string>::failure("it was not read before");
    return Result<std::string>(found->second);
  };
  kept.files_root = [&source](const std::string& path, bool follows_links) {
    using Root = Result<std::shared_ptr<const proxy::files::Root>>;
    const auto found = source->roots.find({path, follows_links});
    return found == source->roots.end() ? Root::failure("it was not opened before")
                                        : Root(found->second);
  };
  kept.unix_s = [&source] { return source->unix_s; };
  Build build{kept, problems, *snapshot, {}, {}, {}, {}, {}};
  if (build_all(build, *source->documents.front()->root)) {
    result.snapshot = std::move(snapshot);
    if (build.uses_cache) result.cache = build.store;
  }
  result.source = source;
  result.member_files = std::move(build.member_files);
  result.srv_names = std::move(build.srv_names);
  result.errors = problems.errors();
  result.warnings = problems.warnings();
  return result;
}

Result<std::string> admin_address(const std::string& path, const Environment& environment) {
  using Out = Result<std::string>;
  std::string text;
  if (!read_file(path, text)) {
    return Out::failure(path + ": cannot be read: " + std::strerror(errno));
  }
  Problems problems;
  const auto document = parse_yaml(text, path, problems);
  if (document == nullptr) return Out::failure(problems.errors().front());
  for (const auto& child : document->root->children) {
    if (child->key != "admin") continue;
    substitute(*child, environment, problems);
    proxy::AdminConfig admin;
    build_admin(*child, problems, admin);
    if (admin.address.length == 0) return Out::failure(problems.errors().front());
    return admin.address.text();
  }
  return std::string();
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
