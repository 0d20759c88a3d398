#include "proxy/access_log.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/temporary_folder.h"
#include "upstream/cluster.h"

namespace weir::proxy {
namespace {

using Json = nlohmann::ordered_json;

const upstream::EndpointState kServer("app", "127.0.0.1:3001", 0);

Summary usual_summary() {
  Summary summary;
  summary.started_wall_us = 1'785'587'696'123'456;  // 2026-08-01T12:34:56.123456Z
  summary.duration_us = 1'234;
  summary.client = "203.0.113.7";
  summary.method = "GET";
  summary.method_id = http::Method::kGet;
  summary.host = "www.example.com";
  summary.uri = "/items/1?sort=asc";
  summary.status = 200;
  summary.bytes_in = 17;
  summary.bytes_out = 1'290;
  summary.route = "api";
  summary.server = &kServer;
  summary.attempts = 2;
  summary.upstream_us = 1'005;
  summary.request_id = "3f2b8c1e-5f0a-4b1d-9c55-0a1b2c3d4e5f";
  summary.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  summary.user_agent = "curl/8.0";
  summary.referer = "https://www.example.com/";
  return summary;
}

// Runs in exactly as much room as bytes_max() asks for.
std::string line_of(const Summary& summary, LogFormat format) {
  LineFormatter formatter;
  const size_t room = LineFormatter::bytes_max(summary);
  const std::unique_ptr<char[]> bytes(new char[room]);
  const char* const end = format == LogFormat::kJson ? formatter.json(summary, bytes.get())
                                                     : formatter.combined(summary, bytes.get());
  const auto used = static_cast<size_t>(end - bytes.get());
  REQUIRE(used <= room);
  return {bytes.get(), used};
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST_CASE("a JSON line has every documented field in its order") {
  CHECK(line_of(usual_summary(), LogFormat::kJson) ==
        R"({"time":"2026-08-01T12:34:56.123Z","client":"203.0.113.7","method":"GET",)"
        R"("host":"www.example.com","uri":"/items/1?sort=asc","protocol":"HTTP/1.1","status":200,)"
        R"("bytes_in":17,"bytes_out":1290,"duration_ms":1.234,"route":"api","upstream":"app",)"
        R"("server":"127.0.0.1:3001","attempts":2,"upstream_ms":1.005,)"
        R"("request_id":"3f2b8c1e-5f0a-4b1d-9c55-0a1b2c3d4e5f",)"
        R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","user_agent":"curl/8.0",)"
        R"("referer":"https://www.example.com/","tls":"","cache":"","limit":"","error":""})"
        "\n");
}

TEST_CASE("a JSON line of a request that was hardly one has all fields too") {
  Summary summary;
  summary.status = 400;
  summary.version = http::Version::kHttp10;
  summary.error = {Source::kClient, ErrorKind::kMalformed, Retry::kNever, "bare_lf"};
  const Json line = Json::parse(line_of(summary, LogFormat::kJson));
  CHECK(line.size() == Json::parse(line_of(usual_summary(), LogFormat::kJson)).size());
  CHECK(line["time"] == "1970-01-01T00:00:00.000Z");
  CHECK(line["method"] == "");
  CHECK(line["server"] == "");
  CHECK(line["protocol"] == "HTTP/1.0");
  CHECK(line["duration_ms"] == 0.0);
  CHECK(line["error"] == "client: malformed: bare_lf");
}

TEST_CASE("where more than one try was made, the line tells them") {
  Summary summary = usual_summary();
  summary.tries = "unix:/a\"b connect 0.3ms, c:2 200 4.0ms";
  const std::string text = line_of(summary, LogFormat::kJson);
  CHECK(text.find(R"("attempts":2,"tries":"unix:/a)") != std::string::npos);
  CHECK(Json::parse(text)["tries"] == std::string(summary.tries));
}

TEST_CASE("the error says who and why") {
  Summary summary = usual_summary();
  const auto error_of = [&summary](Error error) {
    summary.error = error;
    return Json::parse(line_of(summary, LogFormat::kJson))["error"].get<std::string>();
  };
  CHECK(error_of({}) == "");
  CHECK(error_of({Source::kUpstream, ErrorKind::kTimeout, Retry::kNever, "no answer in time"}) ==
        "upstream: timeout: no answer in time");
  CHECK(error_of({Source::kWeir, ErrorKind::kNoServer, Retry::kNever, ""}) == "weir: no_server");
}

TEST_CASE("values that would break a line do not") {
  const std::string evil = "x\"y\\z\r\n{\"status\":200}\x01\xff\xc3\xa9" + std::string(1, '\0');
  Summary summary = usual_summary();
  for (std::string_view* field :
       {&summary.client, &summary.method, &summary.host, &summary.uri, &summary.route,
        &summary.request_id, &summary.trace_id, &summary.user_agent, &summary.referer}) {
    *field = evil;
  }
  const std::string json = line_of(summary, LogFormat::kJson);
  CHECK(json.find('\n') == json.size() - 1);
  const Json line = Json::parse(json);
  CHECK(line["status"] == 200);
  CHECK(line["user_agent"] ==
        "x\"y\\z\r\n{\"status\":200}\x01\xef\xbf\xbd\xc3\xa9" + std::string(1, '\0'));

  const std::string combined = line_of(summary, LogFormat::kCombined);
  CHECK(combined.find('\n') == combined.size() - 1);
  for (const char c : combined.substr(0, combined.size() - 1)) {
    CHECK((c >= 0x20 && c < 0x7f));
  }
  CHECK(std::count(combined.begin(), combined.end(), '"') == 6);
}

TEST_CASE("combined lines are those of nginx") {
  CHECK(line_of(usual_summary(), LogFormat::kCombined) ==
        "203.0.113.7 - - [01/Aug/2026:12:34:56 +0000] \"GET /items/1?sort=asc HTTP/1.1\" 200 1290 "
        "\"https://www.example.com/\" \"curl/8.0\"\n");
  Summary summary;
  summary.started_wall_us = 951'827'696'000'000;  // a leap day
  summary.status = 400;
  CHECK(line_of(summary, LogFormat::kCombined) ==
        "- - - [29/Feb/2000:12:34:56 +0000] \"-\" 400 0 \"-\" \"-\"\n");
}

TEST_CASE("the kept second follows the clock in both directions") {
  LineFormatter formatter;
  Summary summary = usual_summary();
  const auto time_of = [&] {
    std::string line(LineFormatter::bytes_max(summary), '\0');
    line.resize(static_cast<size_t>(formatter.json(summary, line.data()) - line.data()));
    return Json::parse(line)["time"].get<std::string>();
  };
  CHECK(time_of() == "2026-08-01T12:34:56.123Z");
  summary.started_wall_us += 900'000;
  CHECK(time_of() == "2026-08-01T12:34:57.023Z");
  summary.started_wall_us -= 1'000'000;
  CHECK(time_of() == "2026-08-01T12:34:56.023Z");
}

TEST_CASE("every line arrives once and in order") {
  const TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  constexpr int kLines = 2'000;  // some ten buffers
  Metrics metrics;
  {
    auto writer = LogWriter::open(path);
    REQUIRE(writer.ok());
    AccessLog log(writer.value().get(), metrics);
    for (int i = 0; i < kLines; ++i) {
      const std::string uri = "/" + std::to_string(i);
      Summary summary = usual_summary();
      summary.uri = uri;
      const bool is_first = log.append(summary);
      CHECK((i != 0 || is_first));
    }
  }
  CHECK(metrics.access_log_dropped.value() == 0);
  const std::vector<std::string> lines = lines_of(path);
  REQUIRE(lines.size() == kLines);
  for (int i = 0; i < kLines; ++i) {
    if (Json::parse(lines[i])["uri"] != "/" + std::to_string(i)) FAIL(lines[i]);
  }
}

TEST_CASE("the first line of a buffer asks for a tick") {
  const TemporaryFolder folder;
  auto writer = LogWriter::open(folder.file("access.log"));
  REQUIRE(writer.ok());
  Metrics metrics;
  AccessLog log(writer.value().get(), metrics);
  CHECK(log.append(usual_summary()));
  CHECK_FALSE(log.append(usual_summary()));
  log.flush();
  CHECK(log.append(usual_summary()));
}

TEST_CASE("a line longer than a buffer is written whole") {
  const TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  const std::string agent(3 * LogBuffer::kBytes, 'a');
  Metrics metrics;
  {
    auto writer = LogWriter::open(path);
    REQUIRE(writer.ok());
    AccessLog log(writer.value().get(), metrics);
    log.append(usual_summary());
    Summary summary = usual_summary();
    summary.user_agent = agent;
    log.append(summary);
    log.append(usual_summary());
  }
  const std::vector<std::string> lines = lines_of(path);
  REQUIRE(lines.size() == 3);
  CHECK(Json::parse(lines[1])["user_agent"] == agent);
}

TEST_CASE("a route may go unlogged, and the log may be off") {
  const TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  Metrics metrics;
  Summary unlogged = usual_summary();
  unlogged.log = false;
  {
    auto writer = LogWriter::open(path);
    REQUIRE(writer.ok());
    AccessLog log(writer.value().get(), metrics);
    CHECK_FALSE(log.append(unlogged));
  }
  CHECK(lines_of(path).empty());

  auto off = LogWriter::open("off");
  REQUIRE(off.ok());
  AccessLog log(off.value().get(), metrics);
  log.configure({"off"});
  CHECK_FALSE(log.append(usual_summary()));
  log.flush();
  CHECK(metrics.access_log_dropped.value() == 0);
}

TEST_CASE("a sample is a share of the lines, and none of them counts as dropped") {
  struct Case {
    double sample;
    size_t low;
    size_t high;
  };
  const Case cases[] = {{1.0, 10'000, 10'000}, {0.0, 0, 0}, {0.25, 2'200, 2'800}, {-1, 0, 0}};
  for (const Case& row : cases) {
    CAPTURE(row.sample);
    const TemporaryFolder folder;
    const std::string path = folder.file("access.log");
    Metrics metrics;
    {
      auto writer = LogWriter::open(path);
      REQUIRE(writer.ok());
      AccessLog log(writer.value().get(), metrics);
      log.configure({"access.log", LogFormat::kCombined, row.sample});
      for (int i = 0; i < 10'000; ++i) log.append(usual_summary());
    }
    const size_t lines = lines_of(path).size();
    CHECK(lines >= row.low);
    CHECK(lines <= row.high);
    CHECK(metrics.access_log_dropped.value() == 0);
  }
}

}  // namespace
}  // namespace weir::proxy
