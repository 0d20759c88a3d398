#include "admin/metrics_text.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include <set>
#include <sstream>
#include <string>

#include "fake_source.h"
#include "net/clock.h"
#include "version.h"

namespace weir::admin {
namespace {

using http::Method;
using proxy::Metrics;

std::set<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::set<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.insert(line);
  return lines;
}

bool has_line(const std::string& text, const std::string& line) {
  return lines_of(text).count(line) == 1;
}

double value_of(const std::string& text, const std::string& series) {
  const size_t at = text.find("\n" + series + " ");
  REQUIRE(at != std::string::npos);
  return std::stod(text.substr(at + series.size() + 2));
}

TEST_CASE("requests are counted by method, route and status over all workers") {
  FakeSource source;
  const uint32_t api = proxy::labels().id("api");
  for (int worker = 0; worker < 2; ++worker) {
    Metrics& metrics = source.add_worker();
    metrics.requests.add(Metrics::request_key(api, Method::kGet, 200), 3);
    metrics.requests.add(Metrics::request_key(proxy::Labels::kUnmatched, Method::kOther, 404));
    metrics.active_connections.add(5);
    metrics.requests_in_flight.add(1);
  }
  const std::string text = metrics_text(source);
  CHECK(has_line(text, "# TYPE http_requests_total counter"));
  CHECK(has_line(text, R"(http_requests_total{method="GET",route="api",status="200"} 6)"));
  CHECK(has_line(text, R"(http_requests_total{method="OTHER",route="unmatched",status="404"} 2)"));
  CHECK(has_line(text, "# TYPE active_connections gauge"));
  CHECK(has_line(text, "active_connections 10"));
  CHECK(has_line(text, "requests_in_flight 2"));
}

TEST_CASE("durations come as a cumulative histogram whose end is its count") {
  FakeSource source;
  Metrics& metrics = source.add_worker();
  const uint32_t slow = proxy::labels().id("slow");
  for (const uint64_t us : {500, 800, 20'000, 60'000'000}) {
    metrics.request_duration.at(slow).observe_us(us);
  }
  const std::string text = metrics_text(source);
  CHECK(has_line(text, "# TYPE http_request_duration_seconds histogram"));
  CHECK(has_line(text, R"(http_request_duration_seconds_bucket{route="slow",le="0.001"} 2)"));
  CHECK(has_line(text, R"(http_request_duration_seconds_bucket{route="slow",le="0.01"} 2)"));
  CHECK(has_line(text, R"(http_request_duration_seconds_bucket{route="slow",le="0.025"} 3)"));
  CHECK(has_line(text, R"(http_request_duration_seconds_bucket{route="slow",le="10"} 3)"));
  CHECK(has_line(text, R"(http_request_duration_seconds_bucket{route="slow",le="+Inf"} 4)"));
  CHECK(has_line(text, R"(http_request_duration_seconds_count{route="slow"} 4)"));
  CHECK(value_of(text, R"(http_request_duration_seconds_sum{route="slow"})") == Approx(60.0213));
}

TEST_CASE("upstreams: answers, connections, standing") {
  FakeSource source;
  upstream::Cluster& app = source.add_cluster("app", {"10.0.0.1:80", "10.0.0.2:80"});
  source.add_cluster("api", {"10.0.1.1:80"});
  Metrics& metrics = source.add_worker();
  metrics.upstream_requests.add(Metrics::upstream_key(1, 503), 4);
  metrics.upstream_requests.add(Metrics::upstream_key(77, 200));  // of a server that left
  metrics.upstream_connections_idle.add(0 + 1, 2);
  metrics.upstream_connections_idle.add(1 + 1, 3);
  metrics.upstream_duration.at(app.index).observe_us(3'000);
  app.servers[0].state->in_flight = 7;
  app.servers[1].state->down_until_ms = net::monotonic_ms() + 60'000;

  const std::string text = metrics_text(source);
  CHECK(has_line(
      text, R"(weir_upstream_requests_total{upstream="app",server="10.0.0.2:80",status="503"} 4)"));
  CHECK(text.find("weir_upstream_requests_total{") == text.rfind("weir_upstream_requests_total{"));
  CHECK(has_line(text, R"(weir_upstream_connections{upstream="app",state="active"} 7)"));
  CHECK(has_line(text, R"(weir_upstream_connections{upstream="app",state="idle"} 5)"));
  CHECK(has_line(text, R"(weir_upstream_connections{upstream="api",state="idle"} 0)"));
  CHECK(has_line(text, R"(weir_upstream_server_up{upstream="app",server="10.0.0.1:80"} 1)"));
  CHECK(has_line(text, R"(weir_upstream_server_up{upstream="app",server="10.0.0.2:80"} 0)"));
  CHECK(has_line(text, R"(weir_upstream_server_up{upstream="api",server="10.0.1.1:80"} 1)"));
  CHECK(has_line(text, R"(weir_upstream_duration_seconds_count{upstream="app"} 1)"));
  CHECK(text.find(R"(weir_upstream_duration_seconds_count{upstream="api"})") == std::string::npos);
}

TEST_CASE("rare events keep their labels") {
  proxy::rare_counters().add("weir_upstream_failures_total",
                             {{"upstream", "u"}, {"server", "s"}, {"reason", "timeout"}}, 2);
  proxy::rare_counters().add("weir_connections_refused_total", {{"reason", "max_connections"}});
  proxy::rare_counters().add("weir_upstream_failures_total",
                             {{"upstream", "u"}, {"server", "gone"}, {"reason", "timeout"}});
  proxy::rare_counters().add("weir_upstream_retries_total", {{"upstream", "u"}, {"reason", "502"}});
  FakeSource source;
  source.add_cluster("u", {"s"});
  source.add_cluster("v", {"gone"});  // that is another one
  const std::string text = metrics_text(source);
  CHECK(text.find(R"(server="gone",reason)") == std::string::npos);
  CHECK(has_line(text, R"(weir_upstream_retries_total{upstream="u",reason="502"} 1)"));
  CHECK(has_line(text,
                 R"(weir_upstream_failures_total{upstream="u",server="s",reason="timeout"} 2)"));
  CHECK(has_line(text, R"(weir_connections_refused_total{reason="max_connections"} 1)"));
}

TEST_CASE("the daemon's own numbers") {
  FakeSource source;
  source.reload_stats = {3, 1, 1'785'587'696, 2};
  source.dropped = 5;
  source.add_worker().access_log_dropped.add(2);
  source.add_worker().loop_lag_us.store(12'500);
  const std::string text = metrics_text(source);
  CHECK(has_line(text, R"(weir_config_reloads_total{result="ok"} 3)"));
  CHECK(has_line(text, R"(weir_config_reloads_total{result="failed"} 1)"));
  CHECK(has_line(text, "weir_config_last_reload_timestamp_seconds 1785587696"));
  CHECK(has_line(text, "weir_config_snapshots 2"));
  CHECK(has_line(text, "weir_access_log_dropped_total 7"));
  CHECK(has_line(text, R"(weir_worker_loop_lag_seconds{worker="1"} 0.0125)"));
  CHECK(has_line(text, std::string("weir_build_info{version=\"") + kVersion + "\",commit=\"" +
                           kCommit + "\"} 1"));
  CHECK(has_line(metrics_text(source), R"(weir_worker_loop_lag_seconds{worker="1"} 0)"));
}

TEST_CASE("the process's numbers are those of the kernel") {
  FakeSource source;
  const std::string text = metrics_text(source);
  const double resident = value_of(text, "process_resident_memory_bytes");
  CHECK(resident > 1e6);
  CHECK(value_of(text, "process_cpu_seconds_total") > 0);
  const auto now = static_cast<double>(time(nullptr));
  CHECK(value_of(text, "process_start_time_seconds") <= now + 1);
  CHECK(value_of(text, "process_start_time_seconds") > now - 3'600);

  const double before = value_of(text, "process_open_fds");
  const int fd = dup(STDERR_FILENO);
  CHECK(value_of(metrics_text(source), "process_open_fds") == before + 1);
  close(fd);
}

TEST_CASE("every family is declared before there is traffic") {
  FakeSource source;
  const std::string text = metrics_text(source);
  for (const char* name : {"http_requests_total",
                           "http_request_duration_seconds",
                           "active_connections",
                           "requests_in_flight",
                           "weir_upstream_requests_total",
                           "weir_upstream_failures_total",
                           "weir_upstream_retries_total",
                           "weir_upstream_duration_seconds",
                           "weir_upstream_server_up",
                           "weir_upstream_connections",
                           "weir_config_reloads_total",
                           "weir_config_last_reload_timestamp_seconds",
                           "weir_config_snapshots",
                           "weir_access_log_dropped_total",
                           "weir_connections_refused_total",
                           "weir_protocol_errors_total",
                           "weir_worker_loop_lag_seconds",
                           "weir_build_info",
                           "process_resident_memory_bytes",
                           "process_open_fds",
                           "process_start_time_seconds",
                           "process_cpu_seconds_total"}) {
    CAPTURE(name);
    CHECK(text.find(std::string("# TYPE ") + name + " ") != std::string::npos);
  }
}

TEST_CASE("no series comes twice, also where a server is listed twice") {
  FakeSource source;
  source.add_cluster("app", {"10.0.0.1:80", "10.0.0.1:80"});
  source.add_worker();
  const std::string text = metrics_text(source);
  std::istringstream stream(text);
  std::set<std::string> series;
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("#")) continue;
    CAPTURE(line);
    CHECK(series.insert(line.substr(0, line.rfind(' '))).second);
  }
}

TEST_CASE("names from the config are escaped") {
  FakeSource source;
  const uint32_t odd = proxy::labels().id("a\"b\\c\nd");
  source.add_worker().requests.add(Metrics::request_key(odd, Method::kGet, 200));
  CHECK(has_line(metrics_text(source),
                 R"(http_requests_total{method="GET",route="a\"b\\c\nd",status="200"} 1)"));
}

}  // namespace
}  // namespace weir::admin
