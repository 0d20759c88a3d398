// Reads a level's `cache`.
#include <string>
#include <utility>
#include <vector>

#include "filters/cache/cache.h"
#include "filters/cache/factory.h"
#include "filters/cache/store.h"
#include "filters/header_name.h"

namespace weir::filters {

namespace {

using cache::KeyOptions;
using options::MapReader;
using options::Node;
using options::Problems;

constexpr uint64_t kDayMs = 86'400'000;
constexpr options::Range<uint64_t> kLifeMs = {0, 3650 * kDayMs};
constexpr options::Range<uint64_t> kLockMs = {0, 600'000};
constexpr size_t kNamesMax = 32;

class CacheSettings : public Settings {
 public:
  explicit CacheSettings(cache::OptionsPtr options) : options_(std::move(options)) {}
  std::unique_ptr<proxy::FilterFactory> make() const override {
    return std::make_unique<cache::Factory>(options_);
  }
  User asks_for() const override {
    switch (options_->key.user) {
      case KeyOptions::User::kSubject: return User::kSubject;
      case KeyOptions::User::kClaim: return User::kClaim;
      default: return User::kNobody;
    }
  }

 private:
  const cache::OptionsPtr options_;
};

std::vector<std::string> read_names(MapReader& map, std::string_view key) {
  std::vector<const Node*> items;
  std::vector<std::string> names;
  if (!map.list(key, items)) return names;
  if (items.size() > kNamesMax) {
    map.problems().error(*map.find(key), "has more than " + std::to_string(kNamesMax) + " names");
  }
  for (const Node* item : items) {
    std::string name;
    if (!options::read_string(*item, map.problems(), name)) continue;
    if (name.empty()) map.problems().error(*item, "is empty");
    names.push_back(std::move(name));
  }
  return names;
}

void read_ignored(MapReader& map, KeyOptions& out) {
  for (std::string& name : read_names(map, "ignore_query")) {
    if (!name.ends_with('*')) {
      out.ignored_parameters.push_back(std::move(name));
      continue;
    }
    name.pop_back();
    if (name.empty()) {
      map.problems().error(*map.find("ignore_query"), "\"*\" is every parameter",
                           "say query: ignored");
    }
    out.ignored_prefixes.push_back(std::move(name));
  }
}

void read_user(const Node& node, Problems& problems, KeyOptions& out) {
  constexpr std::string_view kClaim = "jwt:";
  std::string text;
  if (!options::read_string(node, problems, text)) return;
  if (text == "subject") {
    out.user = KeyOptions::User::kSubject;
  } else if (text.starts_with(kClaim) && text.size() > kClaim.size()) {
    out.user = KeyOptions::User::kClaim;
    out.claim = text.substr(kClaim.size());
  } else {
    problems.invalid(node, "a user", "known are subject and jwt:CLAIM");
  }
}

void read_key(const Node& node, Problems& problems, cache::Options& options) {
  MapReader map(node, problems);
  KeyOptions& key = options.key;
  map.choice("query",
             {{"sorted", KeyOptions::Query::kSorted},
              {"as_sent", KeyOptions::Query::kAsSent},
              {"ignored", KeyOptions::Query::kIgnored}},
             {}, key.query);
  read_ignored(map, key);
  key.headers = read_names(map, "headers");
  if (const Node* list = map.find("headers")) {
    for (const auto& item : list->children) check_header_name(*item, item->text, problems);
  }
  key.cookies = read_names(map, "cookies");
  if (const Node* user = map.find("user")) read_user(*user, problems, key);
  if (key.user != KeyOptions::User::kNone) options.policy.authorized = http::Authorized::kKeyed;
  map.finish();
}

void read_methods(MapReader& map, cache::Options& options) {
  std::vector<const Node*> items;
  if (!map.list("methods", items)) return;
  options.methods = 0;
  for (const Node* item : items) {
    if (item->text == "GET") {
      options.methods |= http::bit(http::Method::kGet);
    } else if (item->text == "HEAD") {
      options.methods |= http::bit(http::Method::kHead);
    } else {
      map.problems().error(*item, "answers to " + item->shown() + " cannot be kept",
                           "GET and HEAD can");
    }
  }
  if (items.empty()) map.problems().error(*map.find("methods"), "is empty", "say cache: off");
}

// A field's name, or off.
void read_field(MapReader& map, std::string_view key, std::string& out) {
  const Node* node = map.find(key);
  if (node == nullptr) return;
  if (options::is_off(*node)) {
    out.clear();
  } else if (options::read_string(*node, map.problems(), out)) {
    check_header_name(*node, out, map.problems());
  }
}

}  // namespace

SettingsPtr cache_standard() { return nullptr; }

SettingsPtr cache_read(const Node& value, const SettingsPtr&, const Reading& reading) {
  MapReader map(value, reading.problems);
  auto made = std::make_shared<cache::Options>();
  cache::Options& options = *made;
  http::CachePolicy& policy = options.policy;
  map.duration_ms("ttl", kLifeMs, policy.ttl_ms);
  map.duration_ms("error_ttl", kLifeMs, policy.error_ttl_ms);
  if (const Node* key = map.find("key")) read_key(*key, reading.problems, options);
  read_methods(map, options);
  map.duration_ms("stale_while_revalidate", kLifeMs, policy.stale_while_revalidate_ms);
  map.duration_ms("stale_if_error", kLifeMs, policy.stale_if_error_ms);
  map.duration_ms("lock", kLockMs, options.lock_ms);
  map.boolean("invalidate_on_write", options.invalidates_on_write);
  read_field(map, "tags", options.tags);
  map.boolean("etag", options.makes_etag);
  options.status_header = "X-Cache";
  read_field(map, "status_header", options.status_header);
  map.boolean("obey_requests", policy.obey_requests);
  map.boolean("heuristics_with_query", policy.heuristics_with_query);
  map.boolean("store_set_cookie", policy.store_set_cookie);
  map.finish();
  if (reading.uses_cache != nullptr) *reading.uses_cache = true;
  return std::make_shared<CacheSettings>(std::move(made));
}

}  // namespace weir::filters
