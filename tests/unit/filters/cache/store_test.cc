#include "filters/cache/store.h"

#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <vector>

#include "support.h"

namespace weir::filters::cache {
namespace {

StoreOptions small(Eviction eviction = Eviction::kLru) {
  return {.memory_bytes = 8 << 20, .max_object_bytes = 4 << 20, .eviction = eviction, .shards = 1};
}

TEST_CASE("cache store: what was stored is found, byte for byte") {
  Store store(small());
  for (const size_t size : {0, 1, 900, 1024, 5000, 65'000, 65'536, 1'000'000}) {
    for (const bool sized : {true, false}) {
      const std::string key = "k" + std::to_string(size) + (sized ? "s" : "u");
      const std::string body = pattern(size, size);
      Put how;
      how.sized = sized;
      how.meta.status = 203;
      how.meta.stored_at_ms = 34;
      REQUIRE(put(store, key, body, how, "the head"));
      Reader reader = get(store, key);
      REQUIRE(reader);
      CHECK(reader.head() == "the head");
      CHECK(reader.meta().status == 203);
      CHECK(reader.meta().stored_at_ms == 34);
      CHECK(reader.state() == BodyState::kWhole);
      CHECK(reader.published() == size);
      CHECK(rest_of(reader) == body);
      for (const uint64_t from : {uint64_t{0}, uint64_t{size / 2}, uint64_t{size}}) {
        reader.seek(from);
        CHECK(rest_of(reader) == body.substr(from));
      }
    }
  }
  CHECK_FALSE(has(store, "k"));
  const StoreStats stats = store.stats();
  CHECK(stats.objects == 16);
  CHECK(stats.hits == 16);
  CHECK(stats.misses == 1);
  CHECK(stats.growing_bytes == 0);
}

// The unused tail of a body whose length nobody knew is given back.
TEST_CASE("cache store: overhead") {
  Store store(small());
  const uint64_t empty = store.stats().bytes;
  for (int i = 0; i < 100; ++i) {
    Put how;
    how.sized = false;
    REQUIRE(put(store, "https://www.example.com/a/page/" + std::to_string(i), pattern(10'000, 1),
                how, std::string(300, 'h')));
  }
  const uint64_t each = (store.stats().bytes - empty) / 100;
  CHECK(each < 10'000 + 300 + 900);
  CHECK(store.purge_prefix("https://", Purge::kRemove) == 100);
  CHECK(store.stats().bytes <= empty + 1024);  // a piece of the index stays in hand
}

TEST_CASE("cache store: an answer takes the place of the one before") {
  Store store(small());
  REQUIRE(put(store, "a", "one"));
  Reader before = get(store, "a");
  REQUIRE(put(store, "a", "two!"));
  Reader now = get(store, "a");
  CHECK(rest_of(now) == "two!");
  CHECK(rest_of(before) == "one");
  CHECK(store.stats().objects == 1);
  CHECK_FALSE(store.remove(before));
  CHECK(store.remove(now));
  CHECK_FALSE(has(store, "a"));
  CHECK(rest_of(now).empty());
  now.seek(0);
  CHECK(rest_of(now) == "two!");
}

TEST_CASE("cache store: variants") {
  Store store(small());
  Put how{.vary = "accept-encoding", .secondary = "gzip"};
  REQUIRE(put(store, "a", "zipped", how));
  how.secondary = "br";
  REQUIRE(put(store, "a", "broken", how));
  Reader reader = get(store, "a", "gzip");
  REQUIRE(reader);
  CHECK(rest_of(reader) == "zipped");
  By by("zstd");
  const Found found = store.find("a", by);
  CHECK_FALSE(found.reader);
  CHECK(found.known);
  CHECK(by.seen == "accept-encoding");
  CHECK(store.stats().objects == 2);
  CHECK(store.stats().entries == 1);
}

TEST_CASE("cache store: variants of one key are capped, the least recently used goes") {
  Store store(small());
  Put how{.vary = "user-agent"};
  for (int i = 0; i < 10'000; ++i) {
    how.secondary = "agent " + std::to_string(i);
    REQUIRE(put(store, "a", "x", how));
    REQUIRE(has(store, "a", "agent 0"));
  }
  CHECK(store.stats().objects == Store::kVariantsMax);
  CHECK(has(store, "a", "agent 9999"));
  CHECK(has(store, "a", "agent 9940"));
  CHECK_FALSE(has(store, "a", "agent 9900"));
}

TEST_CASE("cache store: a refresh keeps the body, its readers keep their head") {
  Store store(small());
  const std::string body = pattern(100'000, 3);
  REQUIRE(put(store, "a", body, {}, "old head"));
  const uint64_t bytes = store.stats().bytes;
  Reader before = get(store, "a");
  Meta meta;
  meta.stored_at_ms = 17;
  REQUIRE(store.refresh(before, meta, "a new and longer head"));
  Reader now = get(store, "a");
  CHECK(now.head() == "a new and longer head");
  CHECK(now.meta().stored_at_ms == 17);
  CHECK(before.head() == "old head");
  CHECK(rest_of(now) == body);
  CHECK(rest_of(before) == body);
  CHECK_FALSE(now == before);
  CHECK(store.stats().bytes - bytes < 1000);
  CHECK(store.stats().objects == 1);
  before = {};
  now = {};
  CHECK(store.stats().bytes <= bytes + 64);
}

TEST_CASE("cache store: more codings of an answer") {
  Store store(small());
  const uint64_t empty = store.stats().bytes;
  REQUIRE(put(store, "a", "identity", {}, "head"));
  Reader reader = get(store, "a");
  CHECK_FALSE(reader.has(Encoding::kGzip));
  Writer writer = store.begin_encoding(reader, Encoding::kGzip, "content-encoding: gzip", 0);
  REQUIRE(writer);
  REQUIRE(writer.append("zip") == Room::kOk);
  // Refreshed meanwhile: the coding is still one of the same body.
  REQUIRE(store.refresh(reader, {}, "another head"));
  CHECK(writer.finish());
  Reader both = get(store, "a");
  CHECK(both.head() == "another head");
  REQUIRE(both.has(Encoding::kGzip));
  CHECK(both.encoding() == Encoding::kIdentity);
  CHECK(rest_of(both) == "identity");
  both.open(Encoding::kGzip);
  CHECK(both.suffix() == "content-encoding: gzip");
  CHECK(rest_of(both) == "zip");
  CHECK_FALSE(reader.has(Encoding::kGzip));

  // A better one takes its place; who reads the first one has it still.
  Writer better = store.begin_encoding(both, Encoding::kGzip, "", 2);
  REQUIRE(better.append("zp") == Room::kOk);
  Writer brotli = store.begin_encoding(both, Encoding::kBr, "", 1);
  REQUIRE(brotli.append("b") == Room::kOk);
  CHECK(better.finish());
  CHECK(brotli.finish());
  Reader three = get(store, "a");
  three.open(Encoding::kGzip);
  CHECK(rest_of(three) == "zp");
  three.open(Encoding::kBr);
  CHECK(rest_of(three) == "b");
  both.seek(0);
  CHECK(rest_of(both) == "zip");

  // Of an answer that another one has replaced.
  Writer late = store.begin_encoding(three, Encoding::kZstd, "", 0);
  REQUIRE(put(store, "a", "new"));
  CHECK_FALSE(late.finish());
  CHECK_FALSE(get(store, "a").has(Encoding::kZstd));
  CHECK_FALSE(store.begin_encoding(three, Encoding::kZstd, "", 0));

  reader = both = three = {};
  CHECK(store.purge("a", Purge::kRemove) == 1);
  CHECK(store.stats().bytes == empty);
  CHECK(store.stats().growing_bytes == 0);
}

// As on a busy server: who asked first works with an old object of the answer.
TEST_CASE("cache store: an answer is known by its bodies, whatever happened to its head") {
  Store store(small());
  REQUIRE(put(store, "a", "identity", {.vary = "v", .secondary = "1"}, "head"));
  REQUIRE(put(store, "a", "other", {.vary = "v", .secondary = "2"}, "head"));
  const Reader first = get(store, "a", "1");
  REQUIRE(store.refresh(first, {}, "second head"));
  Writer coding = store.begin_encoding(first, Encoding::kGzip, "", 0);
  REQUIRE(coding);
  REQUIRE(coding.append("zip") == Room::kOk);
  CHECK(coding.finish());
  CHECK(store.refresh(first, {}, "third head"));
  Reader third = get(store, "a", "1");
  CHECK(third.head() == "third head");
  REQUIRE(third.has(Encoding::kGzip));
  third.open(Encoding::kGzip);
  CHECK(rest_of(third) == "zip");
  CHECK(get(store, "a", "2").head() == "head");
  CHECK(store.remove(first));
  CHECK_FALSE(has(store, "a", "1"));
  CHECK(has(store, "a", "2"));
  CHECK_FALSE(store.refresh(first, {}, "of what has gone"));
  CHECK_FALSE(store.remove(first));
  CHECK_FALSE(store.begin_encoding(first, Encoding::kGzip, "", 0));
  // The same bytes once more are another answer.
  REQUIRE(put(store, "a", "identity", {.vary = "v", .secondary = "1"}, "head"));
  CHECK_FALSE(store.refresh(first, {}, "of the one before"));
  CHECK_FALSE(store.remove(first));
}

TEST_CASE("cache store: what is over a bound is not stored") {
  Store store(small());
  const uint64_t empty = store.stats().bytes;
  CHECK_FALSE(store.begin(std::string(Store::kKeyBytesMax + 1, 'k')));
  Answer answer;
  const std::string long_head(Store::kHeadBytesMax + 1, 'h');
  answer.head = long_head;
  CHECK(store.begin("a").start(answer) == Room::kTooLarge);
  answer.head = "h";
  answer.expected_bytes = (4 << 20) + 1;
  CHECK(store.begin("a").start(answer) == Room::kTooLarge);
  answer.expected_bytes = 0;
  Writer writer = store.begin("a");
  REQUIRE(writer.start(answer) == Room::kOk);
  Reader reader = writer.reader();
  REQUIRE(writer.append(pattern(3 << 20, 1)) == Room::kOk);
  CHECK(writer.append(pattern(3 << 20, 2)) == Room::kTooLarge);
  CHECK(writer.append("x") == Room::kTooLarge);
  CHECK_FALSE(writer.finish());
  CHECK(reader.state() == BodyState::kBroken);
  CHECK(rest_of(reader) == pattern(3 << 20, 1));
  CHECK_FALSE(has(store, "a"));
  reader = {};
  CHECK(store.stats().bytes == empty);
}

TEST_CASE("cache store: an answer with tags that no purge could find is not stored") {
  Store store(small());
  const uint64_t empty = store.stats().bytes;
  std::vector<std::string> names;
  for (size_t i = 0; i <= Store::kTagsMax; ++i) names.push_back("tag" + std::to_string(i));
  std::vector<std::string_view> tags(names.begin(), names.end());
  const std::string longest(Store::kTagNameBytesMax, 't');
  const std::string too_long = longest + "t";
  Answer answer;
  answer.tags = tags;
  CHECK(store.begin("a").start(answer) == Room::kTags);
  tags = {too_long};
  answer.tags = tags;
  CHECK(store.begin("a").start(answer) == Room::kTags);
  tags = {longest, longest, longest, longest, "t"};
  answer.tags = tags;
  CHECK(store.begin("a").start(answer) == Room::kTags);
  CHECK(store.stats().bytes == empty);
  tags.pop_back();
  REQUIRE(put(store, "a", "x", {.tags = tags}));
  CHECK(store.purge_tag(longest, Purge::kRemove) == 1);
  tags.assign(names.begin() + 1, names.end());
  REQUIRE(put(store, "a", "x", {.tags = tags}));
  CHECK(store.purge_tag("tag64", Purge::kRemove) == 1);
}

// Of key, Vary list and head as long as they may be, in a store full of small things.
TEST_CASE("cache store: the longest keys and heads find room") {
  Store store(small());
  for (int i = 0; i < 40'000; ++i) REQUIRE(put(store, std::to_string(i), "0123456789"));
  CHECK(store.stats().evictions > 10'000);
  const std::string key(8192, 'k');
  const std::string head(16'384, 'h');
  REQUIRE(put(store, key, pattern(100'000, 1), {.vary = std::string(4000, 'v')}, head));
  Reader reader = get(store, key);
  REQUIRE(reader);
  CHECK(reader.head() == head);
  CHECK(rest_of(reader) == pattern(100'000, 1));
}

TEST_CASE("cache store: what is being read is not freed, and not evicted for nothing") {
  Store store(small());
  std::vector<Reader> readers;
  std::vector<std::string> bodies;
  for (uint64_t i = 0; i < 4; ++i) {
    bodies.push_back(pattern(1'000'000, i));
    REQUIRE(put(store, std::to_string(i), bodies.back()));
    readers.push_back(get(store, std::to_string(i)));
  }
  for (uint64_t i = 100; i < 200; ++i) REQUIRE(put(store, std::to_string(i), pattern(500'000, i)));
  for (size_t i = 0; i < readers.size(); ++i) CHECK(rest_of(readers[i]) == bodies[i]);
  CHECK(has(store, "0"));
  // All of it is being read: who comes now is told, and nothing breaks.
  readers.clear();
  for (uint64_t i = 0; i < 9; ++i) {
    const std::string key = "r" + std::to_string(i);
    if (!put(store, key, pattern(1'000'000, i))) break;
    readers.push_back(get(store, key));
  }
  CHECK(readers.size() >= 6);
  CHECK(readers.size() <= 8);
  Answer answer;
  answer.expected_bytes = 2 << 20;
  Writer writer = store.begin("w");
  Room room = writer.start(answer);
  const std::string piece(10'000, 'p');
  for (int i = 0; room == Room::kOk && i < 200; ++i) room = writer.append(piece);
  CHECK(room == Room::kNoMemory);
  CHECK_FALSE(writer.finish());
  readers.clear();
  CHECK(put(store, "w", pattern(2 << 20, 1)));
}

TEST_CASE("cache store: what grows may have half of the memory") {
  Store store(small());
  std::vector<Writer> writers;
  const std::string piece(64'000, 'p');
  uint64_t appended = 0;
  for (int i = 0; i < 200; ++i) {
    writers.push_back(store.begin(std::to_string(i)));
    if (writers.back().start({}) != Room::kOk || writers.back().append(piece) != Room::kOk) break;
    appended += piece.size();
  }
  CHECK(appended > 3 << 20);
  CHECK(appended <= 4 << 20);
  CHECK(store.stats().growing_bytes <= (4 << 20) + 100'000);
  for (Writer& writer : writers) writer.abort();
  CHECK(store.stats().growing_bytes == 0);
  CHECK(store.stats().bytes == 0);
}

TEST_CASE("cache store: the most asked for and the largest") {
  Store store({.memory_bytes = 8 << 20, .shards = 8});
  CHECK(store.stats().oldest_stored_at_ms == 0);
  for (uint64_t i = 1; i <= 100; ++i) {
    Put how;
    how.meta.stored_at_ms = 1000 + i;
    how.meta.status = 200;
    REQUIRE(put(store, "k" + std::to_string(i), pattern(i * 500, i), how));
    for (uint64_t n = 0; n < 100 - i; ++n) get(store, "k" + std::to_string(i));
  }
  const Survey survey = store.survey(3);
  REQUIRE(survey.by_hits.size() == 3);
  CHECK(survey.by_hits[0].key == "k1");
  CHECK(survey.by_hits[0].hits == 99);
  CHECK(survey.by_hits[2].key == "k3");
  REQUIRE(survey.by_bytes.size() == 3);
  CHECK(survey.by_bytes[0].key == "k100");
  CHECK(survey.by_bytes[0].bytes > 50'000);
  CHECK(survey.by_bytes[2].key == "k98");
  CHECK(store.stats().oldest_stored_at_ms == 1001);
  CHECK(store.survey(1000).by_hits.size() == 100);
}

TEST_CASE("cache store: how old the oldest answer is") {
  Store store(small());
  const auto keep = [&](std::string_view key, uint64_t at_ms) {
    Put how;
    how.meta.stored_at_ms = at_ms;
    REQUIRE(put(store, key, "body", how));
  };
  const auto oldest = [&] { return store.stats().oldest_stored_at_ms; };
  keep("a", 10);
  keep("b", 20);
  keep("c", 30);
  // One more coding makes it no younger, a validation does.
  Writer coded = store.begin_encoding(get(store, "a"), Encoding::kGzip, "", 2);
  REQUIRE(coded.append("zz") == Room::kOk);
  REQUIRE(coded.finish());
  CHECK(oldest() == 10);
  Meta meta;
  meta.stored_at_ms = 40;
  REQUIRE(store.refresh(get(store, "a"), meta, "head"));
  CHECK(oldest() == 20);
  keep("b", 50);
  CHECK(oldest() == 30);
  store.purge("c", Purge::kRemove);
  CHECK(oldest() == 40);
  // What is purged all at once goes later, one by one.
  store.purge_all(Purge::kRemove);
  CHECK(oldest() == 0);
  keep("d", 60);
  CHECK(oldest() == 60);
  keep("a", 70);
  for (int i = 0; i < 10; ++i) store.sweep(1, 1'000);
  CHECK(oldest() == 60);
  store.purge("d", Purge::kRemove);
  CHECK(oldest() == 70);
  store.purge_all(Purge::kSoft);
  CHECK(oldest() == 70);
  store.purge("a", Purge::kRemove);
  CHECK(oldest() == 0);
}

}  // namespace
}  // namespace weir::filters::cache
