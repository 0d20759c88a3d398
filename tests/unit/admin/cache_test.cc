#include "admin/cache.h"

#include <catch2/catch.hpp>

#include <string>

#include "admin/metrics_text.h"
#include "admin/report.h"
#include "base/arena.h"
#include "fake_source.h"
#include "proxy/answer_store.h"

namespace weir::admin {
namespace {

using What = proxy::PurgeOrder::What;

class FakeStore final : public proxy::AnswerStore {
 public:
  proxy::AnswerStats stats() override { return now; }
  proxy::TopAnswers top(size_t n) override {
    asked_for = n;
    const proxy::AnswerLine line = {"http://a.test/\nh:x=1:y", "gzip", 5, 700, 61'999, 203};
    return {{line}, {}};
  }
  uint64_t purge(const proxy::PurgeOrder&, const proxy::Snapshot&) override { return 0; }
  void outdate_all() override {}
  void sweep() override {}
  bool unused() override { return false; }

  proxy::AnswerStats now;
  size_t asked_for = 0;
};

std::string error_of(std::string_view body) {
  const Result<proxy::PurgeOrder> order = read_purge(body);
  return order.ok() ? "" : order.error();
}

proxy::LocalReply get(FakeSource& source, std::string_view query = {}) {
  BlockPool pool;
  Arena arena(pool);
  http::RequestHead request(arena);
  request.query = query;
  return show_cache(source, request);
}

TEST_CASE("bodies that purge") {
  const auto read = [](std::string_view body) { return read_purge(body).value(); };
  CHECK(read(R"({"url":"https://a.test/x"})") ==
        proxy::PurgeOrder{What::kUrl, "https://a.test/x", false});
  CHECK(read(R"({"soft":true,"prefix":"https://a.test/"})") ==
        proxy::PurgeOrder{What::kPrefix, "https://a.test/", true});
  CHECK(read(R"({"tag":"a","soft":false})") == proxy::PurgeOrder{What::kTag, "a", false});
  CHECK(read(R"({"all":true,"soft":true})") == proxy::PurgeOrder{What::kAll, "", true});
}

TEST_CASE("bodies that do not say why") {
  CHECK(error_of("").starts_with("this is no JSON"));
  CHECK(error_of("{\"url\":").starts_with("this is no JSON"));
  for (const char* body : {"[]", "null", "7", "{}", R"({"soft":true})", R"({"URL":"http://a/"})",
                           R"({"url":"http://a/","host":"b"})"}) {
    INFO(body);
    CHECK(error_of(body).find(R"(the body is {"url":"..."})") != std::string::npos);
  }
  CHECK(error_of(R"({"url":"http://a/","tag":"b"})").starts_with("one thing at a time"));
  CHECK(error_of(R"({"url":7})") == "url is a text");
  CHECK(error_of(R"({"tag":["a"]})") == "tag is a text");
  CHECK(error_of(R"({"all":false})") == "all is true, or is not there");
  CHECK(error_of(R"({"all":1})") == "all is true, or is not there");
  CHECK(error_of(R"({"all":true,"soft":"yes"})") == "soft is true or false");
  CHECK(error_of(R"({"url":"/x"})").starts_with("a URL is absolute"));
  CHECK(error_of(R"({"tag":"a\u0000b"})").find("control characters") != std::string::npos);
}

TEST_CASE("/cache tells numbers and lines") {
  FakeSource source;
  FakeStore store;
  source.current->answers = &store;
  store.now.hits = 3;
  store.now.misses = 1;
  store.now.oldest_age_ms = 2'500;
  source.add_worker().cache_requests[0].add(4);
  source.add_worker().cache_requests[0].add(1);
  const proxy::LocalReply reply = get(source);
  CHECK(reply.status == 200);
  CHECK(store.asked_for == 10);
  const Json json = Json::parse(reply.body);
  CHECK(json["hit_ratio"] == 0.75);
  CHECK(json["oldest_age_s"] == 2);
  CHECK(json["requests"]["hit"] == 5);
  CHECK(json["requests"]["bypass"] == 0);
  REQUIRE(json["top_by_hits"].size() == 1);
  const Json& line = json["top_by_hits"][0];
  CHECK(line["key"] == "http://a.test/\nh:x=1:y");
  CHECK(line["secondary"] == "gzip");
  CHECK(line["age_s"] == 61);
  CHECK(line["status"] == 203);
}

TEST_CASE("how many lines /cache shows is bounded") {
  FakeSource source;
  FakeStore store;
  source.current->answers = &store;
  CHECK(get(source, "top=0").status == 200);
  CHECK(store.asked_for == 0);
  CHECK(get(source, "top=1000").status == 200);
  for (const char* query : {"top=1001", "top=", "top=-1", "top=x", "top=1&top=x"}) {
    INFO(query);
    CHECK(get(source, query).status == 400);
  }
}

TEST_CASE("without a cache there is no page and there are no numbers") {
  FakeSource source;
  CHECK(get(source).status == 404);
  const std::string text = metrics_text(source);
  CHECK(text.find("weir_cache_requests_total{result=\"hit\"} 0") != std::string::npos);
  CHECK(text.find("weir_cache_bytes") == std::string::npos);
}

TEST_CASE("the cache's metrics") {
  FakeSource source;
  FakeStore store;
  source.current->answers = &store;
  store.now.bytes = 4096;
  store.now.objects = 2;
  store.now.evictions = 9;
  source.add_worker().cache_requests[static_cast<size_t>(proxy::CacheResult::kRevalidated)].add(2);
  const std::string text = metrics_text(source);
  for (const char* line :
       {"weir_cache_requests_total{result=\"revalidated\"} 2\n", "weir_cache_bytes 4096\n",
        "weir_cache_objects 2\n", "weir_cache_evictions_total 9\n",
        "# TYPE weir_cache_evictions_total counter\n", "# TYPE weir_cache_objects gauge\n"}) {
    INFO(line);
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("what the command sends is what the page reads") {
  for (const proxy::PurgeOrder& order :
       {proxy::PurgeOrder{What::kUrl, "https://a.test/\"x", true},
        proxy::PurgeOrder{What::kPrefix, "https://a.test/", false},
        proxy::PurgeOrder{What::kTag, "a", true}, proxy::PurgeOrder{What::kAll, "", false}}) {
    CHECK(read_purge(purge_json(order)).value() == order);
  }
}

TEST_CASE("what the command prints") {
  CHECK(purge_report(R"({"purged":0})").value() == "purged: 0 answers\n");
  CHECK(purge_report(R"({"purged":1})").value() == "purged: 1 answer\n");
  CHECK(purge_report(R"({"error":"no\u001b[2J"})").value().find('\x1b') == std::string::npos);
  CHECK_FALSE(purge_report("nonsense").ok());
  CHECK_FALSE(purge_report(R"({"purged":"x"})").ok());
}

}  // namespace
}  // namespace weir::admin
