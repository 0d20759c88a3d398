#include "base/options.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/strings.h"

namespace weir::options {

namespace {

constexpr size_t kShownMax = 80;  // characters of a value in a message

bool is_plain_key(std::string_view key) {
  if (key.empty() || key.size() > kShownMax) return false;
  return std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// The step from a map to one of its keys.
std::string step(std::string_view path, std::string_view key) {
  std::string out(path);
  if (!is_plain_key(key)) return out + "[" + quote(key) + "]";
  if (!out.empty()) out += '.';
  return out + std::string(key);
}

}  // namespace

std::string quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text.substr(0, kShownMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + (text.size() > kShownMax ? "...\"" : "\"");
}

std::string Node::path() const {
  std::vector<const Node*> chain;
  for (const Node* at = this; at->parent != nullptr; at = at->parent) chain.push_back(at);
  std::string out;
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) {
    if ((*at)->parent->kind == Kind::kList) {
      out.append(1, '[').append(std::to_string((*at)->index)).append(1, ']');
    } else {
      out = step(out, (*at)->key);
    }
  }
  return out;
}

std::string Node::shown() const {
  switch (kind) {
    case Kind::kNull: return "nothing";
    case Kind::kList: return "a list";
    case Kind::kMap: return "a map";
    case Kind::kScalar: break;
  }
  if (secret()) return "(value of " + substitution->origin + ")";
  return quote(text);
}

const Node* Node::find(std::string_view wanted) const {
  if (kind != Kind::kMap) return nullptr;
  for (const auto& child : children) {
    if (child->key == wanted) return child.get();
  }
  return nullptr;
}

const Node& Defaults::add_section(const Node& map, std::string_view key) {
  auto section = std::make_unique<Node>();
  section->kind = Kind::kMap;
  section->line = map.line;
  section->column = map.column;
  section->parent = &map;
  section->file = map.file;
  section->key = key;
  return *by_map_[&map].emplace_back(Entry{key, {}, std::move(section)}).map;
}

const std::vector<Defaults::Entry>& Defaults::of(const Node& map) const {
  static const std::vector<Entry> kNone;
  const auto found = by_map_.find(&map);
  return found == by_map_.end() ? kNone : found->second;
}

void Problems::error(const Node& at, std::string what, std::string hint) {
  add(at, false, at.path(), what, hint);
}

void Problems::warning(const Node& at, std::string what, std::string hint) {
  add(at, true, at.path(), what, hint);
}

void Problems::key_error(const Node& map, std::string_view key, std::string what,
                         std::string hint) {
  const Node* child = map.find(key);
  add(child == nullptr ? map : *child, false, step(map.path(), key), what, hint);
}

void Problems::invalid(const Node& at, std::string_view noun, std::string_view why) {
  std::string what = at.shown() + " is not " + std::string(noun);
  if (!why.empty() && !at.secret()) what += ": " + std::string(why);
  error(at, std::move(what));
}

void Problems::unknown(const Node& at, std::string_view noun, std::vector<std::string_view> names) {
  std::string hint;
  // The search costs more than all else here: not for what is only counted.
  if (error_count_ < kKeptMax && !at.secret()) {
    std::sort(names.begin(), names.end());  // of several that are as close, always the same
    hint = did_you_mean(at.text, names);
  }
  error(at, "no " + std::string(noun) + " " + at.shown(), std::move(hint));
}

void Problems::file_error(const std::string& file, uint32_t line, uint32_t column,
                          std::string what) {
  keep({file, line, column, false, std::move(what)});
}

void Problems::add(const Node& at, bool warning, const std::string& path, const std::string& what,
                   const std::string& hint) {
  std::string text = path.empty() ? what : path + ": " + what;
  if (!hint.empty()) text += "; " + hint;
  keep({at.file == nullptr ? std::string() : *at.file, at.line, at.column, warning,
        std::move(text)});
}

void Problems::keep(Problem problem) {
  size_t& count = problem.warning ? warning_count_ : error_count_;
  if (++count <= kKeptMax) problems_.push_back(std::move(problem));
}

std::vector<std::string> Problems::lines(bool warnings) const {
  std::vector<const Problem*> chosen;
  for (const Problem& problem : problems_) {
    if (problem.warning == warnings) chosen.push_back(&problem);
  }
  std::stable_sort(chosen.begin(), chosen.end(), [](const Problem* a, const Problem* b) {
    return std::tie(a->file, a->line, a->column) < std::tie(b->file, b->line, b->column);
  });
  std::vector<std::string> out;
  for (const Problem* problem : chosen) {
    std::string line = problem->file;
    if (problem->line != 0) {
      line += ':' + std::to_string(problem->line) + ':' + std::to_string(problem->column);
    }
    out.push_back(line + ": " + problem->text);
  }
  const size_t count = warnings ? warning_count_ : error_count_;
  if (count > kKeptMax) out.push_back("and " + std::to_string(count - kKeptMax) + " more");
  return out;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  constexpr size_t kWordMax = 64;  // the distance costs the product of both lengths
  if (word.size() > kWordMax) return {};
  const std::string found = closest(word, candidates);
  return found.empty() ? std::string() : "did you mean " + quote(found) + "?";
}

MapReader::MapReader(const Node& node, Problems& problems)
    : node_(&node),
      problems_(&problems),
      is_map_(node.kind == Kind::kMap || node.kind == Kind::kNull) {
  if (!is_map_ && !node.broken) problems.error(node, "must be a map, not " + node.shown());
}

const Node* MapReader::find(std::string_view key) {
  known_.push_back(key);
  return node_->find(key);
}

const Node* MapReader::section(std::string_view key) {
  const Node* value = find(key);
  const bool note = value == nullptr && is_map_ && problems_->defaults() != nullptr;
  return note ? &problems_->defaults()->add_section(*node_, key) : value;
}

void MapReader::note_default(std::string_view key, std::string text) {
  if (problems_->defaults() == nullptr || !is_map_ || node_->find(key) != nullptr) return;
  problems_->defaults()->add(*node_, key, std::move(text));
}

const Node* MapReader::require(std::string_view key, std::string hint) {
  const Node* value = find(key);
  if (value == nullptr && is_map_) {
    problems_->key_error(*node_, key, "is required", std::move(hint));
  }
  return value;
}

void MapReader::later(std::initializer_list<std::string_view> keys) {
  later_.insert(later_.end(), keys);
  for (const std::string_view key : keys) has_later_key_ |= node_->find(key) != nullptr;
}

void MapReader::finish() {
  if (node_->kind != Kind::kMap) return;
  if (problems_->key_observer()) problems_->key_observer()(*node_, known_);
  const auto has = [](const std::vector<std::string_view>& keys, std::string_view key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  };
  std::vector<std::string_view> candidates = known_;
  candidates.insert(candidates.end(), later_.begin(), later_.end());
  for (const auto& child : node_->children) {
    if (has(known_, child->key)) continue;
    if (has(later_, child->key)) {
      problems_->error(*child, quote(child->key) + " is known but not in this build yet");
    } else {
      problems_->error(*child, "unknown key", did_you_mean(child->key, candidates));
    }
  }
}

}  // namespace weir::options
