// What a write makes void: URLs with any query, in one walk through the shards.
#include <algorithm>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "filters/cache/shard.h"
#include "filters/cache/store.h"

namespace weir::filters::cache {

namespace {

// Answers that go while one lock is held.
constexpr size_t kStep = 64;

std::string_view common_prefix(std::span<const std::string> urls) {
  std::string_view common = urls.front();
  for (const std::string_view url : urls) {
    const auto end = std::mismatch(common.begin(), common.end(), url.begin(), url.end()).first;
    common = common.substr(0, static_cast<size_t>(end - common.begin()));
  }
  return common;
}

}  // namespace

bool is_key_of(std::string_view key, std::string_view url) {
  if (!key.starts_with(url)) return false;
  return key.size() == url.size() || key[url.size()] == '?' || key[url.size()] == '\n';
}

bool Store::purge_resources(std::span<const std::string> urls, size_t budget) {
  if (urls.empty()) return true;
  std::vector<std::string> prefixes;  // of their keys that have more behind the URL
  for (const std::string& url : urls) {
    purge(url, Purge::kRemove);
    prefixes.push_back(url + "?");
    prefixes.push_back(url + "\n");
  }
  const std::string common(common_prefix(urls));
  for (const std::unique_ptr<Shard>& shard : shards_) {
    if (!purge_resources(*shard, common, urls, prefixes, budget)) return false;
  }
  return true;
}

bool Store::purge_resources(Shard& shard, const std::string& common,
                            std::span<const std::string> urls,
                            std::span<const std::string> prefixes, size_t& budget) {
  const auto is_hit = [urls](const Growing& one) {
    return std::any_of(urls.begin(), urls.end(),
                       [&](const std::string& url) { return is_key_of(one.key, url); });
  };
  std::string from = common;
  size_t hits = 0;
  {
    Garbage garbage(slabs_);
    const std::lock_guard lock(shard.mutex);
    shard.enter(now());
    shard.purge_growing(Purge::kRemove, is_hit);
    // A budget of nothing only asks whether there is any: in most shards there is none.
    if (shard.purge_prefix(common, Purge::kRemove, 0, from, hits, garbage)) return true;
  }
  for (const std::string& prefix : prefixes) {
    from = prefix;
    for (bool done = false; !done;) {
      const size_t step = std::min(budget, kStep);
      Garbage garbage(slabs_);
      const std::lock_guard lock(shard.mutex);
      shard.enter(now());
      const size_t before = hits;
      done = shard.purge_prefix(prefix, Purge::kRemove, step, from, hits, garbage);
      budget -= done ? std::min(step, hits - before) : step;
      if (!done && budget == 0) return false;
    }
  }
  return true;
}

}  // namespace weir::filters::cache
