// upstreams.NAME.retry and hedge: when a request is sent to another server as well.
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/strings.h"
#include "config/build.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;
using upstream::RetryConfig;

constexpr options::Range<uint64_t> kReplayBytes = {0, 16 << 20};
constexpr options::Range<uint64_t> kBackoffMs = {0, 10'000};

// "connect", "503"
bool read_reason(const Node& node, Problems& problems, RetryConfig& out) {
  std::string word;
  if (!read_string(node, problems, word)) return false;
  uint64_t status = 0;
  if (word == "connect") {
    out.reasons |= RetryConfig::kConnect;
  } else if (word == "reset") {
    out.reasons |= RetryConfig::kReset;
  } else if (word == "timeout") {
    out.reasons |= RetryConfig::kTimeout;
  } else if (word.size() == 3 && parse_u64(word, status) && status >= RetryConfig::kStatusMin &&
             status <= RetryConfig::kStatusMax) {
    out.statuses.set(static_cast<size_t>(status) - RetryConfig::kStatusMin);
  } else {
    problems.error(node, node.shown() + " is no reason to try again",
                   "connect, reset, timeout or a status from 400 to 599");
    return false;
  }
  return true;
}

void read_reasons(const Node& node, Problems& problems, RetryConfig& out) {
  std::vector<const Node*> items;
  if (!read_list(node, problems, items)) return;
  if (items.empty()) problems.error(node, "is empty", "for no retries write attempts: 1");
  out.reasons = 0;
  std::unordered_set<std::string_view> seen;
  for (const Node* item : items) {
    if (read_reason(*item, problems, out) && !seen.insert(item->text).second) {
      problems.error(*item, item->shown() + " is listed twice");
    }
  }
}

}  // namespace

void build_retry(MapReader& upstream, Problems& problems, upstream::Cluster& cluster) {
  RetryConfig& out = cluster.retry;
  const Node* section = upstream.section("retry");
  if (section == nullptr) return;
  out.budgeted = upstream.find("retry") != nullptr;
  MapReader map(*section, problems);
  map.u32("attempts", {1, limits::kAttemptsMax}, out.attempts);
  if (const Node* on = map.find("on")) read_reasons(*on, problems, out);
  if (const Node* budget = map.find("budget")) {
    read_percent(*budget, problems, out.budget);
  } else {
    map.note_default("budget", "20%");
  }
  if (const Node* methods = map.find("methods")) {
    read_methods(*methods, problems, "leave it out for all that may be repeated", out.methods);
  }
  map.size_bytes("body", kReplayBytes, out.body_bytes);
  map.duration_ms("backoff", kBackoffMs, out.backoff_ms);
  if (const Node* backoff = map.find("backoff"); backoff != nullptr && out.attempts < 3) {
    problems.warning(*backoff, "does nothing: the first retry comes at once",
                     "with attempts: 3 there may be a second one");
  }
  map.finish();
}

void build_hedge(MapReader& upstream, Problems& problems, upstream::Cluster& cluster) {
  const Node* section = upstream.find("hedge");
  if (section == nullptr) return;
  upstream::HedgeConfig& out = cluster.hedge;
  MapReader map(*section, problems);
  const Node* after = map.require("after", "a time as in 50ms, or p95");
  if (after != nullptr) {
    if (after->kind != options::Kind::kScalar || after->text != "p95") {
      read_duration_ms(*after, problems, {1, 60'000}, out.after_ms);
    }
  }
  uint32_t max = 1;
  map.u32("max", {0, 1}, max);
  map.finish();
  out.on = max != 0;
  cluster.retry.budgeted |= out.on;
  if (!out.on) return;
  const http::MethodSet hedged = http::bit(http::Method::kGet) | http::bit(http::Method::kHead);
  if ((cluster.retry.methods & hedged) == 0) {
    problems.warning(*section, "does nothing: retry.methods has no GET, and only that is hedged");
  } else if (out.after_ms >= cluster.timeouts.read_ms) {
    problems.warning(*after, "is hardly ever reached: timeouts.read ends the first try before");
  }
}

}  // namespace weir::config
