#include "filters/rate_limit/read.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/arena.h"
#include "base/limits.h"
#include "filters/header_name.h"
#include "http/rules.h"

namespace weir::filters::rate_limit {

namespace {

using options::Kind;
using options::MapReader;
using options::Node;
using options::Problems;

constexpr uint64_t kBurstMax = 1'000'000'000;
constexpr uint64_t kBlockMaxMs = uint64_t{366} * 86'400 * 1000;
constexpr uint64_t kDelayMaxMs = 600'000;
constexpr uint64_t kDelayStandardMs = 5'000;
constexpr size_t kNameMax = 64;
constexpr size_t kPartsMax = 8;

// Goes into a field of the answer, between quotes, and into labels.
bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kNameMax) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

void read_part(const Node& node, Problems& problems, Key& key) {
  std::string text;
  if (!options::read_string(node, problems, text)) return;
  std::optional<KeyPart> part = parse_key_part(text);
  if (!part) {
    problems.invalid(
        node, "a key of a limit",
        "client_ip, host, path, route, header:NAME, cookie:NAME, query:NAME and jwt:CLAIM "
        "are");
    return;
  }
  if (part->source == KeyPart::Source::kHeader && !http::is_token(part->name)) {
    problems.invalid(node, "a key of a limit", "no header has that name");
    return;
  }
  key.parts.push_back(std::move(*part));
}

void read_key(MapReader& map, Key& key) {
  const Node* const node = map.find("key");
  if (node == nullptr) {
    map.note_default("key", "client_ip");
    key.parts.push_back({});
    return;
  }
  if (node->kind != Kind::kList) {
    read_part(*node, map.problems(), key);
    return;
  }
  if (node->children.empty()) map.problems().error(*node, "is empty");
  if (node->children.size() > kPartsMax) {
    map.problems().error(*node, "more than " + std::to_string(kPartsMax) + " parts");
  }
  for (const auto& item : node->children) read_part(*item, map.problems(), key);
}

struct RuleOptions {
  Algorithm algorithm = Algorithm::kTokenBucket;
  options::Rate rate;
  uint64_t burst = 0;
  uint64_t block_ms = 0;
};

// What is too much for the arithmetic is an error of `rate`.
const char* why_too_much(const RuleOptions& options) {
  const options::Rate& rate = options.rate;
  if (rate.per_ms > Rule::kSpanMaxMs) return "a rate is per ten years at most";
  if (options.algorithm == Algorithm::kFixedWindow) {
    return rate.count > Rule::kWindowQuotaMax ? "a fixed window has 2097151 requests at most"
                                              : nullptr;
  }
  if (rate.count > rate.per_ms * (Rule::kRatePerSecondMax / 1000)) {
    return "a token bucket has 1000000/s at most";
  }
  const double span_ms = static_cast<double>(options.burst + 1) * static_cast<double>(rate.per_ms) /
                         static_cast<double>(rate.count);
  return span_ms > static_cast<double>(Rule::kSpanMaxMs)
             ? "with its burst the bucket would take more than ten years to fill"
             : nullptr;
}

bool read_rule(MapReader& map, Rule& out) {
  Problems& problems = map.problems();
  RuleOptions options;
  map.choice("algorithm",
             {{"token_bucket", Algorithm::kTokenBucket}, {"fixed_window", Algorithm::kFixedWindow}},
             {}, options.algorithm);
  const Node* const burst = map.find("burst");
  if (options.algorithm == Algorithm::kFixedWindow && burst != nullptr) {
    problems.error(*burst, "is of the token_bucket: a fixed_window admits its rate at once");
  } else if (options.algorithm == Algorithm::kTokenBucket) {
    map.u64("burst", {0, kBurstMax}, options.burst);
  }
  map.duration_ms("block_for", {0, kBlockMaxMs}, options.block_ms);
  const Node* const rate = map.require("rate", "as in rate: 10/s, or 100/15m");
  if (rate == nullptr || !options::read_rate(*rate, problems, options.rate)) return false;
  if (const char* why = why_too_much(options)) {
    problems.invalid(*rate, "a rate for it", why);
    return false;
  }
  out = options.algorithm == Algorithm::kTokenBucket
            ? Rule::token_bucket(options.rate.count, options.rate.per_ms, options.burst,
                                 options.block_ms)
            : Rule::fixed_window(options.rate.count, options.rate.per_ms, options.block_ms);
  return true;
}

// Behind the rule, whose quota it divides.
void read_delay(MapReader& limit, const Rule& rule, Delay& out) {
  const Node* const node = limit.find("delay");
  if (node == nullptr || options::is_off(*node)) return;
  Problems& problems = limit.problems();
  MapReader map(*node, problems);
  if (!map.is_map()) return;
  map.u64("after", {0, kBurstMax}, out.after);
  if (map.require("by", "as in by: 500ms") != nullptr) {
    map.duration_ms("by", {1, kDelayMaxMs}, out.by_ms);
  }
  out.max_ms = std::max(out.by_ms, kDelayStandardMs);
  if (map.duration_ms("max", {1, kDelayMaxMs}, out.max_ms) && out.max_ms < out.by_ms) {
    problems.error(*map.find("max"), "is less than by");
  }
  map.choice("mode", {{"growing", true}, {"fixed", false}}, {}, out.growing);
  map.u32("per_key", {1, limits::kDelayedMax}, out.per_key);
  map.finish();
  if (const Node* after = node->find("after"); after != nullptr && out.after >= rule.quota) {
    problems.error(
        *after, "nobody would wait: the limit admits " + std::to_string(rule.quota) + " at once");
  }
}

void read_skip(MapReader& map, std::vector<std::string>& out) {
  std::vector<const Node*> items;
  if (!map.list("skip", items)) return;
  BlockPool pool;
  for (const Node* item : items) {
    std::string path;
    if (!options::read_string(*item, map.problems(), path)) continue;
    Arena arena(pool);
    const std::string_view normal =
        path.starts_with('/') ? http::normalise_path(path, false, arena) : std::string_view();
    if (normal.empty() || path.find('?') != std::string::npos) {
      map.problems().invalid(*item, "a path", "it starts with / and has no query");
    } else if (normal != path) {
      map.problems().invalid(*item, "a normalised path",
                             "requests are compared as " + std::string(normal));
    } else {
      out.push_back(std::move(path));
    }
  }
  std::sort(out.begin(), out.end());
}

// RateLimit-Policy, in structured fields (RFC 9651).
void describe(Limit& limit) {
  constexpr uint64_t kNsPerS = 1'000'000'000;
  limit.quoted_name = '"' + limit.name + '"';
  limit.policy = limit.quoted_name + ";q=" + std::to_string(limit.rule.quota) +
                 ";w=" + std::to_string((limit.rule.window_ns + kNsPerS - 1) / kNsPerS);
}

void read_sharing(MapReader& map, bool has_redis, Limit& out) {
  out.shared = has_redis;
  const bool named = map.boolean("shared", out.shared);
  if (named && out.shared && !has_redis) {
    map.problems().error(*map.find("shared"), "needs a Redis",
                         "redis: {url: redis://127.0.0.1:6379/0} at the top level");
  }
  map.choice<OnStoreFailure>("on_store_failure",
                             {{"local", OnStoreFailure::kLocal},
                              {"open", OnStoreFailure::kOpen},
                              {"closed", OnStoreFailure::kClosed}},
                             {}, out.on_store_failure);
  if (const Node* node = map.find("on_store_failure"); node != nullptr && !out.shared) {
    map.problems().error(*node, "does nothing for a limit that is not shared");
  }
}

// Null after reporting.
std::shared_ptr<Limit> read_limit(const Node& node, Problems& problems, bool has_redis) {
  const size_t errors = problems.error_count();
  auto limit = std::make_shared<Limit>();
  limit->name = node.key;
  if (!is_name(node.key)) {
    problems.error(node, options::quote(node.key) + " is not a name for a limit",
                   "letters, digits, dots, dashes and underscores are, 64 at most");
  }
  MapReader map(node, problems);
  if (!map.is_map()) return nullptr;
  read_key(map, limit->key);
  const bool has_rule = read_rule(map, limit->rule);
  read_delay(map, limit->rule, limit->delay);
  map.choice("count", {{"all", false}, {"failures", true}}, {}, limit->failures_only);
  uint32_t status = 429;
  map.u32("status", {400, 599}, status);
  limit->status = static_cast<int>(status);
  map.boolean("legacy_headers", limit->legacy_headers);
  read_skip(map, limit->skip);
  map.u32("ipv6_prefix", {1, 128}, limit->key.ipv6_prefix);
  read_sharing(map, has_redis, *limit);
  map.finish();
  if (!has_rule || problems.error_count() != errors) return nullptr;
  describe(*limit);
  return limit;
}

}  // namespace

Limits read_limits(const Node& section, Problems& problems, bool has_redis) {
  Limits limits;
  if (!MapReader(section, problems).is_map()) return limits;
  for (const auto& node : section.children) {
    limits.emplace(node->key, read_limit(*node, problems, has_redis));
  }
  return limits;
}

void warn_of_unused(const Node& section, const Limits& limits, Problems& problems) {
  for (const auto& node : section.children) {
    const auto found = limits.find(node->key);
    if (found == limits.end() || found->second == nullptr || found->second->used) continue;
    problems.warning(*node, "limits nothing", "no route, site or defaults name it in rate_limit");
  }
}

}  // namespace weir::filters::rate_limit
