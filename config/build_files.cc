// sites[].routes[].files: a folder whose content is served.
#include <string>
#include <utility>
#include <vector>

#include "config/build.h"
#include "config/files.h"
#include "proxy/files/find.h"
#include "proxy/files/path.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

constexpr size_t kIndexMax = 16;

std::shared_ptr<const proxy::files::Root> read_root(Build& build, const Node& node,
                                                    bool follows_links) {
  std::string written;
  if (!read_string(node, build.problems, written)) return nullptr;
  if (written.empty()) {
    build.problems.error(node, "is empty", "a folder is due");
    return nullptr;
  }
  Result<std::shared_ptr<const proxy::files::Root>> root =
      build.environment.files_root(path_beside(*node.file, written), follows_links);
  if (root.ok()) return root.value();
  build.problems.error(node, node.shown() + " cannot be served: " + root.error(),
                       "it must be a folder that weir may enter");
  return nullptr;
}

void read_index(const Node& node, Problems& problems, std::vector<std::string>& out) {
  std::vector<const Node*> items;
  if (!read_list(node, problems, items)) return;
  if (items.size() > kIndexMax) {
    problems.error(node, "has more than " + std::to_string(kIndexMax) + " names");
  }
  out.clear();
  for (const Node* item : items) {
    std::string name;
    if (!read_string(*item, problems, name)) continue;
    if (!proxy::files::is_servable(name) || name.front() == '.') {
      problems.invalid(*item, "the name of a file in a folder", "no path, no dot in front");
    } else {
      out.push_back(std::move(name));
    }
  }
}

void read_precompressed(const Node& node, Problems& problems, std::vector<http::Encoding>& out) {
  std::vector<const Node*> items;
  if (!read_list(node, problems, items)) return;
  const std::vector<std::string_view> words = {"br", "gzip", "zstd"};
  constexpr http::Encoding kEncodings[] = {http::Encoding::kBr, http::Encoding::kGzip,
                                           http::Encoding::kZstd};
  for (const Node* item : items) {
    size_t index = 0;
    if (!read_choice(*item, problems, words, {}, index)) continue;
    for (const http::Encoding earlier : out) {
      if (earlier != kEncodings[index]) continue;
      problems.error(*item, "is there twice");
      return;
    }
    out.push_back(kEncodings[index]);
  }
}

}  // namespace

void build_files(Build& build, const Node& node, proxy::Route& route) {
  route.action = proxy::Action::kFiles;
  MapReader map(node, build.problems);
  proxy::files::Files files;
  bool follows_links = false;
  map.boolean("symlinks", follows_links);
  const Node* root = map.require("root", "a folder, as in root: /srv/app/static");
  if (root != nullptr) files.root = read_root(build, *root, follows_links);
  if (const Node* index = map.find("index")) {
    read_index(*index, build.problems, files.index);
  }
  if (const Node* siblings = map.find("precompressed")) {
    read_precompressed(*siblings, build.problems, files.precompressed);
  }
  map.boolean("listing", files.listing);
  bool hidden = true;
  map.boolean("hidden", hidden);
  files.shows_well_known = !hidden;
  map.finish();
  route.files = std::make_shared<const proxy::files::Files>(std::move(files));
}

}  // namespace weir::config
