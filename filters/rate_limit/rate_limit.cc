#include "filters/rate_limit/rate_limit.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "filters/rate_limit/request.h"
#include "http/forwarded.h"

namespace weir::filters {

namespace {

using rate_limit::Chain;

class Factory : public proxy::FilterFactory {
 public:
  explicit Factory(Chain chain) : chain_(std::move(chain)) {}
  std::string_view name() const override { return "rate_limit"; }
  proxy::Filter* create(Arena& arena) const override {
    return arena.make<rate_limit::Request>(chain_);
  }
  std::vector<std::string> explain(const proxy::Explained& of) const override {
    std::vector<std::string> lines;
    BlockPool pool;
    Arena arena(pool);
    const rate_limit::Asked asked = {of.head, of.path, of.route_name, nullptr};
    for (const auto& limit : chain_) {
      lines.push_back(limit->name + ": " +
                      (limit->skips(of.path) ? "skips the path"
                                             : "counts by " + key_text(limit->key, asked, arena)));
    }
    return lines;
  }

 private:
  const Chain chain_;
};

class RateLimitSettings : public Settings {
 public:
  explicit RateLimitSettings(Chain chain) : chain_(std::move(chain)) {}
  std::unique_ptr<proxy::FilterFactory> make() const override {
    return std::make_unique<Factory>(chain_);
  }

 private:
  const Chain chain_;
};

SettingsPtr settings_of(Chain chain, bool behind_auth) {
  const bool asks_for_claims = std::any_of(
      chain.begin(), chain.end(), [](const auto& limit) { return limit->key.asks_for_claims(); });
  if (asks_for_claims != behind_auth) return nullptr;
  // One question to Redis, not one for each of them that stands alone.
  std::stable_partition(chain.begin(), chain.end(),
                        [](const auto& limit) { return limit->shared; });
  return std::make_shared<RateLimitSettings>(std::move(chain));
}

}  // namespace

SettingsPtr rate_limit_standard() { return nullptr; }

SettingsPtr rate_limit_read(const options::Node& value, const SettingsPtr&,
                            const Reading& reading) {
  options::Problems& problems = reading.problems;
  std::vector<const options::Node*> items;
  if (!options::read_list(value, problems, items)) return nullptr;
  if (items.empty()) {
    problems.error(value, "is empty", "off switches it off");
  } else if (items.size() > limits::kRateLimitsPerRoute) {
    problems.error(value, fmt::format("more than {} limits", limits::kRateLimitsPerRoute));
  }
  Chain chain;
  for (const options::Node* item : items) {
    std::string name;
    if (!options::read_string(*item, problems, name)) continue;
    const auto found = reading.limits->find(name);
    if (found == reading.limits->end()) {
      std::vector<std::string_view> names;
      for (const auto& [known, limit] : *reading.limits) names.push_back(known);
      problems.unknown(*item, "rate limit", std::move(names));
    } else if (found->second != nullptr) {
      found->second->used = true;
      if (std::find(chain.begin(), chain.end(), found->second) != chain.end()) {
        problems.error(*item, "is named twice");
      }
      chain.push_back(found->second);
    }
  }
  return settings_of(std::move(chain), false);
}

SettingsPtr claim_limit_read(const options::Node& value, const SettingsPtr&,
                             const Reading& reading) {
  Chain chain;
  for (const auto& item : value.children) {
    const auto found = reading.limits->find(item->text);
    if (found != reading.limits->end() && found->second != nullptr) {
      chain.push_back(found->second);
    }
  }
  return settings_of(std::move(chain), true);
}

}  // namespace weir::filters
