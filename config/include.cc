#include "config/include.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "config/files.h"
#include "config/substitute.h"
#include "config/yaml.h"

namespace weir::config {

namespace {

using options::Document;
using options::Kind;
using options::Node;
using options::Problems;

constexpr size_t kFilesMax = 1000;
constexpr size_t kBytesMax = kTextMaxBytes;  // of all included files

// A folder may be named with what a pattern would take for wildcards.
std::string escape_glob(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || kWildcards.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// With its slash; empty: the folder of the file that has the pattern.
std::string folder_before_wildcards(std::string_view pattern) {
  const size_t slash = pattern.substr(0, pattern.find_first_of(kWildcards)).rfind('/');
  return std::string(pattern.substr(0, slash == std::string_view::npos ? 0 : slash + 1));
}

std::string place_of(const Node& node) {
  return *node.file + ":" + std::to_string(node.line) + ":" + std::to_string(node.column);
}

class Includer {
 public:
  Includer(Documents& documents, const Environment& environment, Problems& problems)
      : documents_(documents),
        main_(*documents.front()),
        environment_(environment),
        problems_(problems) {}

  void run(const Node& include) {
    include_ = &include;
    std::vector<const Node*> items;
    if (!read_list(include, problems_, items)) return;
    for (const Node* item : items) {
      std::string text;
      if (!read_string(*item, problems_, text)) continue;
      if (text.empty()) {
        problems_.error(*item, "is empty");
      } else if (is_glob(text)) {
        take_matches(*item, text);
      } else {
        take(*item, path_beside(main_.file, text));
      }
    }
  }

 private:
  void take_matches(const Node& item, const std::string& pattern) {
    Result<std::vector<std::string>> found =
        environment_.glob(path_beside(escape_glob(main_.file), pattern));
    if (!found.ok()) {
      problems_.error(item, item.shown() + " cannot be searched: " + found.error());
      return;
    }
    // An empty folder is how such folders begin; one that is not there is a slip of the pen.
    if (found.value().empty()) {
      const std::string folder = path_beside(main_.file, folder_before_wildcards(pattern));
      if (!environment_.folder_exists(folder)) {
        const std::string shown = item.secret() ? item.shown() : options::quote(folder);
        problems_.warning(item, "there is no folder " + shown, "nothing is included");
      }
    }
    for (const std::string& path : found.value()) take(item, path);
  }

  void take(const Node& item, const std::string& path) {
    if (full_ || !seen_.insert(path).second) return;  // two patterns may match one file
    if (path == main_.file) {
      problems_.error(item, "the file would include itself");
      return;
    }
    if (seen_.size() > kFilesMax) {
      full_ = true;
      problems_.error(item, "more than " + std::to_string(kFilesMax) + " files are included");
      return;
    }
    Result<std::string> text = environment_.file(path, kBytesMax);
    if (!text.ok()) {
      const std::string shown = item.secret() ? item.shown() : options::quote(path);
      problems_.error(item, shown + " cannot be read: " + text.error());
      return;
    }
    bytes_ += text.value().size();
    if (bytes_ > kBytesMax) {
      full_ = true;
      problems_.error(
          item, "the included files hold more than " + std::to_string(kBytesMax >> 20) + " MiB");
      return;
    }
    // What stands in it may be commented out.
    std::unique_ptr<Document> document = parse_yaml(text.value(), path, problems_, Empty::kAllowed);
    if (document == nullptr) return;
    substitute(*document->root, environment_, problems_);
    merge(*document->root);
    documents_.push_back(std::move(document));
  }

  void merge(Node& root) {
    if (root.kind != Kind::kMap) {
      problems_.error(root, "must be a map, not " + root.shown());
      return;
    }
    for (const auto& child : root.children) {
      if (child->key == "upstreams") {
        merge_map(*child, upstreams_);
      } else if (child->key == "rate_limits") {
        merge_map(*child, rate_limits_);
      } else if (child->key == "sites" || child->key == "certificates") {
        merge_list(*child);
      } else if (child->key == "include") {
        problems_.error(*child, "includes do not nest", "only the main file can include");
      } else {
        problems_.error(*child, "cannot stand in an included file",
                        "only certificates, rate_limits, upstreams and sites can");
      }
    }
  }

  using ByName = std::unordered_map<std::string_view, const Node*>;  // of all files so far

  void merge_map(Node& section, ByName& known) {
    Node* target = section_for(section, Kind::kMap);
    if (target == nullptr) return;
    if (known.empty()) {
      for (const auto& node : target->children) known.emplace(node->key, node.get());
    }
    for (auto& node : section.children) {
      const auto [first, fresh] = known.emplace(node->key, node.get());
      if (fresh) {
        target->children.push_back(std::move(node));
      } else {
        problems_.error(*node, "is defined at " + place_of(*first->second) + " already");
      }
    }
    section.children.clear();
  }

  void merge_list(Node& section) {
    Node* target = section_for(section, Kind::kList);
    if (target == nullptr) return;
    for (auto& node : section.children) target->children.push_back(std::move(node));
    section.children.clear();
  }

  // The main file's section of that name, made when it has none. Null when there is nothing to
  // merge, or where it cannot be: that is reported here or, for the main file, by its reader.
  Node* section_for(const Node& section, Kind kind) {
    if (section.kind != kind) {
      if (section.kind != Kind::kNull && !section.broken) {
        problems_.error(section, std::string("must be ") +
                                     (kind == Kind::kMap ? "a map" : "a list") + ", not " +
                                     section.shown());
      }
      return nullptr;
    }
    for (const auto& child : main_.root->children) {
      if (child->key != section.key) continue;
      if (child->kind == Kind::kNull) child->kind = kind;
      return child->kind == kind ? child.get() : nullptr;
    }
    auto made = std::make_unique<Node>();
    made->kind = kind;
    made->line = include_->line;
    made->column = include_->column;
    made->parent = main_.root.get();
    made->file = &main_.file;
    made->key = section.key;
    main_.root->children.push_back(std::move(made));
    return main_.root->children.back().get();
  }

  Documents& documents_;
  Document& main_;
  const Environment& environment_;
  Problems& problems_;
  const Node* include_ = nullptr;
  std::unordered_set<std::string> seen_;
  ByName upstreams_;
  ByName rate_limits_;
  size_t bytes_ = 0;
  bool full_ = false;
};

}  // namespace

void include_files(Documents& documents, const Environment& environment, Problems& problems) {
  const Node* include = documents.front()->root->find("include");
  if (include != nullptr) Includer(documents, environment, problems).run(*include);
}

}  // namespace weir::config
