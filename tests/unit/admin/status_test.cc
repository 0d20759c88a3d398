#include "admin/status.h"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "admin/health.h"
#include "admin/report.h"
#include "fake_source.h"
#include "net/clock.h"
#include "proxy/mirror.h"
#include "proxy/split.h"
#include "version.h"

namespace weir::admin {
namespace {

using Json = nlohmann::ordered_json;
using proxy::Metrics;

const Json* route_named(const Json& status, const std::string& name) {
  for (const Json& route : status["routes"]) {
    if (route["route"] == name) return &route;
  }
  return nullptr;
}

TEST_CASE("/status tells of the process, its listeners and its workers") {
  FakeSource source;
  source.reload_stats = {2, 1, 1'785'587'696};
  source.dropped = 3;
  proxy::ListenerConfig listener;
  listener.name = "http";
  listener.address = net::parse_address("127.0.0.1:8080").value();
  source.current->listeners.push_back(listener);
  Metrics& first = source.add_worker();
  first.active_connections.add(4);
  first.requests_in_flight.add(2);
  first.loop_lag_us.store(1'500);
  source.add_worker().access_log_dropped.add(1);

  const Json status = Json::parse(status_json(source));
  CHECK(status["version"] == kVersion);
  CHECK(status["commit"] == kCommit);
  CHECK(status["uptime_s"] == 12);
  CHECK(status["draining"] == false);
  CHECK(status["reloads"] == Json::parse(R"({"ok":2,"failed":1,"last_unix_s":1785587696})"));
  CHECK(status["access_log_dropped"] == 4);
  CHECK(status["listeners"] ==
        Json::parse(R"([{"name":"http","address":"127.0.0.1:8080","max_connections":100000}])"));
  REQUIRE(status["workers"].size() == 2);
  CHECK(status["workers"][0] ==
        Json::parse(R"({"active_connections":4,"requests_in_flight":2,"loop_lag_ms":1.5,
                        "access_log_dropped":0})"));
  CHECK(first.loop_lag_us.load() == 1'500);  // only a scrape starts a new period
}

TEST_CASE("/status tells of each server") {
  FakeSource source;
  upstream::Cluster& app = source.add_cluster("app", {"10.0.0.1:80", "10.0.0.2:80"});
  app.servers[0].state->in_flight = 3;
  app.servers[0].weight = 5;
  app.servers[1].backup = true;
  app.servers[1].state->fails = 2;
  app.servers[1].state->down_until_ms = net::monotonic_ms() + 60'000;
  const Json upstreams = Json::parse(status_json(source))["upstreams"];
  CHECK(upstreams == Json::parse(R"({"app":{"status":"degraded","servers":[
      {"address":"10.0.0.1:80","addresses":["127.0.0.1:9"],
       "state":"up","reason":"","in_flight":3,"fails":0,"weight":5,
       "backup":false},
      {"address":"10.0.0.2:80","addresses":["127.0.0.1:9"],
       "state":"down","reason":"max_fails","in_flight":0,"fails":2,
       "weight":1,"backup":true}]}})"));
}

TEST_CASE("/status sums routes over workers and knows their quantiles") {
  FakeSource source;
  const uint32_t label = proxy::labels().id("status-test");
  for (int i = 0; i < 2; ++i) {
    Metrics& metrics = source.add_worker();
    metrics.requests.add(Metrics::request_key(label, http::Method::kGet, 200), 90);
    metrics.requests.add(Metrics::request_key(label, http::Method::kPost, 201), 5);
    metrics.requests.add(Metrics::request_key(label, http::Method::kGet, 404), 4);
    metrics.requests.add(Metrics::request_key(label, http::Method::kGet, 502), 1);
    for (int n = 0; n < 100; ++n) metrics.request_duration.at(label).observe_us(7'000);
  }
  const Json status = Json::parse(status_json(source));
  const Json* const route = route_named(status, "status-test");
  REQUIRE(route != nullptr);
  CHECK(*route == Json::parse(R"({"route":"status-test","requests":200,"2xx":190,"3xx":0,"4xx":8,
                                  "5xx":2,"p50_ms":7.5,"p95_ms":9.75,"p99_ms":9.95})"));
}

TEST_CASE("/status tells of splits and mirrors") {
  FakeSource source;
  source.add_cluster("app", {"10.0.0.1:80"});
  source.add_cluster("canary", {"10.0.0.2:80"});
  source.add_cluster("shadow", {"10.0.0.3:80"});
  const auto& clusters = source.current->clusters;
  auto split = std::make_shared<proxy::Split>();
  split->name = "release";
  split->to = {{clusters[0], 9'950}, {clusters[1], 50}};
  split->rollback = std::make_shared<upstream::Rollback>(
      split->name, split->upstreams(),
      upstream::RollbackConfig{.error_rate_over = 0.02, .min_requests = 10});
  for (uint64_t ms = 1'000; ms < 1'020; ++ms) {
    split->rollback->note(0, false, 1'000, ms);
    split->rollback->note(1, true, 1'000, ms);
  }
  split->rollback->note(0, false, 1'000, 2'000);
  auto mirror = std::make_shared<proxy::Mirror>();
  mirror->cluster = clusters[2];
  mirror->sample = 0.25;
  proxy::Route route;
  route.name = "sides-test";
  route.label = proxy::labels().id("sides-test");
  route.split = split;
  route.mirror = mirror;
  source.current->sites.emplace_back();
  source.current->sites.back().routes = {proxy::Route(), route};
  for (int i = 0; i < 2; ++i) {
    Metrics& metrics = source.add_worker();
    metrics.split_requests.add(Metrics::split_key(route.label, 0), 5);
    metrics.mirror_requests.add(
        Metrics::mirror_key(route.label, 2, proxy::MirrorResult::kDifferent));
  }
  const Json status = Json::parse(status_json(source));
  CHECK(status["splits"] == Json::parse(R"([{"route":"sides-test","name":"release","to":[
      {"upstream":"app","weight":99.5,"requests":10,"rolled_back":false},
      {"upstream":"canary","weight":0.5,"requests":0,"rolled_back":true}]}])"));
  CHECK(status["mirrors"] ==
        Json::parse(R"([{"route":"sides-test","upstream":"shadow","sample":0.25,
      "same":0,"different":2,"failed":0,"skipped":0,"uncompared":0}])"));
  const std::string text = status_report(status_json(source), health_json(source).body).value();
  CHECK(text.find("SPLIT OF    UPSTREAM  WEIGHT %  REQUESTS  STATE\n"
                  "sides-test  app           99.5        10\n"
                  "sides-test  canary         0.5         0  rolled back\n") != std::string::npos);
  CHECK(text.find("MIRROR OF   UPSTREAM  SAME  DIFFERENT  FAILED  SKIPPED  UNCOMPARED\n"
                  "sides-test  shadow       0          2       0        0           0\n") !=
        std::string::npos);
}

TEST_CASE("/status is there before the first config") {
  FakeSource source;
  source.current = nullptr;
  const Json status = Json::parse(status_json(source));
  CHECK(status["listeners"] == Json::array());
  CHECK(status["upstreams"] == Json::object());
  CHECK(status["routes"] == Json::array());
  CHECK(status["splits"] == Json::array());
  CHECK(status["mirrors"] == Json::array());
}

}  // namespace
}  // namespace weir::admin
