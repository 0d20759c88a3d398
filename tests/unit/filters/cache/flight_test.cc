#include "filters/cache/flight.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "filters/cache/store.h"

namespace weir::filters::cache {
namespace {

class Waiting final : public Passenger {
 public:
  ~Waiting() { leave(); }
  void on_news(News news) noexcept override { heard.emplace(std::move(news)); }
  std::optional<News> heard;
};

struct Joined {
  Flights::Join how;
  Lead lead;
  News news;
};

Joined join(Flights& all, Passenger& passenger, std::string_view key = "k",
            uint64_t now_ms = 1000) {
  Joined out;
  out.how = all.join(key, passenger, out.lead, out.news, now_ms);
  return out;
}

TEST_CASE("the first one leads and the others wait") {
  Waiting first, second, third;
  Joined lead = join(flights(), first);
  REQUIRE(lead.how == Flights::Join::kLead);
  CHECK(join(flights(), second).how == Flights::Join::kWait);
  CHECK(join(flights(), third, "other").how == Flights::Join::kLead);
  CHECK_FALSE(flights().try_lead("k"));
  lead.lead.finish();
  REQUIRE(second.heard);
  CHECK(second.heard->kind == News::Kind::kAgain);
  second.leave();
  CHECK(flights().try_lead("k"));
}

TEST_CASE("a lead that is dropped goes on to the next") {
  Waiting first, second, third;
  {
    Joined lead = join(flights(), first);
    join(flights(), second);
    join(flights(), third);
  }
  REQUIRE(second.heard);
  CHECK(second.heard->kind == News::Kind::kLead);
  CHECK_FALSE(third.heard);
  // It leaves before it has taken the lead.
  second.leave();
  REQUIRE(third.heard);
  Lead lead = third.take_lead();
  CHECK(lead);
  lead.finish();
  CHECK(flights().try_lead("k"));
}

TEST_CASE("what cannot be shared keeps nobody waiting for a while") {
  Waiting first, second, third;
  Joined lead = join(flights(), first, "refused");
  join(flights(), second, "refused");
  lead.lead.refuse(1000);
  REQUIRE(second.heard);
  CHECK(second.heard->kind == News::Kind::kAgain);
  CHECK(join(flights(), third, "refused", 2000).how == Flights::Join::kAlone);
  CHECK(join(flights(), third, "refused", 12'000).how == Flights::Join::kLead);
}

TEST_CASE("who comes later reads along") {
  StoreOptions options;
  options.memory_bytes = Store::kMemoryMin;
  Store store(options);
  Writer writer = store.begin("k");
  REQUIRE(writer);
  Answer answer;
  answer.head = "head";
  REQUIRE(writer.start(answer) == Room::kOk);
  Waiting first, second, third;
  Joined lead = join(flights(), first);
  join(flights(), second);
  lead.lead.publish(writer.reader(), "accept", "x", true);
  REQUIRE(second.heard);
  CHECK(second.heard->kind == News::Kind::kRead);
  CHECK(second.heard->reader == writer.reader());
  CHECK(second.heard->vary == "accept");
  const Joined late = join(flights(), third);
  CHECK(late.how == Flights::Join::kRead);
  CHECK(late.news.secondary == "x");
  // Nobody joins what a purge has made void.
  flights().outdate([](std::string_view key) { return key == "k"; });
  CHECK(join(flights(), third).how == Flights::Join::kLead);
  second.heard.reset();
  lead.lead.finish();
}

TEST_CASE("nobody boards what is closed, and whom it is for is known") {
  StoreOptions options;
  options.memory_bytes = Store::kMemoryMin;
  Store store(options);
  Writer writer = store.begin("k");
  Answer answer;
  answer.head = "head";
  REQUIRE(writer.start(answer) == Room::kOk);
  Waiting first, second, third;
  Joined lead = join(flights(), first);
  SECTION("one waits for the end") {
    REQUIRE(join(flights(), second).how == Flights::Join::kWait);
    lead.lead.publish(writer.reader(), "", "", false);
    CHECK(lead.lead.close());
    CHECK_FALSE(writer.is_read());
    second.leave();
    CHECK_FALSE(lead.lead.close());
  }
  SECTION("one reads along") {
    REQUIRE(join(flights(), second).how == Flights::Join::kWait);
    lead.lead.publish(writer.reader(), "", "", true);
    CHECK_FALSE(lead.lead.close());
    CHECK(writer.is_read());
    second.heard.reset();
    CHECK_FALSE(writer.is_read());
  }
  CHECK(join(flights(), third).how == Flights::Join::kLead);
  lead.lead.finish();
}

TEST_CASE("threads that join and leave have one lead at a time", "[threads]") {
  std::atomic<int> leads{0};
  std::atomic<int> at_once{0};
  std::atomic<bool> crowded{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        Waiting passenger;
        Joined joined = join(flights(), passenger, "busy");
        if (joined.how == Flights::Join::kLead) {
          if (++at_once != 1) crowded = true;
          ++leads;
          --at_once;
          joined.lead.finish();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(leads > 0);
  CHECK_FALSE(crowded);
}

}  // namespace
}  // namespace weir::filters::cache
