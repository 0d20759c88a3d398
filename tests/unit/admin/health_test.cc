#include "admin/health.h"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "fake_source.h"
#include "net/clock.h"
#include "version.h"

namespace weir::admin {
namespace {

using Json = nlohmann::ordered_json;

void set_down(upstream::Server& server) {
  server.state->down_until_ms = net::monotonic_ms() + 60'000;
}

TEST_CASE("health follows the servers") {
  FakeSource source;
  upstream::Cluster& app = source.add_cluster("app", {"10.0.0.1:80", "10.0.0.2:80"});
  source.add_cluster("api", {"10.0.1.1:80"});
  const auto status_of = [&source](const char* upstream) {
    return Json::parse(health_json(source).body)["upstreams"][upstream]["status"];
  };
  const auto overall = [&source] { return Json::parse(health_json(source).body)["status"]; };

  CHECK(health_json(source).status == 200);
  CHECK(overall() == "healthy");

  set_down(app.servers[0]);
  CHECK(health_json(source).status == 200);
  CHECK(overall() == "degraded");
  CHECK(status_of("app") == "degraded");
  CHECK(status_of("api") == "healthy");

  set_down(app.servers[1]);
  CHECK(health_json(source).status == 503);
  CHECK(overall() == "unhealthy");
  CHECK(status_of("app") == "unhealthy");
  CHECK(status_of("api") == "healthy");

  app.servers[0].state->down_until_ms = 0;
  CHECK(overall() == "degraded");
}

TEST_CASE("a server whose time-out is over counts as up") {
  FakeSource source;
  upstream::Cluster& app = source.add_cluster("app", {"10.0.0.1:80"});
  app.servers[0].state->down_until_ms = net::monotonic_ms() - 1;
  const Json body = Json::parse(health_json(source).body);
  CHECK(body["status"] == "healthy");
  CHECK(body["upstreams"]["app"]["servers"][0]["reason"] == "back on trial after max_fails");
}

TEST_CASE("a name that does not resolve is a down server") {
  FakeSource source;
  upstream::Cluster& app = source.add_cluster("app", {"nowhere.invalid:80", "10.0.0.2:80"});
  app.servers[0].state = std::make_shared<upstream::EndpointState>("app", "nowhere.invalid:80", 9);
  const Json body = Json::parse(health_json(source).body);
  CHECK(body["status"] == "degraded");
  CHECK(body["upstreams"]["app"]["servers"][0]["state"] == "down");
  CHECK(body["upstreams"]["app"]["servers"][0]["reason"] == "the name does not resolve");
}

TEST_CASE("health tells each state and why") {
  FakeSource source;
  upstream::Cluster& app = source.add_cluster("app", {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80",
                                                      "10.0.0.4:80", "10.0.0.5:80", "10.0.0.6:80"});
  const auto state = [&app](size_t i) -> upstream::EndpointState& { return *app.servers[i].state; };
  state(0).barriers = upstream::kCheckFailed;
  state(0).set_check_report({1'790'000'000'123, 1'500, "check: status 503"});
  state(1).barriers = upstream::kEjected;
  state(1).ejected_until_ms = net::monotonic_ms() + 9'500;
  state(2).barriers = upstream::kDrained;
  state(3).barriers = upstream::kTakenDown | upstream::kCheckFailed;
  state(4).degraded = true;
  state(4).set_check_report({1, 1, "degraded: slow"});
  app.servers[5].slow_start_ms = 100'000'000;
  state(5).slow_from_ms = net::monotonic_ms();
  const Json body = Json::parse(health_json(source).body)["upstreams"]["app"];
  CHECK(body["status"] == "degraded");
  const auto said = [&body](size_t i) {
    const Json& server = body["servers"][i];
    return std::pair(server["state"].get<std::string>(), server["reason"].get<std::string>());
  };
  CHECK(said(0) == std::pair<std::string, std::string>("down", "check: status 503"));
  CHECK(body["servers"][0]["last_check"] == "2026-09-21T14:13:20.123Z");
  CHECK(body["servers"][0]["latency_ms"] == 1.5);
  CHECK(said(1).first == "ejected");
  CHECK(said(1).second.ends_with("10 s more"));
  CHECK(said(2) == std::pair<std::string, std::string>("drain", "by an operator"));
  CHECK(said(3) == std::pair<std::string, std::string>("down", "by an operator"));
  CHECK(said(4) == std::pair<std::string, std::string>("up", "degraded: slow"));
  CHECK(said(5) == std::pair<std::string, std::string>("up", "slow start: 10 %"));
}

TEST_CASE("health: a panic is degraded, even where no server is up") {
  FakeSource source;
  upstream::Cluster& app = source.add_cluster("app", {"10.0.0.1:80"});
  app.state = std::make_shared<upstream::ClusterState>("app", 0);
  app.panic = 0.5;
  app.state->panic = true;
  CHECK(Json::parse(health_json(source).body)["status"] == "degraded");
  app.servers[0].state->barriers = upstream::kCheckFailed;
  CHECK(health_json(source).status == 200);
  const Json body = Json::parse(health_json(source).body)["upstreams"]["app"];
  CHECK(body["reason"] == "panic: too few servers are well, all are used");
  app.state->panic = false;
  CHECK(health_json(source).status == 503);
}

TEST_CASE("the body of /health has the documented form") {
  FakeSource source;
  set_down(source.add_cluster("app", {"10.0.0.1:80", "10.0.0.2:80"}).servers[1]);
  CHECK(Json::parse(health_json(source).body) ==
        Json::parse(R"({"status":"degraded","version":")" + std::string(kVersion) + R"(",
          "uptime_s":12,"checks":{},"upstreams":{"app":{"status":"degraded","servers":[
            {"address":"10.0.0.1:80","state":"up","reason":"","last_check":null,"latency_ms":null},
            {"address":"10.0.0.2:80","state":"down","reason":"max_fails","last_check":null,
             "latency_ms":null}]}}})"));
}

TEST_CASE("without a config there is nothing healthy to report") {
  FakeSource source;
  source.current = nullptr;
  CHECK(health_json(source).status == 503);
  CHECK(ready_json(source).status == 503);
  CHECK(ready_json(source).body == "{\"status\":\"starting\"}\n");
  CHECK(live_json(source).status == 200);
}

TEST_CASE("a config without upstreams is healthy") {
  FakeSource source;
  CHECK(health_json(source).status == 200);
  CHECK(Json::parse(health_json(source).body)["upstreams"] == Json::object());
}

TEST_CASE("live and ready: a drain takes readiness only, dead servers take neither") {
  FakeSource source;
  set_down(source.add_cluster("app", {"10.0.0.1:80"}).servers[0]);
  CHECK(ready_json(source).status == 200);
  CHECK(ready_json(source).body == "{\"status\":\"ready\"}\n");
  source.is_draining = true;
  CHECK(ready_json(source).status == 503);
  CHECK(ready_json(source).body == "{\"status\":\"shutting-down\"}\n");
  CHECK(live_json(source).status == 200);
  CHECK(live_json(source).body == "{\"status\":\"alive\",\"uptime_s\":12}\n");
}

}  // namespace
}  // namespace weir::admin
