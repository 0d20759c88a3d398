// Which requests a route takes (path, path_regex, methods, match) and what it makes of their paths
// (rewrite, slashes).
#include <algorithm>
#include <string_view>
#include <utility>

#include "base/arena.h"
#include "base/limits.h"
#include "base/strings.h"
#include "config/build.h"
#include "filters/header_name.h"
#include "http/rules.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

constexpr size_t kConditionsMax = 32;  // of one route

// A path that no normalised request path can equal is a mistake.
bool check_path(const Node& node, std::string_view path, bool merge_slashes, Problems& problems) {
  constexpr std::string_view kNoun = "a path";
  if (!path.starts_with('/')) {
    problems.invalid(node, kNoun, "it starts with / or =/");
    return false;
  }
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '?' || c == '#') {
      problems.invalid(node, kNoun, "spaces, ?, # and what is not ASCII are percent-encoded");
      return false;
    }
  }
  BlockPool pool;
  Arena arena(pool);
  const std::string_view normal = http::normalise_path(path, merge_slashes, arena);
  if (normal == path) return true;
  problems.invalid(node, kNoun,
                   normal.empty() ? std::string("it holds broken percent-encoding or climbs out")
                                  : "requests are matched as " + options::quote(normal));
  return false;
}

bool read_path(const Node& node, bool merge_slashes, Problems& problems, proxy::Route& route) {
  std::string text;
  if (!read_string(node, problems, text)) return false;
  if (route.name.empty()) route.name = text;
  const bool exact = text.starts_with('=');
  route.path = exact ? text.substr(1) : text;
  route.match = exact                       ? proxy::PathMatch::kExact
                : route.path.ends_with('/') ? proxy::PathMatch::kPrefix
                                            : proxy::PathMatch::kSegment;
  return check_path(node, route.path, merge_slashes, problems);
}

std::shared_ptr<const proxy::Regex> read_regex(Build& build, const Node& node) {
  std::string text;
  if (!read_string(node, build.problems, text)) return nullptr;
  if (text.empty()) {
    build.problems.error(node, "is empty");
    return nullptr;
  }
  // Sites that are made by a machine repeat their patterns: one program, and one DFA, for all.
  std::shared_ptr<const proxy::Regex>& known = build.regexes[text];
  if (known != nullptr) return known;
  Result<std::shared_ptr<const proxy::Regex>> compiled = proxy::Regex::compile(text);
  if (!compiled.ok()) {
    build.problems.invalid(node, "a regular expression (RE2)", compiled.error());
    return nullptr;
  }
  known = std::move(compiled.value());
  return known;
}

bool read_path_regex(Build& build, const Node& node, proxy::Route& route) {
  route.match = proxy::PathMatch::kRegex;
  route.regex = read_regex(build, node);
  if (route.regex == nullptr) return false;
  if (route.name.empty()) route.name = route.regex->pattern();
  return true;
}

}  // namespace

void read_methods(const Node& node, Problems& problems, std::string if_empty,
                  http::MethodSet& out) {
  std::vector<const Node*> items;
  if (!read_list(node, problems, items)) return;
  if (items.empty()) problems.error(node, "is empty", std::move(if_empty));
  const std::string known = http::method_list(http::kPassedMethods);
  http::MethodSet listed = 0;
  for (const Node* item : items) {
    std::string name;
    if (!read_string(*item, problems, name)) continue;
    const http::MethodSet method = http::bit(http::parse_method(name));
    if (method == http::bit(http::Method::kConnect) || method == http::bit(http::Method::kTrace)) {
      problems.error(*item, "weir passes no " + item->shown() + " on");
    } else if ((method & http::kPassedMethods) == 0) {
      problems.error(*item, "no method " + item->shown() + "; known are " + known);
    } else if ((method & listed) != 0) {
      problems.error(*item, item->shown() + " is listed twice");
    }
    listed |= method;
  }
  out = listed & http::kPassedMethods;
  if ((out & http::bit(http::Method::kGet)) != 0) out |= http::bit(http::Method::kHead);
}

namespace {

// One of match.header, match.query, match.cookie: a map of names to exact values.
void read_named(const Node& node, proxy::Condition::Kind kind, Problems& problems,
                std::vector<proxy::Condition>& out) {
  if (!MapReader(node, problems).is_map()) return;
  if (node.children.empty()) problems.error(node, "is empty", "name: value is due");
  for (const auto& entry : node.children) {
    proxy::Condition condition{kind, entry->key, {}};
    if (!read_string(*entry, problems, condition.value)) continue;
    if (kind != proxy::Condition::Kind::kQuery) {
      if (!http::is_token(condition.name)) {
        problems.error(*entry, options::quote(condition.name) + " is not a " +
                                   (kind == proxy::Condition::Kind::kHeader ? "header" : "cookie") +
                                   " name");
        continue;
      }
      if (!http::is_field_value(condition.value) || trim_ows(condition.value) != condition.value) {
        problems.invalid(*entry, "a value that a request can have",
                         "it holds a control character, or a blank at an end");
        continue;
      }
    } else if (condition.name.empty()) {
      problems.error(*entry, "\"\" is not a parameter's name");
      continue;
    }
    if (kind == proxy::Condition::Kind::kHeader) {
      std::transform(condition.name.begin(), condition.name.end(), condition.name.begin(),
                     to_lower);
    }
    const bool twice = std::any_of(out.begin(), out.end(), [&](const proxy::Condition& other) {
      return other.kind == kind && other.name == condition.name;
    });
    if (twice) {
      problems.error(*entry, options::quote(entry->key) + " is named twice here");
      continue;
    }
    out.push_back(std::move(condition));
  }
}

void read_conditions(const Node& node, Problems& problems, proxy::Conditions& out) {
  using Kind = proxy::Condition::Kind;
  MapReader map(node, problems);
  for (const auto& [key, kind] :
       {std::pair{"header", Kind::kHeader}, {"query", Kind::kQuery}, {"cookie", Kind::kCookie}}) {
    if (const Node* named = map.find(key)) read_named(*named, kind, problems, out.named);
  }
  map.finish();
  if (map.is_map() && node.children.empty()) {
    problems.error(node, "is empty", "one of header, query and cookie is due");
  }
  if (out.named.size() > kConditionsMax) {
    problems.error(node, "has more than " + std::to_string(kConditionsMax) + " conditions");
  }
  std::sort(out.named.begin(), out.named.end());
}

}  // namespace

bool build_match(Build& build, MapReader& map, const Level& level, proxy::Route& route) {
  const Node* path = map.find("path");
  const Node* regex = map.find("path_regex");
  bool placed = false;
  if (path != nullptr) placed = read_path(*path, level.merge_slashes, build.problems, route);
  if (regex != nullptr && path == nullptr) placed = read_path_regex(build, *regex, route);
  if (regex != nullptr && path != nullptr) {
    build.problems.error(*regex, "stands beside path", "a route has one of them");
    placed = false;
  }
  if (regex == nullptr && path == nullptr) {
    build.problems.key_error(map.node(), "path", "is required", "or path_regex");
  }
  if (const Node* methods = map.find("methods")) {
    read_methods(*methods, build.problems, "leave it out to take every method",
                 route.conditions.methods);
  }
  if (const Node* match = map.find("match")) {
    read_conditions(*match, build.problems, route.conditions);
  }
  return placed;
}

void build_rewrite(Build& build, const Node& node, proxy::Route& route) {
  auto rewrite = std::make_shared<proxy::Rewrite>();
  MapReader map(node, build.problems);
  const Node* prefix = map.find("strip_prefix");
  const Node* regex = map.find("regex");
  const Node* replace = map.find("replace");
  map.finish();
  if (prefix != nullptr && read_string(*prefix, build.problems, rewrite->strip_prefix) &&
      check_path(*prefix, rewrite->strip_prefix, false, build.problems)) {
    if (rewrite->strip_prefix.ends_with('/')) rewrite->strip_prefix.pop_back();
    if (rewrite->strip_prefix.empty()) build.problems.error(*prefix, "strips nothing");
  }
  if (regex != nullptr) rewrite->regex = read_regex(build, *regex);
  if (regex != nullptr && replace == nullptr) {
    build.problems.key_error(node, "replace", "is required", "it takes the place of the match");
  } else if (regex == nullptr && replace != nullptr) {
    build.problems.key_error(node, "regex", "is required", "it says what is replaced");
  } else if (rewrite->regex != nullptr) {
    filters::read_template(*replace, build.problems, rewrite->replace, rewrite->regex.get());
  }
  if (map.is_map() && prefix == nullptr && regex == nullptr && replace == nullptr) {
    build.problems.error(node, "is empty", "strip_prefix, or regex and replace, are due");
  }
  if (route.action != proxy::Action::kUpstream) {
    build.problems.error(node, "changes what an upstream gets; this route has none");
  }
  route.rewrite = std::move(rewrite);
}

void read_slashes(MapReader& map, Level& level) {
  map.choice<bool>("slashes", {{"keep", false}, {"merge", true}}, {}, level.merge_slashes);
}

}  // namespace weir::config
