// The top-level `cache`: the memory for all answers that are kept.
#include <algorithm>

#include "config/build.h"
#include "config/load.h"
#include "filters/cache/answers.h"
#include "filters/cache/purges.h"
#include "filters/cache/store.h"
#include "filters/cache/tier.h"
#include "net/redis_config.h"

namespace weir::config {

using filters::User;
using filters::cache::Eviction;
using filters::cache::Store;
using filters::cache::StoreOptions;
using options::MapReader;
using options::Node;

namespace {

constexpr options::Range<uint64_t> kTierObjectBytes = {1024, 4 << 20};

void read_tier(Build& build, const Node& section, bool has_redis) {
  MapReader map(section, build.problems);
  bool enabled = true;
  uint64_t object_bytes = 1 << 20;
  map.boolean("enabled", enabled);
  map.size_bytes("max_object", kTierObjectBytes, object_bytes);
  map.finish();
  if (!enabled) return;
  build.snapshot.tier_object_bytes = object_bytes;
  if (!has_redis) {
    build.problems.error(section, "there is no Redis",
                         "the top-level redis says where it is: redis: {url: "
                         "\"redis://127.0.0.1:6379\"}");
  }
}

// A second tier that hears of writes all the time.
bool is_same(const std::shared_ptr<const net::RedisConfig>& one,
             const std::shared_ptr<const net::RedisConfig>& other) {
  return one != nullptr && other != nullptr && one->identity == other->identity;
}

}  // namespace

void build_cache(Build& build, const Node& section, bool has_redis) {
  MapReader map(section, build.problems);
  StoreOptions& options = build.store;
  map.size_bytes("memory", options::Range<uint64_t>{Store::kMemoryMin, Store::kMemoryMax},
                 options.memory_bytes);
  options.max_object_bytes = std::min(options.max_object_bytes, options.memory_bytes / 4);
  map.size_bytes("max_object", options::Range<uint64_t>{1024, uint64_t{4} << 30},
                 options.max_object_bytes);
  map.choice("eviction", {{"lru", Eviction::kLru}, {"s3fifo", Eviction::kS3Fifo}}, {},
             options.eviction);
  if (const Node* redis = map.find("redis")) read_tier(build, *redis, has_redis);
  map.finish();
  if (options.max_object_bytes > options.memory_bytes / 4) {
    build.problems.key_error(section, "max_object", "is more than a quarter of memory",
                             "an answer that large would drive out too much of the others");
  }
}

const Node* user_key_of(const Node& cache) {
  const Node* const key = cache.find("key");
  return key == nullptr ? nullptr : key->find("user");
}

// A route that asks for it itself is wrong without; an outer level may be meant for other routes.
void check_user_key(Build& build, const Node& route, const Level& level) {
  if (level.user_key == nullptr) return;
  User wanted = User::kNobody;
  for (const auto& filter : level.filters) {
    if (filter != nullptr) wanted = std::max(wanted, filter->asks_for());
  }
  if (wanted == User::kNobody) return;  // it is off, or bad
  const bool told = std::any_of(
      level.filters.begin(), level.filters.end(),
      [wanted](const auto& filter) { return filter != nullptr && filter->tells(wanted); });
  const Node* const own = route.find("cache");
  if (own != nullptr && user_key_of(*own) == level.user_key) {
    if (told) return;
    build.problems.error(*level.user_key, "the route has no auth that tells it",
                         wanted == User::kClaim ? "auth.jwt does" : "auth.basic and auth.jwt do");
    return;
  }
  for (auto& [key, known] : build.user_keys) {
    if (key != level.user_key) continue;
    known = known || told;
    return;
  }
  build.user_keys.emplace_back(level.user_key, told);
}

void warn_of_user_keys(Build& build) {
  for (const auto& [key, told] : build.user_keys) {
    if (told) continue;
    build.problems.warning(*key,
                           "no route has an auth that tells it: requests with Authorization pass "
                           "the cache by");
  }
}

// The store itself is made or changed by put_cache_in_force(): this configuration may be refused
// yet, or only be looked at.
void bind_cache(Build& build) {
  if (build.uses_cache) build.snapshot.answers = &filters::cache::answers();
}

void put_cache_in_force(const LoadResult& next, const proxy::Snapshot* before) {
  if (next.cache) filters::cache::configure_store(*next.cache);
  Store* const store = filters::cache::store();
  if (store == nullptr || before == nullptr) return;
  const bool stays = next.cache && before->answers != nullptr;
  if (!stays || !is_same(next.snapshot->tier_redis, before->tier_redis)) {
    filters::cache::tier().distrust();
  }
  if (!stays) filters::cache::purge_all(*store, filters::cache::Purge::kRemove);
}

}  // namespace weir::config
