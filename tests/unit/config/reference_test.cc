// The reference, config/README.md, against the code: every key that a reader knows is in one of its
// tables, and every key of its tables is known. So that no reader goes unseen, the file of all keys
// has to hold each of them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "language.h"

namespace weir {

std::filesystem::path test::source_folder() {
  return std::filesystem::path(WEIR_CONFIG_EXAMPLES) / ".." / "..";
}

namespace config {
namespace {

using Keys = std::set<std::string>;

// In defaults and sites only: it matters before there is a route, which knows it to say so.
const std::string kOfSites = "slashes";

// `sites[0].routes[2].headers.request.add` as `sites[].routes[].headers.*.add`.
std::string general(const std::string& key) {
  std::vector<std::string> steps;
  std::istringstream parts(key);
  for (std::string step; std::getline(parts, step, '.');) {
    const size_t bracket = step.find('[');
    steps.push_back(bracket == std::string::npos ? step : step.substr(0, bracket) + "[]");
  }
  for (const char* named : {"listeners", "upstreams", "rate_limits"}) {
    if (steps.size() > 1 && steps[0] == named) steps[1] = "*";
  }
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    if (steps[i] == "security_headers" && steps[i + 1] != "base") steps[i + 1] = "NAME";
    if (steps[i] != "headers" || (steps[i + 1] != "request" && steps[i + 1] != "response")) {
      continue;
    }
    steps[i + 1] = "*";
    if (i + 3 < steps.size() && steps[i + 2] == "set") steps[i + 3] = "NAME";
  }
  std::string out;
  for (const std::string& step : steps) out += (out.empty() ? "" : ".") + step;
  return out;
}

struct Found {
  Keys known;    // somebody asked for it
  Keys present;  // and the file says it
};

Found read_every_key() {
  test::World world;
  const std::string text = test::every_key(world);
  test::OpenBuild open(world, text);
  Found found;
  open.problems.observe_keys(
      [&](const options::Node& map, const std::vector<std::string_view>& keys) {
        const std::string path = map.parent == nullptr ? "" : map.path() + ".";
        for (const std::string_view key : keys)
          found.known.insert(general(path + std::string(key)));
        for (const auto& child : map.children) found.present.insert(general(path + child->key));
      });
  open.run();
  found.known.erase("sites[].routes[]." + kOfSites);
  CHECK(open.problems.errors() == std::vector<std::string>{});
  CHECK(open.problems.warnings() == std::vector<std::string>{});
  return found;
}

Keys below(const Keys& keys, const std::string& prefix) {
  Keys out;
  for (const std::string& key : keys) {
    if (key.starts_with(prefix)) out.insert(key.substr(prefix.size()));
  }
  return out;
}

// What defaults, sites and routes share, under `level.`; the rest as it is.
Keys with_levels(const Keys& keys, const Keys& level) {
  Keys out;
  for (const std::string& key : keys) {
    std::string name = key == "defaults." + kOfSites ? "sites[]." + kOfSites : key;
    for (const char* prefix : {"defaults.", "sites[].routes[].", "sites[]."}) {
      if (!key.starts_with(prefix)) continue;
      const std::string rest = key.substr(std::string_view(prefix).size());
      // What is in one is of it, though `defaults` can hold one way of several.
      const std::string first = rest.substr(0, rest.find('.'));
      if (level.contains(first) && rest != kOfSites) name = "level." + rest;
      break;
    }
    out.insert(std::move(name));
  }
  return out;
}

// The first column of the tables whose first column is "key".
Keys documented() {
  const std::map<std::string, std::string> kSections = {
      {"## Top level", ""},
      {"### log", "log."},
      {"### memory", "memory."},
      {"### admin", "admin."},
      {"### redis", "redis."},
      {"### Memory of the cache", "cache."},
      {"## listeners", "listeners.*."},
      {"**certificates** are chosen by the names in them; the first one is for everybody else.",
       "certificates"},
      {"**tls** of a listener; its keys:", "listeners.*.tls."},
      {"## upstreams", "upstreams.*."},
      {"## rate_limits", "rate_limits.*."},
      {"## sites", "sites[]."},
      {"### Routes", "sites[].routes[]."},
      {"## Level keys: in `defaults`, a site or a route", "level."},
  };
  std::istringstream lines(test::read_text(test::source_folder() / "config/README.md"));
  Keys keys;
  std::string prefix;
  bool in_table = false;
  for (std::string line; std::getline(lines, line);) {
    if (const auto section = kSections.find(line); section != kSections.end()) {
      prefix = section->second;
    }
    if (!line.starts_with("|")) in_table = false;
    if (line.starts_with("| key |")) in_table = true;
    if (!in_table || !line.starts_with("| `")) continue;
    const std::string cell = line.substr(3, line.find('`', 3) - 3);
    INFO(line);
    CHECK(keys.insert(prefix + cell).second);  // twice in one section
  }
  return keys;
}

Keys minus(const Keys& all, const Keys& without) {
  Keys out;
  std::set_difference(all.begin(), all.end(), without.begin(), without.end(),
                      std::inserter(out, out.end()));
  return out;
}

TEST_CASE("reference: what one level knows, every level knows") {
  const Keys known = read_every_key().known;
  const Keys level = below(known, "defaults.");
  CHECK(level.size() >= 15);
  const Keys top_of_level = [&] {  // deeper keys are read only where the file says something
    Keys out;
    for (const std::string& key : level) {
      if (key.find('.') == std::string::npos) out.insert(key);
    }
    return out;
  }();
  CHECK(minus(top_of_level, below(known, "sites[].")) == Keys());
  CHECK(minus(top_of_level, below(known, "sites[].routes[].")) == Keys{kOfSites});
}

TEST_CASE("reference: the file of all keys has them all") {
  const Found found = read_every_key();
  const Keys level = below(found.known, "defaults.");
  CHECK(minus(with_levels(found.known, level), with_levels(found.present, level)) == Keys());
}

TEST_CASE("reference: every key is documented, every documented key is known") {
  const Found found = read_every_key();
  const Keys known = with_levels(found.known, below(found.known, "defaults."));
  const Keys in_reference = documented();
  CHECK(in_reference.size() > 60);
  CHECK(minus(in_reference, known) == Keys());
  Keys missing;
  for (const std::string& key : minus(known, in_reference)) {
    // A map is documented by what it holds.
    const auto inner = in_reference.lower_bound(key + ".");
    const auto item = in_reference.lower_bound(key + "[].");
    const bool by_inner = (inner != in_reference.end() && inner->starts_with(key + ".")) ||
                          (item != in_reference.end() && item->starts_with(key + "[]."));
    if (!by_inner) missing.insert(key);
  }
  CHECK(missing == Keys());
}

}  // namespace
}  // namespace config
}  // namespace weir
