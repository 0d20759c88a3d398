#include "proxy/metrics.h"

#include <catch2/catch.hpp>

#include <map>
#include <thread>

namespace weir::proxy {
namespace {

std::map<uint64_t, uint64_t> values_of(const CounterTable& table) {
  std::map<uint64_t, uint64_t> values;
  table.for_each(
      [&values](uint64_t key, uint64_t value) { CHECK(values.emplace(key, value).second); });
  return values;
}

TEST_CASE("a duration counts in the first bucket that is not below it") {
  struct Case {
    uint64_t us;
    size_t bucket;
  };
  const Case cases[] = {{0, 0},           {1'000, 0},       {1'001, 1},          {2'500, 1},
                        {2'501, 2},       {999'999, 9},     {1'000'000, 9},      {1'000'001, 10},
                        {10'000'000, 12}, {10'000'001, 13}, {86'400'000'000, 13}};
  for (const Case& row : cases) {
    CAPTURE(row.us);
    Histogram histogram;
    histogram.observe_us(row.us);
    for (size_t i = 0; i <= Histogram::kBoundsUs.size(); ++i) {
      CHECK(histogram.bucket(i) == (i == row.bucket ? 1 : 0));
    }
    CHECK(histogram.sum_us() == row.us);
  }
}

TEST_CASE("a counter table counts each key for itself, also while it grows") {
  CounterTable table;
  std::map<uint64_t, uint64_t> expected;
  for (uint64_t round = 1; round <= 3; ++round) {
    for (uint64_t i = 1; i <= 1000; ++i) {
      const uint64_t key = i * 65'536 + i % 7;  // the low bits hardly differ, as with packed keys
      table.add(key, round);
      expected[key] += round;
    }
  }
  CHECK(values_of(table) == expected);
}

TEST_CASE("a counter table holds gauges too") {
  CounterTable table;
  table.add(5, 3);
  table.sub(5);
  table.sub(5, 2);
  CHECK(values_of(table) == std::map<uint64_t, uint64_t>{{5, 0}});
}

TEST_CASE("keys unpack to what they were made of and are never 0") {
  for (const uint32_t id : {0u, 1u, 255u, 1'000'000u, UINT32_MAX}) {
    for (const http::Method method : {http::Method::kGet, http::Method::kOther}) {
      for (const int status : {0, 200, 499, 599}) {
        const uint64_t key = Metrics::request_key(id, method, status);
        CHECK(key != 0);
        const Metrics::Key back = Metrics::unpack(key);
        CHECK(back.id == id);
        CHECK(back.method == method);
        CHECK(back.status == status);
      }
    }
  }
  CHECK(Metrics::upstream_key(3, 502) != Metrics::upstream_key(4, 502));
  CHECK(Metrics::unpack(Metrics::upstream_key(3, 502)).id == 3);
}

TEST_CASE("histograms are made at first use") {
  HistogramTable table;
  CHECK(table.size() == 0);
  CHECK(table.find(0) == nullptr);
  table.at(700).observe_us(1);
  CHECK(table.size() == 701);
  CHECK(table.find(0) == nullptr);
  CHECK(table.find(699) == nullptr);
  REQUIRE(table.find(700) != nullptr);
  CHECK(table.find(700)->bucket(0) == 1);
  CHECK(&table.at(700) == table.find(700));
  table.at(3);
  CHECK(table.size() == 701);
}

TEST_CASE("ids beyond the table share its last histogram") {
  HistogramTable table;
  const auto last = static_cast<uint32_t>(HistogramTable::kIdsMax - 1);
  CHECK(&table.at(UINT32_MAX) == &table.at(last));
  CHECK(table.size() == HistogramTable::kIdsMax);
  CHECK(table.find(UINT32_MAX) == nullptr);
}

TEST_CASE("rare counters tell label sets apart") {
  RareCounters counters;
  counters.add("failures", {{"upstream", "app"}, {"reason", "timeout"}});
  counters.add("failures", {{"upstream", "app"}, {"reason", "timeout"}}, 2);
  counters.add("failures", {{"upstream", "app"}, {"reason", "reset"}});
  counters.add("retries", {{"upstream", "app"}, {"reason", "reset"}});
  const RareCounters::Values values = counters.values();
  CHECK(values.size() == 3);
  CHECK(values.at({"failures", {{"upstream", "app"}, {"reason", "timeout"}}}) == 3);
  CHECK(values.at({"retries", {{"upstream", "app"}, {"reason", "reset"}}}) == 1);
}

// One writer, readers at any time: run under a thread sanitizer.
TEST_CASE("a scrape beside a busy worker sees sums that only rise", "[threads]") {
  constexpr uint64_t kRounds = 20'000;
  Metrics metrics;
  std::atomic<bool> done{false};
  std::thread worker([&metrics, &done] {
    for (uint64_t i = 0; i < kRounds; ++i) {
      const auto route = static_cast<uint32_t>(i % 500);
      metrics.requests.add(Metrics::request_key(route, http::Method::kGet, 200));
      metrics.request_duration.at(route).observe_us(i);
      metrics.active_connections.add();
      metrics.active_connections.sub();
    }
    done.store(true);
  });
  uint64_t last = 0;
  bool is_last = false;
  while (!is_last) {
    is_last = done.load();
    uint64_t requests = 0;
    metrics.requests.for_each([&requests](uint64_t, uint64_t value) { requests += value; });
    CHECK(requests >= last);
    last = requests;
    uint64_t observed = 0;
    for (uint32_t id = 0; id < metrics.request_duration.size(); ++id) {
      const Histogram* const histogram = metrics.request_duration.find(id);
      if (histogram == nullptr) continue;
      for (size_t i = 0; i <= Histogram::kBoundsUs.size(); ++i) {
        observed += histogram->bucket(i);
      }
    }
    CHECK(observed <= kRounds);
    if (is_last) CHECK(observed == kRounds);
    CHECK(metrics.active_connections.value() <= 1);
  }
  worker.join();
  CHECK(last == kRounds);
}

TEST_CASE("rare counters are safe to add to from any thread", "[threads]") {
  RareCounters counters;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&counters] {
      for (int i = 0; i < 1000; ++i) counters.add("events", {{"reason", i % 2 == 0 ? "a" : "b"}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(counters.values().at({"events", {{"reason", "a"}}}) == 2000);
  CHECK(counters.values().at({"events", {{"reason", "b"}}}) == 2000);
}

TEST_CASE("a mirror's key holds all of its parts and is never zero") {
  for (const uint32_t label : {0u, 1u, UINT32_MAX}) {
    for (const uint32_t cluster : {0u, 0xff'ffffu}) {
      for (const MirrorResult result : kMirrorResults) {
        const uint64_t key = Metrics::mirror_key(label, cluster, result);
        CHECK(key != 0);
        const Metrics::MirrorKey parts = Metrics::unpack_mirror(key);
        CHECK(parts.route_label == label);
        CHECK(parts.cluster_index == cluster);
        CHECK(parts.result == result);
      }
    }
  }
}

}  // namespace
}  // namespace weir::proxy
