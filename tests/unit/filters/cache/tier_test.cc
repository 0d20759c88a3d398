// The second tier, as far as it needs no Redis: keys, what purges are about, whom it trusts.
#include "filters/cache/tier.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "filters/cache/tier_lookup.h"
#include "filters/cache/tier_scripts.h"
#include "proxy/snapshot.h"

namespace weir::filters::cache {
namespace {

using What = proxy::PurgeOrder::What;

TEST_CASE("keys of the second tier are the same in every instance, and short") {
  const std::string primary = "https://a.test/x?b=1\nv=3:app";
  const std::string key = tier_key("weir:", primary);
  CHECK(key == "weir:cache:5a41a83d07c8eefa00ab694b178bbf3d");
  CHECK(tier_key("weir:", primary, "", "") == key);
  CHECK(tier_key("weir:", primary, "accept", "1") != key);
  CHECK(tier_key("weir:", primary, "accept", "1") != tier_key("weir:", primary, "accept", "2"));
  CHECK(tier_url_of(primary) == "https://a.test/x");
  CHECK(tier_url_of("https://a.test/x\nv=3:app") == "https://a.test/x");
  CHECK(tier_url_of("https://a.test/x") == "https://a.test/x");
  CHECK(tier_mark_key("weir:", "https://a.test/x") != tier_key("weir:", "https://a.test/x"));
}

TEST_CASE("a purge is about a value by URL, prefix, tag, or always") {
  proxy::Snapshot snapshot;
  snapshot.hosts.emplace_back();
  const auto hit = [&](What what, const std::string& text) {
    const std::vector<proxy::PurgeOrder> orders = {{what, text, false}};
    return is_purged(orders, "https://a.test/x?a=1&b=2\nv=3:app", "one two", snapshot);
  };
  CHECK(hit(What::kUrl, "https://a.test/x?b=2&a=1"));
  CHECK(hit(What::kUrl, "https://A.test:443/x?a=1&b=2"));
  CHECK_FALSE(hit(What::kUrl, "https://a.test/x"));
  CHECK_FALSE(hit(What::kUrl, "https://b.test/x?a=1&b=2"));
  CHECK_FALSE(hit(What::kUrl, "https://a.test/y?a=1&b=2"));
  CHECK(hit(What::kPrefix, "https://a.test/"));
  CHECK(hit(What::kPrefix, "https://a.test/x?a"));
  CHECK_FALSE(hit(What::kPrefix, "https://a.test/y"));
  CHECK(hit(What::kTag, "one"));
  CHECK(hit(What::kTag, "two"));
  CHECK_FALSE(hit(What::kTag, "on"));
  CHECK_FALSE(hit(What::kTag, "one two"));
  CHECK(hit(What::kAll, ""));
  CHECK_FALSE(is_purged({}, "https://a.test/x", "", snapshot));
}

TEST_CASE("a write is known until Redis has heard of it") {
  Tier tier;
  CHECK(tier.trusts(1, 5));
  const std::vector<std::string> marks = {"a", "b"};
  tier.begin_writes(marks);
  tier.begin_writes({marks.data(), 1});
  CHECK(tier.is_written("a"));
  CHECK(tier.is_written("b"));
  tier.end_writes(marks, true);
  CHECK(tier.is_written("a"));  // the other one is under way
  CHECK_FALSE(tier.is_written("b"));
  CHECK(tier.trusts(1, 5));
  tier.end_writes({marks.data(), 1}, false);
  CHECK(tier.is_written("a"));  // until it is told
  CHECK(tier.trusts(1, 5));
  CHECK(tier.learn({}));
  CHECK(tier.take_untold(10) == std::vector<std::string>{"a"});
  CHECK_FALSE(tier.learn({}));
  CHECK(tier.take_untold(10).empty());
  CHECK(tier.is_written("a"));
  tier.end_writes({marks.data(), 1}, true);
  CHECK_FALSE(tier.is_written("a"));
}

TEST_CASE("too many writes that Redis has not heard of make void all that is there") {
  Tier tier;
  for (size_t i = 0; i <= Tier::kUntoldMax; ++i) {
    const std::string mark = std::to_string(i);
    tier.begin_writes({&mark, 1});
    tier.end_writes({&mark, 1}, false);
  }
  CHECK(tier.is_written("0"));
  CHECK_FALSE(tier.is_written(std::to_string(Tier::kUntoldMax)));
  CHECK(tier.take_untold(64).size() == 64);
  CHECK_FALSE(tier.trusts(999, 1'000));
  CHECK_FALSE(tier.trusts(999, 50'000));
  CHECK(tier.trusts(40'000, 50'000));
  tier.distrust();
  CHECK_FALSE(tier.trusts(40'000, 50'000));
}

TEST_CASE("the second tier knows what the last reply has shown") {
  Tier tier;
  CHECK(tier.view() == nullptr);
  tier.learn({7, "name", 1'000, 900});
  const auto view = tier.view();
  tier.learn({8, "later", 2'000, 1'900});
  CHECK(view->number == 7);
  CHECK(tier.view()->name == "later");
}

TEST_CASE("what is somebody's is not for the second tier") {
  Options options;
  http::Asked asked;
  CHECK(shares_tier(options, asked));
  asked.authorized = true;
  CHECK_FALSE(shares_tier(options, asked));
  asked.authorized = false;
  options.policy.authorized = http::Authorized::kKeyed;
  CHECK_FALSE(shares_tier(options, asked));
}

}  // namespace
}  // namespace weir::filters::cache
