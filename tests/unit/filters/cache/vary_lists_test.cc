// Answers of one key that have different Vary lists (RFC 9111 4.1).
#include <catch2/catch.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filters/cache/store.h"
#include "support.h"

namespace weir::filters::cache {
namespace {

using Keys = std::map<std::string, std::string, std::less<>>;  // by Vary list

StoreOptions small() { return {.memory_bytes = 8 << 20, .max_object_bytes = 4 << 20, .shards = 1}; }

// A request of which the keys by some lists are known; those by others fit nothing.
class ByLists final : public SecondaryKey {
 public:
  explicit ByLists(Keys keys) : keys_(std::move(keys)) {}
  std::string_view by(std::string_view vary) override {
    asked.emplace_back(vary);
    const auto at = keys_.find(vary);
    return at == keys_.end() ? "?" : std::string_view(at->second);
  }
  std::vector<std::string> asked;

 private:
  const Keys keys_;
};

// "" where there is none.
std::string body_for(Store& store, Keys keys) {
  ByLists by(std::move(keys));
  Found found = store.find("a", by);
  return found.reader ? rest_of(found.reader) : "";
}

Put varying(std::string vary, std::string secondary, uint64_t stored_at_ms) {
  Put how{.vary = std::move(vary), .secondary = std::move(secondary)};
  how.meta.stored_at_ms = stored_at_ms;
  return how;
}

TEST_CASE("cache store: each answer is told apart by its own Vary list") {
  Store store(small());
  REQUIRE(put(store, "a", "zipped", varying("accept-encoding", "gzip", 10)));
  REQUIRE(put(store, "a", "en", varying("accept-language", "en", 20)));
  CHECK(store.stats().objects == 2);
  CHECK(body_for(store, {{"accept-encoding", "gzip"}}) == "zipped");
  CHECK(body_for(store, {{"accept-language", "en"}}) == "en");
  CHECK(body_for(store, {{"accept-language", "fr"}}).empty());
  ByLists none(Keys{});
  CHECK(store.find("a", none).known);
  CHECK(none.asked.size() == 2);
  // Of several that fit the latest; of a refreshed one it is the time of that.
  const Keys both = {{"accept-encoding", "gzip"}, {"accept-language", "en"}};
  CHECK(body_for(store, both) == "en");
  ByLists by(Keys{{"accept-encoding", "gzip"}});
  Meta meta;
  meta.stored_at_ms = 30;
  REQUIRE(store.refresh(store.find("a", by).reader, meta, "head"));
  CHECK(body_for(store, both) == "zipped");
  // Each replaces its own.
  REQUIRE(put(store, "a", "english", varying("accept-language", "en", 40)));
  CHECK(store.stats().objects == 2);
  CHECK(body_for(store, both) == "english");
}

TEST_CASE("cache store: an answer without Vary stands behind those with one") {
  Store store(small());
  REQUIRE(put(store, "a", "forgotten", varying("", "", 5)));
  CHECK(body_for(store, {}) == "forgotten");
  REQUIRE(put(store, "a", "en", varying("accept-language", "en", 10)));
  CHECK(body_for(store, {}).empty());
  REQUIRE(put(store, "a", "default", varying("", "", 20)));
  CHECK(body_for(store, {{"accept-language", "en"}}) == "en");
  CHECK(body_for(store, {{"accept-language", "fr"}}) == "default");
  REQUIRE(put(store, "a", "fr", varying("accept-language", "fr", 30)));
  CHECK(body_for(store, {}).empty());
  CHECK(store.stats().objects == 2);
}

TEST_CASE("cache store: Vary lists of one key are capped, and all of them are purged") {
  const auto list = [](int i) { return "x-" + std::to_string(i); };
  Store store(small());
  for (int i = 0; i < 10'000; ++i) {
    const auto at = static_cast<uint64_t>(i);
    REQUIRE(put(store, "a", std::to_string(i), varying(list(i), "1", at)));
    REQUIRE(put(store, "a", std::to_string(i), varying(list(i), "2", at)));
  }
  CHECK(store.stats().objects == 2 * Store::kVaryListsMax);
  CHECK(body_for(store, {{list(9'999), "2"}}) == "9999");
  CHECK(body_for(store, {{list(9'996), "1"}}) == "9996");
  CHECK(body_for(store, {{list(9'995), "1"}}).empty());
  REQUIRE(put(store, "b", "other", varying("", "", 1)));
  SECTION("by key") { CHECK(store.purge("a", Purge::kRemove) == 2 * Store::kVaryListsMax); }
  SECTION("by prefix") { CHECK(store.purge_prefix("a", Purge::kRemove) == 8); }
  SECTION("softly") {
    CHECK(store.purge_prefix("a", Purge::kSoft) == 8);
    ByLists by(Keys{{list(9'996), "1"}});
    CHECK(store.find("a", by).stale);
    CHECK(store.purge("a", Purge::kRemove) == 8);
  }
  SECTION("by sweep") {
    store.purge_all(Purge::kRemove);
    CHECK(body_for(store, {{list(9'999), "2"}}).empty());
    REQUIRE(put(store, "b", "other", varying("", "", 1)));
    for (int i = 0; i < 10 && store.stats().entries > 1; ++i) store.sweep(1, 1'000);
  }
  CHECK(store.stats().objects == 1);
  CHECK(store.stats().entries == 1);
  CHECK(has(store, "b"));
}

}  // namespace
}  // namespace weir::filters::cache
