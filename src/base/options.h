// What a configuration file says, before it means anything: a tree of maps, lists and scalars that
// know where they stand, and strict readers over it. Readers never stop at the first mistake; they
// report it to Problems and leave the caller's default in place, so that one run shows everything.
// Thread-confined; lives only while a snapshot is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weir::options {

enum class Kind : uint8_t { kNull, kScalar, kList, kMap };

// Left by ${...} in a scalar.
struct Substitution {
  // For text with $variables: what was substituted is data, so its dollars and backslashes are
  // doubled.
  std::string template_text;
  // "${NAME}", ... where the value came from outside the file; empty when only defaults were used.
  // Such a value is a secret and is never shown.
  std::string origin;
};

// Owned by its parent, the root by a Document. `parent` and `file` outlive it.
struct Node {
  Kind kind = Kind::kNull;
  bool quoted = false;  // scalar in quotes or block style: never a number or a boolean
  bool broken = false;  // a ${...} in it failed and is reported: readers stay silent
  uint32_t line = 1;    // of the key for a value in a map, of the item in a list
  uint32_t column = 1;
  uint32_t index = 0;  // in a list
  const Node* parent = nullptr;
  const std::string* file = nullptr;
  std::string key;   // in a map
  std::string text;  // of a scalar
  std::unique_ptr<Substitution> substitution;
  std::vector<std::unique_ptr<Node>> children;  // in file order

  // `sites[0].routes[1].upstream`; empty for the root.
  std::string path() const;
  // The scalar for a message: quoted, escaped, cut; "(value of ${NAME})" for a secret.
  std::string shown() const;
  bool secret() const { return substitution != nullptr && !substitution->origin.empty(); }
  std::string_view template_text() const {
    return substitution == nullptr ? std::string_view(text) : substitution->template_text;
  }
  // The child of that key; null when there is none. Linear: for maps with a fixed set of keys.
  const Node* find(std::string_view wanted) const;
};

struct Document {
  std::string file;
  std::unique_ptr<Node> root;
};

// `text` in double quotes on one line of bounded length.
std::string quote(std::string_view text);

// What keys stand for that a map does not have, as its readers know them. Of the readers' defaults
// those that could have been written: a number out of its range means "none".
class Defaults {
 public:
  struct Entry {
    std::string_view key;                 // a literal of the reader
    std::string text;                     // of a scalar without quotes, where `map` is null
    std::unique_ptr<Node> map = nullptr;  // a section; its defaults stand under it
  };
  void add(const Node& map, std::string_view key, std::string text) {
    by_map_[&map].push_back({key, std::move(text)});
  }
  // An empty map at the place of an absent one. Good as long as this object.
  const Node& add_section(const Node& map, std::string_view key);
  const std::vector<Entry>& of(const Node& map) const;

 private:
  std::unordered_map<const Node*, std::vector<Entry>> by_map_;
};

// Collects errors and warnings; lines come out by file, and in order of position in each.
class Problems {
 public:
  // `path: what; hint`, at the node's place.
  void error(const Node& at, std::string what, std::string hint = {});
  void warning(const Node& at, std::string what, std::string hint = {});
  // A key of `map` that is missing or misspelt: the path is the map's with `key` appended.
  void key_error(const Node& map, std::string_view key, std::string what, std::string hint = {});
  // `value is not <noun>: <why>`. `why` may quote parts of the value: left out for a secret.
  void invalid(const Node& at, std::string_view noun, std::string_view why = {});
  // `no <noun> "ap"; did you mean "app"?`, with the closest of `names`.
  void unknown(const Node& at, std::string_view noun, std::vector<std::string_view> names);
  // Before there is a tree. line 0: the whole file.
  void file_error(const std::string& file, uint32_t line, uint32_t column, std::string what);

  bool ok() const { return error_count_ == 0; }
  size_t error_count() const { return error_count_; }
  // `weir.yaml:12:5: sites[0].routes[1].upstream: no upstream "ap"; did you mean "app"?`
  std::vector<std::string> errors() const { return lines(false); }
  std::vector<std::string> warnings() const { return lines(true); }

  // Calls `observer` for every map that is read to its end, with the keys that may stand there: so
  // a test holds the reference against the readers.
  using KeyObserver =
      std::function<void(const Node& map, const std::vector<std::string_view>& keys)>;
  void observe_keys(KeyObserver observer) { observer_ = std::move(observer); }
  const KeyObserver& key_observer() const { return observer_; }
  // Null: readers note no defaults from now on. It outlives the readers.
  void note_defaults(Defaults* defaults) { defaults_ = defaults; }
  Defaults* defaults() const { return defaults_; }

 private:
  // More would help nobody and could fill the memory; the rest is counted.
  static constexpr size_t kKeptMax = 1000;
  struct Problem {
    std::string file;
    uint32_t line;
    uint32_t column;
    bool warning;
    std::string text;
  };
  void add(const Node& at, bool warning, const std::string& path, const std::string& what,
           const std::string& hint);
  void keep(Problem problem);
  std::vector<std::string> lines(bool warnings) const;

  std::vector<Problem> problems_;
  KeyObserver observer_;
  Defaults* defaults_ = nullptr;
  size_t error_count_ = 0;
  size_t warning_count_ = 0;
};

// `did you mean "x"?`, or empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates);

template <typename T>
struct Range {
  T min;
  T max;
};

struct Rate {
  uint64_t count = 0;
  uint64_t per_ms = 0;
};

// Each returns true and fills `out` when the node holds such a value; otherwise it reports and
// leaves `out` as it is.
bool read_string(const Node& node, Problems& problems, std::string& out);
bool read_bool(const Node& node, Problems& problems, bool& out);  // true | false
bool read_u64(const Node& node, Problems& problems, Range<uint64_t> range, uint64_t& out);
bool read_number(const Node& node, Problems& problems, Range<double> range, double& out);
bool read_duration_ms(const Node& node, Problems& problems, Range<uint64_t> range, uint64_t& out);
bool read_size_bytes(const Node& node, Problems& problems, Range<uint64_t> range, uint64_t& out);
// "240B/s": a size per second.
bool read_byte_rate(const Node& node, Problems& problems, Range<uint64_t> range, uint64_t& out);
// "50%" is 0.5. `max`: a whole number.
bool read_percent(const Node& node, Problems& problems, double& out, double max = 1);
bool read_rate(const Node& node, Problems& problems, Rate& out);       // "10/s", "100/15m"
// The items of a list; a key without a value is an empty list.
bool read_list(const Node& node, Problems& problems, std::vector<const Node*>& out);
// The index of the word in `words`. Words of `later` are known but not built yet.
bool read_choice(const Node& node, Problems& problems, const std::vector<std::string_view>& words,
                 std::initializer_list<std::string_view> later, size_t& out);
// The word `off`, as it stands for "not at all" where a map is due.
bool is_off(const Node& node);

// Reads the keys of one map, each at most once. finish() reports the keys that nobody asked for.
class MapReader {
 public:
  // Reports when `node` is not a map (a key without a value is an empty map).
  MapReader(const Node& node, Problems& problems);

  const Node& node() const { return *node_; }
  Problems& problems() const { return *problems_; }
  bool is_map() const { return is_map_; }

  // The value of a key, which becomes known by being asked for; null when it is absent.
  const Node* find(std::string_view key);
  // The map of a key; absent, and where defaults are noted, an empty one, so that its defaults are.
  const Node* section(std::string_view key);
  // Of a key that the caller reads itself.
  void note_default(std::string_view key, std::string text);
  // The same as find(), and its absence is an error.
  const Node* require(std::string_view key, std::string hint = {});
  // Keys of the documented language that this build does not have.
  void later(std::initializer_list<std::string_view> keys);
  bool has_later_key() const { return has_later_key_; }
  void finish();

  // True when the key is there and valid.
  bool string(std::string_view key, std::string& out);
  bool boolean(std::string_view key, bool& out);
  bool u64(std::string_view key, Range<uint64_t> range, uint64_t& out);
  bool u32(std::string_view key, Range<uint32_t> range, uint32_t& out);
  bool number(std::string_view key, Range<double> range, double& out);
  bool duration_ms(std::string_view key, Range<uint64_t> range, uint64_t& out);
  bool size_bytes(std::string_view key, Range<uint64_t> range, uint64_t& out);
  bool size_bytes(std::string_view key, Range<uint32_t> range, uint32_t& out);
  bool byte_rate(std::string_view key, Range<uint64_t> range, uint64_t& out);
  bool list(std::string_view key, std::vector<const Node*>& out);

  template <typename T>
  bool choice(std::string_view key, std::initializer_list<std::pair<std::string_view, T>> table,
              std::initializer_list<std::string_view> later_words, T& out) {
    const Node* value = find(key);
    if (value == nullptr) {
      for (const auto& [word, meaning] : table) {
        if (meaning == out) note_default(key, std::string(word));
      }
      return false;
    }
    std::vector<std::string_view> words;
    for (const auto& [word, meaning] : table) words.push_back(word);
    size_t index = 0;
    if (!read_choice(*value, *problems_, words, later_words, index)) return false;
    out = (table.begin() + index)->second;
    return true;
  }

 private:
  const Node* node_;
  Problems* problems_;
  bool is_map_;
  bool has_later_key_ = false;
  std::vector<std::string_view> known_;
  std::vector<std::string_view> later_;
};

}  // namespace weir::options
