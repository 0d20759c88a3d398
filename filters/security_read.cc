// What a configuration says under security_headers, made into edits.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "base/strings.h"
#include "filters/header_name.h"
#include "filters/security_headers.h"
#include "filters/security_sets.h"
#include "http/rules.h"

namespace weir::filters {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

constexpr std::string_view kHsts = "Strict-Transport-Security";
constexpr uint64_t kYearMs = uint64_t{31'536'000} * 1000;
constexpr uint64_t kYearS = kYearMs / 1000;
constexpr size_t kFieldsMax = 64;  // apply() has a bit for each

// Those whose value is no list: two of them are one contradiction.
constexpr std::string_view kSingular[] = {
    kHsts,
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
    "X-Permitted-Cross-Domain-Policies",
    "X-DNS-Prefetch-Control",
    "X-Download-Options",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Embedder-Policy",
    "Cross-Origin-Resource-Policy",
    "Origin-Agent-Cluster",
};

struct Hsts {
  uint64_t max_age_s = kYearS;
  bool has_max_age = false;
  bool subdomains = false;
  bool preload = false;
};

// RFC 6797 6.1; names without regard to case, unknown directives are ignored. Empty, or what is
// wrong.
std::string parse_hsts(std::string_view text, Hsts& out) {
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    std::string_view directive = trim_ows(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = std::min(directive.find('='), directive.size());
    const std::string_view name = trim_ows(directive.substr(0, equals));
    if (iequals(name, "includeSubDomains")) out.subdomains = true;
    if (iequals(name, "preload")) out.preload = true;
    if (!iequals(name, "max-age")) continue;
    std::string_view number =
        equals < directive.size() ? trim_ows(directive.substr(equals + 1)) : std::string_view();
    if (number.size() > 2 && number.front() == '"' && number.back() == '"') {
      number = number.substr(1, number.size() - 2);
    }
    if (!parse_u64(number, out.max_age_s)) return "max-age is a number of seconds";
    out.has_max_age = true;
  }
  return out.has_max_age ? "" : "max-age is missing; as in \"max-age=31536000\"";
}

// Whoever asks to be on the browsers' lists promises what these want; being taken off them again
// takes months.
std::string check_preload(const Hsts& hsts) {
  if (!hsts.preload || (hsts.subdomains && hsts.max_age_s >= kYearS)) return {};
  return "preload wants includeSubDomains and a max-age of a year or more";
}

std::string hsts_text(const Hsts& hsts) {
  return "max-age=" + std::to_string(hsts.max_age_s) +
         (hsts.subdomains ? "; includeSubDomains" : "") + (hsts.preload ? "; preload" : "");
}

proxy::Template constant(std::string_view text) {
  return std::move(proxy::Template::parse(text).value());  // no `$` in what we write ourselves
}

class Reader {
 public:
  explicit Reader(Problems& problems) : problems_(problems) {}

  void take_set(std::span<const SecurityPreset> set) {
    for (const SecurityPreset& preset : set)
      put({preset.name, preset.mode, constant(preset.value)});
  }

  void take_map(const Node& node) {
    MapReader map(node, problems_);
    if (const Node* base = map.find("base")) {
      size_t index = 0;
      if (read_choice(*base, problems_, {"standard", "strict"}, {}, index)) {
        take_set(index == 0 ? standard_set() : strict_set());
      }
    }
    for (const auto& child : node.children) {
      if (map.find(child->key) == nullptr || child->key == "base") continue;
      if (check_header_name(*child, child->key, problems_)) take_field(*child);
    }
    if (node.children.empty()) {
      problems_.error(node, "is empty",
                      "standard and strict are sets, a map names fields, off is none");
    }
    map.finish();
  }

  std::shared_ptr<const SecurityHeaders> finish() {
    for (const char* name : telltale_fields()) {
      if (!is_named(name)) put({name, SecurityMode::kRemove, {}});
    }
    auto edits = std::make_shared<SecurityHeaders>();
    edits->fields = std::move(fields_);
    for (size_t i = 0; i < edits->fields.size(); ++i) {
      SecurityField& field = edits->fields[i];
      field.id = http::classify(field.name);
      field.https_only = iequals(field.name, kHsts);
      edits->by_size[field.name.size() & 63] |= uint64_t{1} << i;
      edits->constant = edits->constant && field.value.is_constant();
    }
    add_constants(true, *edits);
    edits->in_clear = edits->added.size();
    add_constants(false, *edits);
    write_lines(*edits);
    return edits;
  }

 private:
  static void add_constants(bool https_only, SecurityHeaders& edits) {
    for (const SecurityField& field : edits.fields) {
      if (field.https_only != https_only || field.mode == SecurityMode::kRemove) continue;
      if (!field.value.is_constant()) continue;
      edits.added.push_back({field.name, field.value.constant(), field.id});
    }
  }

  static void write_lines(SecurityHeaders& edits) {
    for (const http::Header& header : edits.added) {
      edits.lines.append(header.name).append(": ").append(header.value).append("\r\n");
    }
    const char* at = edits.lines.data();
    for (http::Header& header : edits.added) {
      header.in_line = http::is_token(header.name) && http::is_field_value(header.value);
      header.name = {at, header.name.size()};
      header.value = {at + header.name.size() + 2, header.value.size()};
      at += header.name.size() + header.value.size() + 4;
    }
  }

  bool is_named(std::string_view name) const {
    return std::any_of(named_.begin(), named_.end(),
                       [name](const std::string& one) { return iequals(one, name); });
  }

  void put(SecurityField field) {
    drop(field.name);
    fields_.push_back(std::move(field));
  }

  void drop(std::string_view name) {
    std::erase_if(fields_, [name](const SecurityField& one) { return iequals(one.name, name); });
  }

  void take_field(const Node& node) {
    if (is_named(node.key)) {
      problems_.error(node, shown_name(node, node.key) + " is named twice here");
      return;
    }
    named_.push_back(node.key);
    if (fields_.size() + std::size(kSingular) >= kFieldsMax) {
      problems_.error(node, "more fields than the " + std::to_string(kFieldsMax) +
                                " that weir holds an answer against");
      return;
    }
    SecurityField field{node.key, SecurityMode::kOverride, {}};
    bool off = false;
    const bool good =
        node.kind == options::Kind::kMap ? long_form(node, field, off) : text(node, field.value);
    if (off) {
      drop(node.key);
    } else if (good) {
      put(std::move(field));
    }
  }

  // {value: ..., mode: ...}, and of HSTS its parts instead of the value.
  bool long_form(const Node& node, SecurityField& field, bool& off) {
    MapReader map(node, problems_);
    enum class Word : uint8_t { kOverride, kSetIfAbsent, kAppend, kOff };
    Word word = Word::kOverride;
    map.choice<Word>("mode",
                     {{"override", Word::kOverride},
                      {"set_if_absent", Word::kSetIfAbsent},
                      {"append", Word::kAppend},
                      {"off", Word::kOff}},
                     {}, word);
    off = word == Word::kOff;
    if (word == Word::kSetIfAbsent) field.mode = SecurityMode::kSetIfAbsent;
    if (word == Word::kAppend) field.mode = SecurityMode::kAppend;
    const bool good = value(map, field, off);
    map.finish();
    if (word == Word::kAppend) check_appendable(*map.find("mode"), field.name);
    return good;
  }

  bool value(MapReader& map, SecurityField& field, bool off) {
    const Node* given = map.find("value");
    if (given == nullptr && iequals(field.name, kHsts) && !off) return hsts_parts(map, field);
    if (off) {
      if (given != nullptr) problems_.error(*given, "does nothing with mode: off");
      return false;
    }
    given = map.require("value");
    return given != nullptr && text(*given, field.value);
  }

  bool hsts_parts(MapReader& map, SecurityField& field) {
    Hsts hsts;
    uint64_t max_age_ms = kYearMs;
    map.duration_ms("max_age", {0, 100 * kYearMs}, max_age_ms);
    map.boolean("include_subdomains", hsts.subdomains);
    map.boolean("preload", hsts.preload);
    hsts.max_age_s = max_age_ms / 1000;
    if (std::string wrong = check_preload(hsts); !wrong.empty()) {
      problems_.error(*map.find("preload"), std::move(wrong));
      return false;
    }
    field.value = constant(hsts_text(hsts));
    return true;
  }

  bool text(const Node& node, proxy::Template& out) {
    if (!read_header_value(node, problems_, out)) return false;
    const Node& named = node.key == "value" ? *node.parent : node;
    if (out.empty()) {
      problems_.error(node, "is empty", "{mode: off} leaves the field alone");
      return false;
    }
    if (!iequals(named.key, kHsts) || !out.is_constant()) return true;
    Hsts hsts;
    std::string wrong = parse_hsts(node.text, hsts);
    if (wrong.empty()) wrong = check_preload(hsts);
    if (wrong.empty()) return true;
    problems_.error(node, std::move(wrong));
    return false;
  }

  void check_appendable(const Node& mode, std::string_view name) {
    const bool singular = std::any_of(std::begin(kSingular), std::end(kSingular),
                                      [name](std::string_view one) { return iequals(one, name); });
    if (singular) {
      problems_.error(mode, std::string(name) + " has one value: nothing can be appended",
                      "override or set_if_absent is due");
    }
  }

  Problems& problems_;
  std::vector<SecurityField> fields_;
  std::vector<std::string> named_;
};

}  // namespace

std::shared_ptr<const SecurityHeaders> read_security_headers(const Node& value,
                                                             Problems& problems) {
  Reader reader(problems);
  if (value.kind == options::Kind::kMap || value.kind == options::Kind::kNull) {
    reader.take_map(value);
    return reader.finish();
  }
  size_t index = 0;
  if (!read_choice(value, problems, {"off", "standard", "strict"}, {}, index)) return nullptr;
  reader.take_set(index == 1 ? standard_set() : strict_set());
  return reader.finish();
}

}  // namespace weir::filters
