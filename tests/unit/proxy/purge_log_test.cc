// What one instance tells and hears, without a Redis: replies are made here.
#include "proxy/purge_log.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace weir::proxy {
namespace {

using net::RedisReply;
using What = PurgeOrder::What;

PurgeOrder tag(const std::string& name) { return {What::kTag, name, false}; }

// The script's: whether the last known entry was there, the mark, whether there is more, entries.
class Reply {
 public:
  Reply(int64_t known, int64_t number, std::string name, int64_t more,
        std::vector<std::string> entries = {})
      : name_(std::move(name)), entries_(std::move(entries)) {
    add(RedisReply::Kind::kInteger, known, {});
    add(RedisReply::Kind::kInteger, number, {});
    add(RedisReply::Kind::kText, 0, name_);
    add(RedisReply::Kind::kInteger, more, {});
    for (const std::string& entry : entries_) add(RedisReply::Kind::kText, 0, entry);
    all_.kind = RedisReply::Kind::kList;
    all_.items = items_.data();
    all_.size = items_.size();
  }
  const RedisReply& get() const { return all_; }

 private:
  void add(RedisReply::Kind kind, int64_t integer, std::string_view text) {
    RedisReply& item = items_.emplace_back();
    item.kind = kind;
    item.integer = integer;
    item.text = text;
  }
  std::string name_;
  std::vector<std::string> entries_;
  std::vector<RedisReply> items_;
  RedisReply all_;
};

struct World {
  PurgeLog log;
  net::RedisState redis{"test"};
  uint64_t now_ms = 1'000'000;

  PurgeLog::Question ask() {
    PurgeLog::Question question;
    now_ms += PurgeLog::kAskMs;
    REQUIRE(log.begin(redis, now_ms, question));
    return question;
  }
  // The first contact, which knows nothing.
  void meet() {
    PurgeLog::News news;
    REQUIRE(log.take(ask(), Reply(0, 7, "other.7", 0).get(), news));
    REQUIRE(news.lost);
    REQUIRE(log.knows(redis));
  }
};

TEST_CASE("the first answer gives a place in the list, and says that some may be missed") {
  World world;
  CHECK_FALSE(world.log.knows(world.redis));
  const PurgeLog::Question first = world.ask();
  CHECK(first.number == 0);
  CHECK(first.name.empty());
  PurgeLog::News news;
  REQUIRE(world.log.take(first, Reply(0, 7, "other.7", 0).get(), news));
  CHECK(news.lost);
  const PurgeLog::Question second = world.ask();
  CHECK(second.number == 7);
  CHECK(second.name == "other.7");
}

TEST_CASE("others' orders are heard, one's own and the list's first entry are not") {
  World world;
  world.meet();
  const std::string own = world.redis.instance() + ".1";
  PurgeLog::News news;
  REQUIRE(world.log.take(
      world.ask(),
      Reply(1, 10, "other.9", 1, {"other.8 th a", own + " th mine", "third.0-1", "other.9 as"})
          .get(),
      news));
  CHECK_FALSE(news.lost);
  CHECK(news.more);
  REQUIRE(news.orders.size() == 2);
  CHECK(news.orders[0] == tag("a"));
  CHECK(news.orders[1] == PurgeOrder{What::kAll, "", true});
  CHECK(world.ask().number == 10);
}

TEST_CASE("an order of a kind that is not known voids all") {
  World world;
  world.meet();
  PurgeLog::News news;
  REQUIRE(world.log.take(world.ask(), Reply(1, 8, "other.8", 0, {"other.8 zz x"}).get(), news));
  CHECK(news.lost);
}

TEST_CASE("what is told waits until Redis has taken it") {
  World world;
  world.meet();
  CHECK_FALSE(world.log.has_untold());
  world.log.tell(tag("a"));
  world.log.tell(tag("b"));
  PurgeLog::Question question = world.ask();
  CHECK(world.log.has_untold());
  REQUIRE(question.entries.size() == 2);
  CHECK(question.entries[0].second == "th a");
  CHECK(question.entries[0].first.starts_with(world.redis.instance() + "."));
  CHECK(question.entries[0].first != question.entries[1].first);
  world.log.miss(question);
  const PurgeLog::Question again = world.ask();
  CHECK(again.entries == question.entries);  // by the same names: Redis may have them already
  world.log.tell(tag("c"));
  PurgeLog::News news;
  REQUIRE(world.log.take(again, Reply(1, 9, again.entries[1].first, 0).get(), news));
  CHECK(news.more);
  question = world.ask();
  REQUIRE(question.entries.size() == 1);
  CHECK(question.entries[0].second == "th c");
  REQUIRE(world.log.take(question, Reply(1, 10, question.entries[0].first, 0).get(), news));
  CHECK_FALSE(world.log.has_untold());
}

TEST_CASE("a reply that is none changes nothing") {
  World world;
  world.meet();
  world.log.tell(tag("a"));
  PurgeLog::News news;
  CHECK_FALSE(world.log.take(world.ask(), RedisReply(), news));
  CHECK_FALSE(world.log.take(world.ask(), Reply(1, 0, "x", 0).get(), news));
  const PurgeLog::Question question = world.ask();
  CHECK(question.number == 7);
  CHECK(question.entries.size() == 1);
}

TEST_CASE("one asks at a time, and when it is due") {
  World world;
  PurgeLog::Question first;
  PurgeLog::Question other;
  REQUIRE(world.log.begin(world.redis, 5'000, first));
  CHECK_FALSE(world.log.begin(world.redis, 5'000 + PurgeLog::kAskMs, other));
  world.log.miss(first);
  CHECK_FALSE(world.log.begin(world.redis, 5'001, other));
  world.log.tell(tag("a"));  // does not wait for its time
  REQUIRE(world.log.begin(world.redis, 5'002, first));
  // Who got lost with its question does not keep the others from asking; nor does it answer then.
  REQUIRE(world.log.begin(world.redis, 5'002 + PurgeLog::kBusyMs, other));
  PurgeLog::News news;
  CHECK(world.log.take(first, Reply(1, 99, "other.99", 0, {"other.99 as"}).get(), news));
  CHECK(news.orders.empty());
  CHECK_FALSE(world.log.knows(world.redis));
}

TEST_CASE("too many that wait become one of all") {
  World world;
  world.meet();
  for (size_t i = 0; i < PurgeLog::kWaitingMax; ++i) world.log.tell(tag("t"));
  const PurgeLog::Question before = world.ask();
  CHECK(before.entries.size() == PurgeLog::kBatchMax);
  world.log.tell(tag("one more"));
  PurgeLog::News news;
  REQUIRE(world.log.take(before, Reply(1, 8, before.entries.back().first, 0).get(), news));
  const PurgeLog::Question after = world.ask();
  REQUIRE(after.entries.size() == 1);
  CHECK(after.entries[0].second == "as");
}

TEST_CASE("a call has a bounded size, and at least one order") {
  World world;
  world.meet();
  const std::string longest(PurgeOrder::kTextBytesMax, 't');
  for (int i = 0; i < 10; ++i) world.log.tell(tag(longest));
  const PurgeLog::Question question = world.ask();
  CHECK(question.entries.size() * longest.size() <= PurgeLog::kBatchBytes);
  CHECK_FALSE(question.entries.empty());
}

TEST_CASE("another Redis is another list") {
  World world;
  world.meet();
  const net::RedisState other("other");
  CHECK_FALSE(world.log.knows(other));
  PurgeLog::Question question;
  REQUIRE(world.log.begin(other, world.now_ms + PurgeLog::kAskMs, question));
  CHECK(question.number == 0);
  CHECK(question.instance == other.instance());
}

TEST_CASE("who asks is woken until it says that it does not ask any more") {
  PurgeLog log;
  int woken = 0;
  log.add_waker(&woken, [&] { ++woken; });
  log.tell(tag("a"));
  CHECK(woken == 1);
  log.remove_waker(&woken);
  log.tell(tag("b"));
  CHECK(woken == 1);
}

}  // namespace
}  // namespace weir::proxy
