#include "filters/cache/tier_lookup.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "filters/cache/intake.h"
#include "filters/cache/purge_keys.h"
#include "filters/cache/tier.h"
#include "filters/cache/tier_written.h"
#include "http/chars.h"
#include "http/url.h"
#include "http/vary.h"
#include "net/worker.h"
#include "proxy/purge_log.h"
#include "proxy/snapshot.h"

namespace weir::filters::cache {

namespace {

using proxy::PurgeOrder;

bool has_tag(std::string_view tags, std::string_view tag) {
  while (!tags.empty()) {
    const size_t end = std::min(tags.find(' '), tags.size());
    if (tags.substr(0, end) == tag) return true;
    tags.remove_prefix(std::min(end + 1, tags.size()));
  }
  return false;
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

// Keys are made only where the path is the same: most orders are about something else.
bool is_url_of(const std::string& text, std::string_view key, const proxy::Snapshot& snapshot) {
  const std::optional<http::Url> url = http::parse_url(text);
  if (!url || !tier_url_of(key).ends_with(path_of(url->target))) return false;
  const std::string_view own = key.substr(0, key.find('\n'));
  const std::vector<std::string> keys = keys_of_url(text, snapshot);
  return std::find(keys.begin(), keys.end(), own) != keys.end();
}

bool hits(const PurgeOrder& order, std::string_view key, std::string_view tags,
          const proxy::Snapshot& snapshot) {
  using What = PurgeOrder::What;
  switch (order.what) {
    case What::kUrl: return is_url_of(order.text, key, snapshot);
    case What::kPrefix: return key.starts_with(key_prefix(order.text));
    case What::kTag: return has_tag(tags, order.text);
    case What::kAll: break;
  }
  return true;
}

// As Vary has them.
bool are_names(std::string_view vary) {
  return vary.size() <= http::kVaryTextMax && std::all_of(vary.begin(), vary.end(), [](char c) {
           return c == ',' || http::is_byte(c, http::kTokenByte);
         });
}

}  // namespace

// Soft ones as well: what has to be validated is of no use from here.
bool is_purged(std::span<const PurgeOrder> orders, std::string_view key, std::string_view tags,
               const proxy::Snapshot& snapshot) {
  return std::any_of(orders.begin(), orders.end(),
                     [&](const PurgeOrder& order) { return hits(order, key, tags, snapshot); });
}

bool shares_tier(const Options& options, const http::Asked& asked) {
  return !asked.authorized && options.policy.authorized != http::Authorized::kKeyed;
}

TierLookup::TierLookup(proxy::ProxyWorker& worker, std::string_view key,
                       const http::CacheFields& fields, User& user)
    : worker_(worker), key_(key), fields_(fields), user_(user), call_(worker.net(), *this) {}

int64_t TierLookup::now_ms() const { return static_cast<int64_t>(worker_.wall_us() / 1000); }

// What was purged or written to here may not have reached Redis yet: it would answer with what was
// there before.
bool TierLookup::start() {
  net::Redis& redis = worker_.tier_redis();
  if (!redis.up()) return false;
  const net::RedisConfig& config = *redis.config();
  mark_key_ = tier_mark_key(config.key_prefix, tier_url_of(key_));
  if (tier().is_written(mark_key_)) {
    TierWritten::tell_again(worker_);
    return false;
  }
  if (proxy::purge_log().has_untold()) return false;
  until_ms_ = worker_.net().now_ms() + config.timeout_ms;
  return ask(tier_key(config.key_prefix, key_), config.timeout_ms);
}

bool TierLookup::ask(std::string key, uint64_t timeout_ms) {
  value_key_ = std::move(key);
  asked_at_ms_ = now_ms();
  return worker_.tier_redis().call(call_, kTierGetScript, 3, 1, timeout_ms);
}

void TierLookup::write_words(net::RedisCommand& command) {
  command.add(value_key_);
  command.add(mark_key_);
  const net::RedisConfig& config = *worker_.tier_redis().config();
  command.add(config.key_prefix + "purges");
  command.add(static_cast<int64_t>(config.reply_bytes - kTierReplyRestBytes));
}

bool TierLookup::on_redis_reply(const net::RedisReply& reply) {
  const int64_t state = reply.integer_at(0, -1);
  const int64_t now = reply.integer_at(1, -1);
  const int64_t number = reply.integer_at(2, -1);
  if (state < 0 || state > static_cast<int64_t>(TierState::kVaries) || now < 0 || number < 0 ||
      reply.size < kTierReplyFixed || reply.items[3].kind != net::RedisReply::Kind::kText) {
    return false;
  }
  if (number > 0 && tier().learn({static_cast<uint64_t>(number), std::string(reply.items[3].text),
                                  now, now_ms()})) {
    TierWritten::tell_again(worker_);
  }
  if (!use(reply)) miss();
  return true;
}

void TierLookup::miss() {
  tier().stats.misses.fetch_add(1, std::memory_order_relaxed);
  user_.on_tier(nullptr);
}

// False: it is a miss.
bool TierLookup::use(const net::RedisReply& reply) {
  const auto state = static_cast<TierState>(reply.items[0].integer);
  if (state == TierState::kNone || state == TierState::kOutdated) return false;
  const bool has_text = reply.size > kTierReplyFixed &&
                        reply.items[kTierReplyFixed].kind == net::RedisReply::Kind::kText;
  const std::string_view text = has_text ? reply.items[kTierReplyFixed].text : std::string_view();
  if (state == TierState::kVaries && has_text) return ask_variant(text);
  std::optional<TierValue> value =
      state == TierState::kValue ? read_tier_value(text) : std::nullopt;
  if (!value || value->key != key_) {
    tier().stats.bad.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (is_void(reply, *value)) return false;
  const int64_t redis_ms = reply.items[1].integer;
  // By when it was asked for, and not a moment younger; what comes from the future came then.
  value->lifetime.received_ms =
      asked_at_ms_ - std::max<int64_t>(0, redis_ms - value->lifetime.received_ms);
  TierStats& stats = tier().stats;
  (user_.on_tier(&*value) ? stats.hits : stats.misses).fetch_add(1, std::memory_order_relaxed);
  return true;
}

// For an answer's own names of Vary once more: what stands at the key itself has none.
bool TierLookup::ask_variant(std::string_view vary) {
  const uint64_t now = worker_.net().now_ms();
  if (std::exchange(varies_, true) || !are_names(vary) || now >= until_ms_) return false;
  BlockPool blocks;
  Arena arena(blocks);
  const std::string_view secondary = RequestVariant(fields_, arena).by(vary);
  const net::RedisConfig* const config = worker_.tier_redis().config();
  if (secondary.empty() || config == nullptr) return false;
  return ask(tier_key(config->key_prefix, key_, vary, secondary), until_ms_ - now);
}

// Whether a purge that came later is about it, or may be.
bool TierLookup::is_void(const net::RedisReply& reply, const TierValue& value) const {
  const auto now = static_cast<uint64_t>(reply.items[1].integer);
  if (!tier().trusts(value.mark.asked_ms, now)) return true;
  std::vector<PurgeOrder> orders;
  for (size_t i = kTierReplyFixed + 1; i < reply.size; ++i) {
    const std::string_view entry = reply.items[i].text;
    const size_t blank = std::min(entry.find(' '), entry.size() - 1);
    std::optional<PurgeOrder> order = proxy::order_of_text(entry.substr(blank + 1));
    if (!order) return true;  // of a newer weir: whatever it was
    orders.push_back(std::move(*order));
  }
  return is_purged(orders, key_, value.tags, worker_.snapshot());
}

}  // namespace weir::filters::cache
