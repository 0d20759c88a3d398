#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "filters/cache/entry.h"
#include "filters/cache/hash_index.h"
#include "filters/cache/store.h"
#include "support.h"

namespace weir::filters::cache {
namespace {

const StoreOptions kOptions = {.memory_bytes = 32 << 20, .max_object_bytes = 1 << 20, .shards = 8};

bool is_stale(Store& store, std::string_view key) {
  By by;
  const Found found = store.find(key, by);
  REQUIRE(found.reader);
  return found.stale;
}

TEST_CASE("cache purge: by key, by prefix, by tag") {
  Store store(kOptions);
  for (int user = 0; user < 30; ++user) {
    for (int page = 0; page < 30; ++page) {
      const std::string name = "user" + std::to_string(user);
      REQUIRE(put(store, "https://h/" + name + "/" + std::to_string(page), "x",
                  {.tags = {name, page % 2 == 0 ? "even" : "odd"}}));
    }
  }
  CHECK(store.purge("https://h/user1/1", Purge::kRemove) == 1);
  CHECK(store.purge("https://h/user1/1", Purge::kRemove) == 0);
  CHECK(store.purge("https://h/user1/", Purge::kRemove) == 0);
  CHECK_FALSE(has(store, "https://h/user1/1"));
  CHECK(has(store, "https://h/user1/2"));
  CHECK(store.purge_prefix("https://h/user2/", Purge::kRemove) == 30);
  CHECK(store.purge_prefix("https://h/user3", Purge::kRemove) == 30);
  CHECK(store.purge_prefix("https://h/user1", Purge::kRemove) == 329);
  CHECK(store.purge_prefix("http:", Purge::kRemove) == 0);
  CHECK(store.stats().objects == 900 - 390);
  CHECK(store.purge_tag("user4", Purge::kRemove) == 30);
  CHECK(store.purge_tag("user4", Purge::kRemove) == 0);
  CHECK(has(store, "https://h/user5/0"));
  const uint64_t left = store.stats().objects;
  CHECK(store.purge_tag("even", Purge::kRemove) == left / 2);
  CHECK(store.purge_prefix("", Purge::kRemove) == left / 2);
  CHECK(store.stats().objects == 0);
  CHECK(store.stats().entries == 0);
  CHECK(store.stats().purged == 900);
  CHECK(store.stats().bytes <= 16 * 1024);  // of the index
}

TEST_CASE("cache purge: what a write makes void, in steps") {
  Store store(kOptions);
  const std::vector<std::string> urls = {"https://h/a/1", "https://h/a", "https://h/a/"};
  const std::vector<std::string> others = {"https://h/a/2", "https://h/a/10", "https://h/ab",
                                           "https://h/", "https://h/a/1/x"};
  for (const std::string& url : urls) {
    for (const char* more : {"", "?", "?q=1", "\nh:x=1:y", "?q\nh:x=1:y"}) {
      REQUIRE(put(store, url + more, "x"));
    }
  }
  for (const std::string& url : others) REQUIRE(put(store, url, "x"));
  Writer writer = store.begin("https://h/a?growing");
  CHECK(store.purge_resources({}, 10));
  CHECK(store.stats().objects == 20);
  CHECK_FALSE(store.purge_resources(urls, 5));  // and the three URLs themselves
  CHECK(store.stats().objects == 20 - 3 - 5);
  CHECK(store.purge_resources(urls, 7));
  CHECK(store.stats().objects == others.size());
  CHECK(store.purge_resources(urls, 0));
  for (const std::string& url : others) CHECK(has(store, url));
  REQUIRE(writer.start({}) == Room::kOk);
  store.purge_resources(urls, 0);
  CHECK_FALSE(writer.finish());
}

TEST_CASE("cache purge: all variants of a key") {
  Store store(kOptions);
  for (const char* by : {"a", "b", "c"}) {
    REQUIRE(put(store, "k", "x", {.vary = "v", .secondary = by, .tags = {"t"}}));
  }
  CHECK(store.purge("k", Purge::kSoft) == 3);
  CHECK(store.purge_tag("t", Purge::kSoft) == 3);
  CHECK(store.purge("k", Purge::kRemove) == 3);
  CHECK(store.stats().entries == 0);
}

TEST_CASE("cache purge: softly, it stays but is stale until it is fetched or refreshed") {
  Store store(kOptions);
  for (int i = 0; i < 300; ++i) {
    REQUIRE(put(store, "k" + std::to_string(i), "x", {.tags = {"t"}}));
  }
  CHECK(store.purge("k1", Purge::kSoft) == 1);
  CHECK(is_stale(store, "k1"));
  CHECK_FALSE(is_stale(store, "k2"));
  REQUIRE(store.refresh(get(store, "k1"), {}, "with a tag of ours"));
  CHECK(is_stale(store, "k1"));
  REQUIRE(store.refresh(get(store, "k1"), {}, "head", store.begin("k1")));
  CHECK_FALSE(is_stale(store, "k1"));
  CHECK(store.purge_prefix("k1", Purge::kSoft) == 111);
  CHECK(is_stale(store, "k1"));
  CHECK(is_stale(store, "k199"));
  CHECK_FALSE(is_stale(store, "k2"));
  REQUIRE(put(store, "k1", "new", {.tags = {"t"}}));
  CHECK_FALSE(is_stale(store, "k1"));
  CHECK(store.purge_tag("t", Purge::kSoft) == 300);
  CHECK(is_stale(store, "k2"));
  CHECK(store.purge_tag("t", Purge::kRemove) == 300);
  CHECK(store.stats().objects == 0);
}

TEST_CASE("cache purge: all, at once; memory goes step by step") {
  Store store(kOptions);
  for (int i = 0; i < 1'000; ++i) REQUIRE(put(store, std::to_string(i), pattern(1'000, 1)));
  store.purge_all(Purge::kSoft);
  CHECK(is_stale(store, "1"));
  CHECK(store.stats().objects == 1'000);
  REQUIRE(put(store, "1", "new"));
  CHECK_FALSE(is_stale(store, "1"));
  store.purge_all(Purge::kRemove);
  CHECK(store.stats().objects == 0);
  CHECK(store.stats().purged == 1'000);
  CHECK(store.stats().bytes > 1'000'000);
  CHECK_FALSE(has(store, "1"));
  CHECK(store.survey(10).by_hits.empty());
  REQUIRE(put(store, "1", "new"));
  CHECK(has(store, "1"));
  CHECK(store.stats().objects == 1);
  size_t dropped = 0;
  for (int i = 0; i < 100; ++i) dropped += store.sweep(0, 100);
  CHECK(dropped >= 990);
  CHECK(store.stats().entries == 1);
  CHECK(store.stats().bytes < 20'000);
  CHECK(has(store, "1"));
}

TEST_CASE("cache purge: hits what is still growing, on its way to its readers") {
  for (const Purge how : {Purge::kRemove, Purge::kSoft}) {
    Store store(kOptions);
    for (int kind = 0; kind < 4; ++kind) {
      const std::string key = "key" + std::to_string(kind);
      const std::vector<std::string_view> tags = {"a", "t"};
      Answer answer;
      answer.head = "h";
      answer.tags = tags;
      Writer writer = store.begin(key);
      REQUIRE(writer.start(answer) == Room::kOk);
      std::vector<std::string> keys;
      switch (kind) {
        case 0: CHECK(store.purge(key, how) == 1); break;
        case 1: CHECK(store.purge_prefix("ke", how) == (how == Purge::kSoft ? 2 : 1)); break;
        case 2:
          CHECK(store.purge_tag("t", how, &keys) >= 1);
          CHECK(keys == std::vector<std::string>{key});
          break;
        case 3: store.purge_all(how); break;
      }
      CHECK(store.purge_tag("other", how) == 0);
      REQUIRE(writer.append("body") == Room::kOk);
      Reader reader = writer.reader();
      CHECK(writer.finish() == (how == Purge::kSoft));
      CHECK(reader.state() == BodyState::kWhole);
      CHECK(rest_of(reader) == "body");
      if (how == Purge::kRemove) {
        CHECK_FALSE(has(store, key));
      } else {
        CHECK(is_stale(store, key));
      }
    }
  }
}

Room start(Writer& writer, const std::vector<std::string_view>& tags) {
  Answer answer;
  answer.head = "h";
  answer.tags = tags;
  return writer.start(answer);
}

// Whether an answer has a tag is known when its head comes.
TEST_CASE("cache purge: a tag that an answer turns out to have") {
  for (const Purge how : {Purge::kRemove, Purge::kSoft}) {
    Store store(kOptions);
    CHECK(store.purge_tag("a", how) == 0);
    Writer early = store.begin("early");
    Writer other = store.begin("other");
    for (size_t i = 0; i < PurgedTags::kKept - 1; ++i) {
      CHECK(store.purge_tag("page " + std::to_string(i), how) == 0);
    }
    CHECK(store.purge_tag("t", how) == 0);
    CHECK(start(early, {"a", "t"}) == Room::kPurged);
    CHECK_FALSE(early.finish());
    CHECK(start(other, {"a", "o"}) == Room::kOk);
    CHECK(other.finish());
    CHECK(has(store, "other"));
    CHECK_FALSE(has(store, "early"));
    Writer late = store.begin("late");
    CHECK(start(late, {"t"}) == Room::kOk);
    // More than anybody knows one by one.
    Writer slow = store.begin("slow");
    for (size_t i = 0; i <= PurgedTags::kKept; ++i) {
      store.purge_tag("page " + std::to_string(i), how);
    }
    CHECK(start(slow, {"a"}) == Room::kPurged);
    CHECK(late.finish());
    CHECK_FALSE(is_stale(store, "late"));
  }
}

TEST_CASE("cache purge: softly while the origin is asked whether an answer still holds") {
  for (int kind = 0; kind < 6; ++kind) {
    CAPTURE(kind);
    Store store(kOptions);
    REQUIRE(put(store, "k", "x", {.tags = {"t"}}));
    REQUIRE(put(store, "l", "x", {.tags = {"u"}}));
    store.purge("k", Purge::kSoft);
    store.purge_tag("t", Purge::kSoft);
    store.purge_all(Purge::kSoft);
    const Writer asked = store.begin("k");
    switch (kind) {
      case 0: store.purge("k", Purge::kSoft); break;
      case 1: store.purge_prefix("k", Purge::kSoft); break;
      case 2: store.purge_tag("t", Purge::kSoft); break;
      case 3: store.purge_all(Purge::kSoft); break;
      case 4: store.purge_tag("u", Purge::kSoft); break;
      case 5: break;
    }
    REQUIRE(store.refresh(get(store, "k"), {}, "head", asked));
    CHECK(is_stale(store, "k") == (kind < 4));
    // Another one that asked later knows better, also if the first one comes last.
    REQUIRE(store.refresh(get(store, "k"), {}, "head", store.begin("k")));
    CHECK_FALSE(is_stale(store, "k"));
    REQUIRE(store.refresh(get(store, "k"), {}, "head", asked));
    CHECK_FALSE(is_stale(store, "k"));
  }
  for (int kind = 0; kind < 3; ++kind) {
    CAPTURE(kind);
    Store store(kOptions);
    REQUIRE(put(store, "k", "x", {.tags = {"t"}}));
    const Writer asked = store.begin("k");
    const Reader reader = get(store, "k");
    switch (kind) {
      case 0: store.purge("k", Purge::kRemove); break;
      case 1: store.purge_tag("t", Purge::kRemove); break;
      case 2: store.purge_all(Purge::kRemove); break;
    }
    CHECK_FALSE(store.refresh(reader, {}, "head", asked));
    CHECK_FALSE(has(store, "k"));
  }
}

TEST_CASE("cache sweep: drops what is past its time") {
  Store store(kOptions);
  for (uint64_t i = 0; i < 1'000; ++i) {
    Put how;
    how.meta.keep_until_ms = i % 4 == 0 ? 0 : 1'000 + i;
    REQUIRE(put(store, std::to_string(i), "x", how));
  }
  CHECK(store.sweep(1'000, 100'000) == 0);
  size_t dropped = 0;
  for (int i = 0; i < 60; ++i) dropped += store.sweep(1'499, 50);
  CHECK(dropped == 375);
  // The index shrinks meanwhile: what moves behind the sweep's back it sees the next time.
  CHECK(store.sweep(10'000, 100'000) + store.sweep(10'000, 100'000) == 375);
  CHECK(store.stats().objects == 250);
  CHECK(store.stats().expirations == 750);
  CHECK(store.sweep(~uint64_t{0}, 100'000) == 0);
}

// The ordered index by itself, beside a map.
TEST_CASE("cache key tree: in order, whatever comes and goes") {
  Slabs slabs(16 << 20);
  KeyTree tree;
  std::map<std::string, Entry*> model;
  std::mt19937_64 random(5);
  const auto next_key = [&] { return "/" + std::to_string(random() % 3'000); };
  for (int i = 0; i < 40'000; ++i) {
    const std::string key = next_key();
    const auto known = model.find(key);
    if (known == model.end()) {
      const uint32_t cells = Entry::cells_for(key.size());
      Entry& entry = make_entry(slabs.take(cells, cells), key, "", 0, random());
      tree.insert(entry);
      model[key] = &entry;
    } else {
      tree.remove(*known->second);
      slabs.give_back(known->second, known->second->cells);
      model.erase(known);
    }
    const std::string probe = next_key();
    const auto expected = model.lower_bound(probe);
    Entry* const found = tree.at_or_behind(probe);
    REQUIRE(found == (expected == model.end() ? nullptr : expected->second));
  }
  for (const auto& [key, entry] : model) tree.remove(*entry);
  CHECK(tree.at_or_behind("") == nullptr);
}

struct Node {
  uint64_t hash;
  uint32_t next_in_bucket;
};

TEST_CASE("cache hash index: grows and shrinks with what is in it") {
  Slabs slabs(16 << 20);
  HashIndex<Node> index(slabs);
  std::vector<Node*> nodes;
  std::mt19937_64 random(7);
  const auto found = [&](uint64_t hash) {
    return index.find(hash, [](const Node&) { return true; });
  };
  for (const size_t target : {20'000, 100, 5'000, 0, 3'000}) {
    while (nodes.size() < target) {
      Node& node = *new (slabs.take(1, 1).at) Node{random(), 0};
      index.insert(node);
      nodes.push_back(&node);
    }
    std::shuffle(nodes.begin(), nodes.end(), random);
    while (nodes.size() > target) {
      Node& node = *nodes.back();
      REQUIRE(found(node.hash) == &node);
      index.remove(node);
      REQUIRE(found(node.hash) == nullptr);
      slabs.give_back(&node, 1);
      nodes.pop_back();
    }
    CHECK(index.size() == target);
    CHECK(index.buckets() <= std::max<size_t>(16, 4 * target + 4));
    CHECK(index.buckets() >= target);
    size_t seen = 0;
    for (size_t bucket = 0; bucket < index.buckets(); ++bucket) {
      index.for_each_in(bucket, [&](const Node&) { ++seen; });
    }
    CHECK(seen == target);
    for (const Node* node : nodes) REQUIRE(found(node->hash) == node);
  }
}

}  // namespace
}  // namespace weir::filters::cache
