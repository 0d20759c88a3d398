#include "proxy/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/check.h"
#include "base/strings.h"
#include "http/message.h"
#include "http/params.h"
#include "proxy/snapshot.h"
#include "upstream/hash_table.h"

namespace weir::proxy {

namespace {

using Why = SplitChoice::Why;

// The k-th of 0, 1/2, 1/4, 3/4, 1/8 ... of all buckets: one more never moves those before it.
uint32_t place_of(uint32_t k) {
  uint32_t place = 0;
  for (uint32_t half = kSplitBuckets / 2; k != 0; k >>= 1, half /= 2) {
    if ((k & 1) != 0) place += half;
  }
  return place;
}

std::string_view value_of_cookie(const http::HeaderList& headers, std::string_view wanted) {
  std::string_view found;
  http::for_each_cookie(headers, [&](std::string_view name, std::string_view value) {
    if (found.empty() && name == wanted) found = value;
  });
  return found;
}

std::optional<uint8_t> target_of(const Split& split, std::string_view upstream) {
  if (upstream.empty()) return std::nullopt;
  for (size_t i = 0; i < split.to.size(); ++i) {
    if (split.to[i].cluster->name == upstream) return static_cast<uint8_t>(i);
  }
  return std::nullopt;
}

std::optional<SplitChoice> choose_by_name(const Split& split, const http::HeaderList& headers) {
  if (!split.override_header.empty()) {
    const http::Header* field = headers.find(split.override_header);
    const auto target = target_of(split, field == nullptr ? std::string_view() : field->value);
    if (target) return SplitChoice{Why::kHeader, *target};
  }
  if (!split.override_cookie.empty()) {
    const auto target = target_of(split, value_of_cookie(headers, split.override_cookie));
    if (target) return SplitChoice{Why::kCookie, *target};
  }
  return std::nullopt;
}

SplitChoice choose_by_key(const Split& split, std::string_view key, Why why) {
  const uint32_t bucket = split_bucket(key, split.salt);
  return {why, split.owners[bucket], bucket};
}

bool lists(const http::HeaderList& headers, std::string_view field) {
  bool found = false;
  for (const http::Header& header : headers) {
    if (header.id != http::HeaderId::kVary) continue;
    for_each_list_item(header.value, [&](std::string_view item) {
      found = found || item == "*" || iequals(item, field);
    });
  }
  return found;
}

}  // namespace

uint32_t split_bucket(std::string_view key, uint64_t salt) {
  return static_cast<uint32_t>((upstream::hash_bytes(key, salt) >> 32) * kSplitBuckets >> 32);
}

std::vector<uint8_t> split_layout(const std::vector<uint32_t>& weights) {
  constexpr uint8_t kBase = 0;
  std::vector<uint8_t> owners(kSplitBuckets, kBase);
  for (uint32_t target = 1; target < weights.size(); ++target) {
    const bool upwards = target % 2 == 1;
    const uint32_t step = upwards ? 1 : kSplitBuckets - 1;
    uint32_t at = place_of((target - 1) / 2) + (upwards ? 0 : kSplitBuckets - 1);
    for (uint32_t left = weights[target]; left > 0; at += step) {
      uint8_t& owner = owners[at % kSplitBuckets];
      if (owner != kBase) continue;
      owner = static_cast<uint8_t>(target);
      --left;
    }
  }
  return owners;
}

std::vector<std::string> Split::upstreams() const {
  std::vector<std::string> names;
  for (const SplitTarget& target : to) names.push_back(target.cluster->name);
  return names;
}

std::string Split::identity() const {
  std::string text = name + '\n' + key_text + '\n' + (remembers ? "random" : "control");
  for (const SplitTarget& target : to) {
    text += fmt::format("\n{} {}", target.buckets, target.cluster->name);
  }
  if (rollback_rule) {
    text += fmt::format("\n{} {} {} {}", rollback_rule->error_rate_over, rollback_rule->p95_over,
                        rollback_rule->window_ms, rollback_rule->min_requests);
  }
  return text;
}

void Split::finish() {
  std::vector<uint32_t> weights;
  uint32_t total = 0;
  for (const SplitTarget& target : to) {
    weights.push_back(target.buckets);
    total += target.buckets;
  }
  WEIR_CHECK(total == kSplitBuckets && to.size() <= kSplitTargetsMax);
  owners = split_layout(weights);
  salt = upstream::hash_bytes(name);
  const auto weighty = std::find_if(to.begin(), to.end(),
                                    [](const SplitTarget& target) { return target.buckets > 0; });
  control = static_cast<uint8_t>(weighty - to.begin());
  vary_fields.clear();
  if (!vary) return;
  using Source = upstream::HashKey::Source;
  if (!override_header.empty()) vary_fields.push_back(override_header);
  if (key.source == Source::kHeader && !iequals(key.name, override_header)) {
    vary_fields.push_back(key.name);
  }
  if (key.source == Source::kCookie || remembers || !override_cookie.empty()) {
    vary_fields.emplace_back("Cookie");
  }
}

std::optional<SplitChoice> choose_side(const Split& split, const http::RequestHead& request,
                                       const http::Address& client, std::string_view path) {
  if (const auto by_name = choose_by_name(split, request.headers)) return by_name;
  const std::string_view key = upstream::key_of_request(split.key, request, client, path);
  if (!key.empty()) return choose_by_key(split, key, Why::kKey);
  if (!split.remembers) return SplitChoice{Why::kNoKey, split.control};
  const std::string_view remembered = value_of_cookie(request.headers, split.cookie);
  if (remembered.empty()) return std::nullopt;
  return choose_by_key(split, remembered, Why::kRemembered);
}

SplitChoice side_of(const Split& split, std::string_view drawn) {
  return choose_by_key(split, drawn, Why::kDrawn);
}

void add_vary(const std::vector<std::string>& fields, http::HeaderList& headers) {
  for (const std::string& field : fields) {
    if (!lists(headers, field)) headers.add("Vary", field);
  }
}

void begin_new_splits(const Snapshot& before, const Snapshot& now) {
  std::unordered_set<const upstream::Rollback*> known;
  const auto for_each = [](const Snapshot& snapshot, const auto& visit) {
    for (const Site& site : snapshot.sites) {
      for (const Route& route : site.routes) {
        if (route.split != nullptr && route.split->rollback != nullptr) {
          visit(*route.split->rollback);
        }
      }
    }
  };
  for_each(before, [&](const upstream::Rollback& rollback) { known.insert(&rollback); });
  for_each(now, [&](upstream::Rollback& rollback) {
    if (known.insert(&rollback).second) rollback.begin_anew();
  });
}

}  // namespace weir::proxy
