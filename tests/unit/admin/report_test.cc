#include "admin/report.h"

#include <catch2/catch.hpp>

#include "admin/health.h"
#include "admin/reload.h"
#include "admin/status.h"
#include "fake_source.h"

namespace weir::admin {
namespace {

TEST_CASE("report: status of a process that has nothing to show") {
  FakeSource source;
  const std::string text = status_report(status_json(source), health_json(source).body).value();
  CHECK(text.find(": healthy, up 12s\nworkers: 0; connections: 0; requests in flight: 0\n") !=
        std::string::npos);
  CHECK(text.find("configuration:") == std::string::npos);
  CHECK(text.find("UPSTREAM") == std::string::npos);
}

TEST_CASE("report: status with servers, listeners, and a reload that failed") {
  FakeSource source;
  source.add_worker().active_connections.add();
  source.add_worker().requests_in_flight.add();
  upstream::Cluster& app = source.add_cluster("app", {"10.0.0.1:3000", "10.0.0.22:3000"});
  // A name that has never resolved.
  app.servers[1].state = std::make_shared<upstream::EndpointState>("app", "10.0.0.22:3000", 1);
  app.servers[1].backup = true;
  proxy::ListenerConfig listener;
  listener.name = "http";
  listener.address = net::parse_address("127.0.0.1:80").value();
  source.current->listeners.push_back(listener);
  source.publish({.number = 3, .cause = "signal", .errors = {"weir.yaml:1:1: x: unknown key"}}, 0);
  const std::string text = status_report(status_json(source), health_json(source).body).value();
  CHECK(text.find(": degraded, up 12s\n") != std::string::npos);
  CHECK(text.find("workers: 2; connections: 1; requests in flight: 1\n"
                  "configuration: load 3 at 1970-01-01T00:00:00.000Z, asked for by signal: failed\n"
                  "weir.yaml:1:1: x: unknown key\n"
                  "\n"
                  "LISTENER  ADDRESS\n"
                  "http      127.0.0.1:80\n"
                  "\n"
                  "UPSTREAM  SERVER          STATE          IN FLIGHT  FAILS  WEIGHT  REASON\n"
                  "app       10.0.0.1:3000   up                     0      0       1\n"
                  "app       10.0.0.22:3000  down (backup)          0      0       1  "
                  "the name does not resolve\n") != std::string::npos);
}

TEST_CASE("report: a drain is seen, and long uptimes are short") {
  const auto head = [](const char* seconds) {
    const std::string status = std::string(R"({"version":"1","commit":"c","draining":true,)") +
                               "\"uptime_s\":" + seconds + "}";
    const std::string text = status_report(status, R"({"status":"unhealthy"})").value();
    return text.substr(0, text.find('\n'));
  };
  CHECK(head("59") == "weir 1 (c): draining, unhealthy, up 59s");
  CHECK(head("61") == "weir 1 (c): draining, unhealthy, up 1m 1s");
  CHECK(head("7260") == "weir 1 (c): draining, unhealthy, up 2h 1m");
  CHECK(head("90000") == "weir 1 (c): draining, unhealthy, up 1d 1h");
}

TEST_CASE("report: a reload that worked, and what it changed") {
  proxy::ReloadReceipt receipt = {.number = 4, .cause = "admin", .warnings = {"careful"}};
  const auto text = [&receipt] { return reload_report(receipt_json(&receipt).dump()).value(); };
  CHECK(text().ok);
  CHECK(text().text ==
        "careful\n"
        "load 4 at 1970-01-01T00:00:00.000Z, asked for by admin: ok\n"
        "  nothing changed\n");
  auto& servers = receipt.changes[static_cast<size_t>(proxy::Part::kServers)];
  servers.added = {"app/a:1"};
  servers.removed = {"app/b:1", "app/\x1b[2J"};
  servers.changed = {"app/c:1"};
  servers.left_out = 9;
  CHECK(text().text.substr(text().text.find("  +")) ==
        "  + servers    app/a:1\n"
        "  - servers    app/b:1\n"
        "  - servers    app/\\x1b[2J\n"
        "  ~ servers    app/c:1\n"
        "    servers    and 9 more\n");
}

TEST_CASE("report: a reload that failed, and one that is not over") {
  proxy::ReloadReceipt receipt = {.number = 4, .errors = {"one", "two"}};
  const ReloadReport failed = reload_report(receipt_json(&receipt).dump()).value();
  CHECK_FALSE(failed.ok);
  CHECK(failed.text == "one\ntwo\nreload failed, the old configuration stays\n");
  CHECK_FALSE(reload_report(R"({"pending":true})").value().ok);
}

TEST_CASE("report: what no weir answers is refused, whatever it is") {
  for (const char* text : {"", "x", "null", "[]", "{}", "{\"ok\":1}", "{\"status\":3}", "[[[",
                           "{\"version\":1}", "\"version\""}) {
    CAPTURE(text);
    CHECK_FALSE(reload_report(text).ok());
    CHECK_FALSE(status_report(text, text).ok());
  }
  // Right at the top, and nonsense below.
  const char* const odd = R"({"version":"1","status":"x","uptime_s":-1,"workers":7,"listeners":{},)"
                          R"("upstreams":[1],"routes":"r","last_reload":{"errors":3}})";
  CHECK(status_report(odd, odd).ok());
  CHECK(reload_report(R"({"ok":true,"errors":{},"changes":[1,{"x":2}],"warnings":"w"})").ok());
}

TEST_CASE("what became of a reset") {
  CHECK(reset_json("login", "a=\"b\"") == "{\"limit\":\"login\",\"key\":\"a=\\\"b\\\"\"}\n");
  CHECK(reset_report(R"({"limit":"login","key":"client_ip=::1","reset":true})").value() ==
        "reset: login: client_ip=::1\n");
  CHECK(reset_report(R"({"error":"no\u001b[2J"})").value().find('\x1b') == std::string::npos);
  CHECK_FALSE(reset_report("nonsense").ok());
  CHECK_FALSE(reset_report(R"({"limit":"login","key":"x"})").ok());
}

}  // namespace
}  // namespace weir::admin
