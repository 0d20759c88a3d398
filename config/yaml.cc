#include "config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <istream>
#include <optional>
#include <streambuf>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weir::config {

namespace {

using options::Document;
using options::Kind;
using options::Node;
using options::Problems;

constexpr size_t kDepthMax = 64;         // the language itself needs 10
constexpr size_t kNodesMax = 4'000'000;  // in memory a value takes some 200 bytes
constexpr size_t kCopiesMax = 500'000;   // of them by aliases, which can grow exponentially

// Ends the parse from inside of a callback; what is wrong is already reported.
struct Stop {};

// Builds the tree as yaml-cpp reads. Its events cannot see keys apart from values: in a map they
// simply alternate.
class Builder : public YAML::EventHandler {
 public:
  Builder(Document& document, Problems& problems) : document_(document), problems_(problems) {}

  bool empty() const { return document_.root == nullptr; }

  // yaml-cpp takes the end of the text for a closing quote: a file that was cut off there would
  // load. Only the last quoted scalar can be such a one.
  void check_last_quote(std::string_view text) {
    if (!last_quoted_.has_value()) return;
    const auto begin = static_cast<size_t>(last_quoted_->pos);
    if (begin < text.size() && !is_closed(text.substr(begin))) {
      fail(*last_quoted_, "a quote is not closed");
    }
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (!empty()) fail(mark, "a second document: a configuration is one document");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (at_key()) fail(mark, "a key is missing before \":\"");
    finish(place(mark, std::make_unique<Node>()), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    if (value.find('\0') != std::string::npos) fail(mark, "NUL in a value");
    if (tag == "!") last_quoted_ = mark;
    if (at_key()) return take_key(mark, anchor, value);
    auto node = std::make_unique<Node>();
    node->kind = Kind::kScalar;
    node->quoted = tag == "!";  // how yaml-cpp says: not a plain scalar
    node->text = value;
    finish(place(mark, std::move(node)), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (at_key()) fail(mark, "an alias cannot be a key");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail(mark, "an alias inside of what it names");
    const Node& original = *found->second;
    if (open_.size() + depth(original) > kDepthMax) fail_depth(mark);
    Node& copy = place(mark, std::make_unique<Node>());
    fill_copy(mark, original, copy);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::kList);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::kMap);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

  [[noreturn]] void fail(const YAML::Mark& mark, std::string what) {
    problems_.file_error(document_.file, line_of(mark), column_of(mark), std::move(what));
    throw Stop();
  }

 private:
  // A list or map whose end has not come.
  struct Open {
    Node* node;
    YAML::anchor_t anchor;
    bool have_key = false;
    bool keep = true;  // false: the value of a duplicate key, checked but not kept
    std::string key;
    YAML::Mark key_mark;
    std::unordered_map<std::string, uint32_t> lines;  // of the keys so far
  };

  // `text` starts with a scalar, quoted or (then always closed) in block style.
  static bool is_closed(std::string_view text) {
    const char quote = text.front();
    if (quote != '"' && quote != '\'') return true;
    for (size_t i = 1; i < text.size(); ++i) {
      if (quote == '"' && text[i] == '\\') {
        ++i;
      } else if (quote == '\'' && text.substr(i).starts_with("''")) {
        ++i;
      } else if (text[i] == quote) {
        return true;
      }
    }
    return false;
  }

  static uint32_t line_of(const YAML::Mark& mark) { return static_cast<uint32_t>(mark.line) + 1; }
  static uint32_t column_of(const YAML::Mark& mark) {
    return static_cast<uint32_t>(mark.column) + 1;
  }

  bool at_key() const {
    return !open_.empty() && open_.back().node->kind == Kind::kMap && !open_.back().have_key;
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    fail(mark, "tags (" + tag.substr(0, 40) + ") are not part of the language");
  }

  [[noreturn]] void fail_depth(const YAML::Mark& mark) {
    fail(mark, "nested deeper than " + std::to_string(kDepthMax) + " levels");
  }

  void take_key(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& key) {
    if (anchor != 0) fail(mark, "an anchor cannot be on a key");
    if (key == "<<") fail(mark, "merge keys (<<) are not part of the language; write the keys out");
    Open& map = open_.back();
    map.have_key = true;
    map.key = key;
    map.key_mark = mark;
    const auto [first, fresh] = map.lines.emplace(key, line_of(mark));
    map.keep = fresh;
    if (fresh) return;
    Node here;
    locate(here, mark);
    here.parent = map.node;
    here.key = key;
    problems_.error(here, "duplicate key", "first on line " + std::to_string(first->second));
  }

  void locate(Node& node, const YAML::Mark& mark) {
    node.file = &document_.file;
    node.line = line_of(mark);
    node.column = column_of(mark);
  }

  // Puts a value where the innermost open list or map expects one.
  Node& place(const YAML::Mark& mark, std::unique_ptr<Node> node) {
    if (++nodes_ > kNodesMax) fail(mark, "more than " + std::to_string(kNodesMax) + " values");
    locate(*node, mark);
    Node& placed = *node;
    if (open_.empty()) {
      document_.root = std::move(node);
      return placed;
    }
    Open& parent = open_.back();
    placed.parent = parent.node;
    if (parent.node->kind == Kind::kMap) {
      locate(placed, parent.key_mark);
      placed.key = std::move(parent.key);
      parent.have_key = false;
      auto& home = parent.keep ? parent.node->children : dropped_;
      home.push_back(std::move(node));
    } else {
      placed.index = static_cast<uint32_t>(parent.node->children.size());
      parent.node->children.push_back(std::move(node));
    }
    return placed;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind) {
    refuse_tag(mark, tag);
    if (at_key()) fail(mark, "a key must be a word, not a list or a map");
    if (open_.size() >= kDepthMax) fail_depth(mark);
    auto node = std::make_unique<Node>();
    node->kind = kind;
    Node& placed = place(mark, std::move(node));
    open_.push_back({&placed, anchor, false, true, {}, {}, {}});
  }

  void close() {
    const Open closed = std::move(open_.back());
    open_.pop_back();
    finish(*closed.node, closed.anchor);
  }

  // From here on aliases may name it.
  void finish(const Node& node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = &node;
  }

  static size_t depth(const Node& node) {
    size_t deepest = 0;
    for (const auto& child : node.children) deepest = std::max(deepest, depth(*child));
    return deepest + 1;
  }

  // What the copy holds keeps its own place in the file: that is where it is mended.
  void fill_copy(const YAML::Mark& mark, const Node& original, Node& copy) {
    // Long texts count for more.
    copies_ += 1 + (original.text.size() + original.key.size()) / sizeof(Node);
    if (copies_ > kCopiesMax) fail(mark, "aliases make too many copies");
    copy.kind = original.kind;
    copy.quoted = original.quoted;
    copy.text = original.text;
    for (const auto& child : original.children) {
      auto node = std::make_unique<Node>();
      node->file = child->file;
      node->line = child->line;
      node->column = child->column;
      node->key = child->key;
      node->index = child->index;
      node->parent = &copy;
      copy.children.push_back(std::move(node));
      fill_copy(mark, *child, *copy.children.back());
    }
  }

  Document& document_;
  Problems& problems_;
  std::vector<Open> open_;
  std::vector<std::unique_ptr<Node>> dropped_;  // values of duplicate keys: anchors may point here
  std::unordered_map<YAML::anchor_t, const Node*> anchors_;
  size_t nodes_ = 0;
  size_t copies_ = 0;
  std::optional<YAML::Mark> last_quoted_;
};

// yaml-cpp reads streams: this one lends it the text without a copy.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // never written: there is no put area
    setg(begin, begin, begin + text.size());
  }
};

void parse(std::string_view text, Builder& builder) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  TextBuffer buffer(text);
  std::istream stream(&buffer);
  YAML::Parser parser(stream);
  if (!parser.HandleNextDocument(builder)) return;
  parser.HandleNextDocument(builder);  // OnDocumentStart() refuses a second one
  builder.check_last_quote(text);
}

}  // namespace

std::unique_ptr<Document> parse_yaml(std::string_view text, std::string file, Problems& problems,
                                     Empty empty) {
  auto document = std::make_unique<Document>();
  document->file = std::move(file);
  if (text.size() > kTextMaxBytes) {
    problems.file_error(document->file, 0, 0,
                        "is larger than " + std::to_string(kTextMaxBytes >> 20) + " MiB");
    return nullptr;
  }
  // yaml-cpp would take other encodings, too; then places in the text would not be bytes.
  if (text.find('\0') != std::string_view::npos || text.starts_with("\xff\xfe") ||
      text.starts_with("\xfe\xff")) {
    problems.file_error(document->file, 0, 0, "is not UTF-8 text");
    return nullptr;
  }
  Builder builder(*document, problems);
  try {
    parse(text, builder);
  } catch (const Stop&) {
    return nullptr;
  } catch (const YAML::Exception& error) {
    const bool known = !error.mark.is_null();
    problems.file_error(document->file, known ? static_cast<uint32_t>(error.mark.line) + 1 : 0,
                        known ? static_cast<uint32_t>(error.mark.column) + 1 : 0,
                        "not valid YAML: " + error.msg);
    return nullptr;
  } catch (const std::exception& error) {
    problems.file_error(document->file, 0, 0, std::string("cannot be parsed: ") + error.what());
    return nullptr;
  }
  if (builder.empty() || document->root->kind == Kind::kNull) {
    if (empty == Empty::kError) problems.file_error(document->file, 0, 0, "is empty");
    return nullptr;
  }
  return document;
}

}  // namespace weir::config
