// upstreams.NAME.health_check, slow_start, outlier and panic
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "config/build.h"
#include "http/rules.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;
using upstream::CheckConfig;
using upstream::CheckType;

constexpr options::Range<uint64_t> kCheckIntervalMs = {10, kDayMs};
constexpr size_t kServiceChars = 127;  // whose length is one byte of a message
constexpr size_t kBodyChars = 1024;

bool parse_status(std::string_view text, int& out) {
  uint64_t number = 0;
  if (text.size() != 3 || !parse_u64(text, number) || number < 100 || number > 599) return false;
  out = static_cast<int>(number);
  return true;
}

// "200", "200-399"
void read_range(const Node& node, Problems& problems, std::vector<upstream::StatusRange>& out) {
  const std::string_view text = node.text;
  const size_t dash = text.find('-');
  upstream::StatusRange range;
  const bool good =
      node.kind == options::Kind::kScalar && parse_status(text.substr(0, dash), range.min) &&
      parse_status(dash == std::string_view::npos ? text : text.substr(dash + 1), range.max) &&
      range.min <= range.max;
  if (good) {
    out.push_back(range);
  } else if (!node.broken) {
    problems.error(node, node.shown() + " is not a status or a range of them",
                   "as in 200, 200-399 or [200, 301-302]");
  }
}

void read_statuses(MapReader& map, CheckConfig& check) {
  const Node* node = map.find("status");
  if (node == nullptr) {
    map.note_default("status", "200-399");
    return;
  }
  check.statuses.clear();
  if (node->kind != options::Kind::kList) {
    read_range(*node, map.problems(), check.statuses);
    return;
  }
  for (const auto& item : node->children) read_range(*item, map.problems(), check.statuses);
  if (node->children.empty()) {
    map.problems().error(*node, "is empty", "no answer could ever be a good one");
  }
}

void read_host(MapReader& map, std::string_view key, bool port, std::string& out) {
  const Node* node = map.find(key);
  if (node == nullptr || !read_string(*node, map.problems(), out)) return;
  if (http::is_valid_host(out) && (port || out.find(':') == std::string::npos)) return;
  map.problems().invalid(*node, "a host name",
                         port ? "as in app.internal or app.internal:8080" : "it has no port");
}

void read_text(MapReader& map, std::string_view key, size_t longest, std::string& out) {
  const Node* node = map.find(key);
  if (node == nullptr || !read_string(*node, map.problems(), out)) return;
  if (out.empty() || out.size() > longest) {
    map.problems().error(*node, "must have 1 to " + std::to_string(longest) + " bytes");
  }
}

void read_path(MapReader& map, CheckConfig& check) {
  const Node* node = map.find("path");
  if (node == nullptr) {
    map.note_default("path", check.path);
  } else if (read_string(*node, map.problems(), check.path) &&
             (!check.path.starts_with('/') || !http::is_request_target(check.path))) {
    map.problems().invalid(*node, "a path", "it begins with / and has no spaces and no #");
  }
}

// Keys that the type of check makes nothing of.
void refuse_idle_keys(MapReader& map, const CheckConfig& check) {
  const auto refuse = [&map](const char* key, const char* type) {
    if (const Node* node = map.node().find(key)) {
      map.problems().error(*node, std::string("does nothing with type: ") + type);
    }
  };
  switch (check.type) {
    case CheckType::kHttp: refuse("service", "http"); break;
    case CheckType::kGrpc:
      for (const char* key : {"path", "status", "body"}) refuse(key, "grpc");
      break;
    case CheckType::kTcp:
      for (const char* key : {"path", "status", "body", "host", "service"}) refuse(key, "tcp");
      break;
  }
}

void build_check(const Node& section, Problems& problems, upstream::Cluster& cluster) {
  CheckConfig check;
  MapReader map(section, problems);
  const Node* type = map.node().find("type");
  map.choice<CheckType>(
      "type", {{"http", CheckType::kHttp}, {"tcp", CheckType::kTcp}, {"grpc", CheckType::kGrpc}},
      {}, check.type);
  if (check.type == CheckType::kGrpc && !cluster.transport->may_be_h2()) {
    problems.error(*type, "needs protocol: h2c or h2", "gRPC is spoken over HTTP/2");
  }
  read_path(map, check);
  read_host(map, "host", true, check.host);
  read_host(map, "sni", false, check.sni);
  if (!check.sni.empty() && cluster.transport->tls == nullptr) {
    problems.error(*map.node().find("sni"), "does nothing without protocol: https or h2");
  }
  read_statuses(map, check);
  read_text(map, "body", kBodyChars, check.body);
  read_text(map, "service", kServiceChars, check.service);
  map.duration_ms("interval", kCheckIntervalMs, check.interval_ms);
  map.duration_ms("timeout", kCheckIntervalMs, check.timeout_ms);
  map.duration_ms("degraded_over", {1, kDayMs}, check.degraded_over_ms);
  map.u32("healthy_after", {1, 1000}, check.healthy_after);
  map.u32("unhealthy_after", {1, 1000}, check.unhealthy_after);
  map.finish();
  refuse_idle_keys(map, check);
  if (check.degraded_over_ms >= check.timeout_ms) {
    problems.error(*map.node().find("degraded_over"), "is never reached",
                   "timeout ends a check before");
  }
  cluster.check = std::move(check);
}

void read_share(MapReader& map, std::string_view key, double& out) {
  const Node* node = map.find(key);
  if (node == nullptr) {
    map.note_default(key, std::to_string(static_cast<int>(out * 100)) + "%");
  } else {
    read_percent(*node, map.problems(), out);
  }
}

void build_outlier(const Node& section, Problems& problems, upstream::Cluster& cluster) {
  upstream::OutlierConfig outlier;
  MapReader map(section, problems);
  map.duration_ms("window", {1'000, kDayMs}, outlier.window_ms);
  read_share(map, "error_rate", outlier.error_rate);
  map.duration_ms("latency", {1, kDayMs}, outlier.latency_ms);
  map.u32("min_requests", {1, 1'000'000}, outlier.min_requests);
  map.duration_ms("eject", {100, kDayMs}, outlier.eject_ms);
  read_share(map, "max_ejected", outlier.max_ejected);
  map.finish();
  if (outlier.error_rate == 0 && outlier.latency_ms == 0) {
    problems.error(section, "can eject nobody", "give it an error_rate above 0% or a latency");
  }
  cluster.outlier = outlier;
}

}  // namespace

void build_health(Build& build, MapReader& upstream, upstream::Cluster& cluster) {
  Problems& problems = build.problems;
  if (const Node* section = upstream.find("health_check")) build_check(*section, problems, cluster);
  if (const Node* section = upstream.find("outlier")) build_outlier(*section, problems, cluster);
  if (const Node* node = upstream.find("panic")) read_percent(*node, problems, cluster.panic);
  uint64_t slow_start_ms = 0;
  upstream.duration_ms("slow_start", {0, kDayMs}, slow_start_ms);
  for (upstream::Server& server : cluster.servers) server.slow_start_ms = slow_start_ms;
}

}  // namespace weir::config
