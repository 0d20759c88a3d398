// What concerns the process: workers, shutdown, logs, the admin listener, trusted proxies.
#include <netinet/in.h>

#include <algorithm>

#include "config/build.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

constexpr uint32_t kWorkersMax = 1024;

void build_workers(Build& build, MapReader& top) {
  const Node* node = top.find("workers");
  top.note_default("workers", "auto");
  if (node == nullptr || (node->kind == options::Kind::kScalar && node->text == "auto")) {
    build.snapshot.workers = std::min(build.environment.cpus(), kWorkersMax);
    return;
  }
  uint64_t count = 0;
  const bool is_word = node->kind != options::Kind::kScalar ||
                       node->text.find_first_not_of("0123456789") != std::string::npos;
  if (is_word && !node->broken) {
    build.problems.error(*node, "must be auto or a whole number, not " + node->shown());
  } else if (read_u64(*node, build.problems, {1, kWorkersMax}, count)) {
    build.snapshot.workers = static_cast<uint32_t>(count);
  }
}

void build_access_log(const Node& section, Problems& problems, proxy::AccessLogConfig& out) {
  MapReader map(section, problems);
  map.note_default("path", out.path);
  if (const Node* path = map.find("path")) {
    if (read_string(*path, problems, out.path)) {
      const bool is_word = out.path == "stdout" || out.path == "stderr" || out.path == "off";
      if (!is_word && out.path.find('/') == std::string::npos) {
        problems.error(*path,
                       "must be stdout, stderr, off or a path with a /, not " + path->shown());
      }
    }
  }
  map.choice<proxy::LogFormat>(
      "format", {{"json", proxy::LogFormat::kJson}, {"combined", proxy::LogFormat::kCombined}}, {},
      out.format);
  map.number("sample", {0.0, 1.0}, out.sample);
  map.finish();
}

void build_log(const Node& section, Problems& problems, proxy::LogConfig& out) {
  MapReader map(section, problems);
  map.choice<std::string>(
      "level", {{"error", "error"}, {"warn", "warn"}, {"info", "info"}, {"debug", "debug"}}, {},
      out.level);
  map.choice<bool>("format", {{"json", true}, {"text", false}}, {}, out.json);
  if (const Node* access = map.section("access")) build_access_log(*access, problems, out.access);
  map.finish();
}

bool is_local(const net::SocketAddress& address) {
  switch (address.any.sa_family) {
    case AF_UNIX: return true;
    case AF_INET: return ntohl(address.v4.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6: {
      const in6_addr& v6 = address.v6.sin6_addr;
      return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
    }
    default: return false;
  }
}

void build_trusted_proxies(Build& build, MapReader& top) {
  std::vector<const Node*> items;
  top.list("trusted_proxies", items);
  for (const Node* item : items) {
    std::string text;
    if (read_string(*item, build.problems, text) && !build.snapshot.trusted_proxies.add(text)) {
      build.problems.invalid(*item, "a block of addresses", "as in 10.0.0.0/8, ::1 or fd00::/8");
    }
  }
  build.snapshot.trusted_proxies.seal();
}

void build_user(Build& build, MapReader& top) {
  const Node* node = top.find("user");
  if (node == nullptr || !read_string(*node, build.problems, build.snapshot.user)) return;
  if (!build.environment.user_exists(build.snapshot.user)) {
    build.problems.error(*node, "there is no user " + node->shown() + " on this system");
  }
}

void build_memory(const Node& section, Problems& problems, proxy::MemoryConfig& out) {
  constexpr options::Range<uint64_t> kBuffersBytes = {uint64_t{1} << 20, uint64_t{1} << 40};
  constexpr options::Range<uint64_t> kPerConnectionBytes = {uint64_t{32} << 10, uint64_t{1} << 30};
  MapReader map(section, problems);
  map.size_bytes("buffers", kBuffersBytes, out.buffers_bytes);
  map.size_bytes("per_connection", kPerConnectionBytes, out.per_connection_bytes);
  if (out.per_connection_bytes > out.buffers_bytes) {
    problems.key_error(section, "per_connection", "is larger than memory.buffers");
  }
  map.finish();
}

}  // namespace

void build_admin(const Node& section, Problems& problems, proxy::AdminConfig& out) {
  MapReader map(section, problems);
  std::string text = "127.0.0.1:9901";
  const Node* address = map.find("address");
  map.note_default("address", text);
  const bool read = address == nullptr || read_string(*address, problems, text);
  if (const Node* token = map.find("token")) {
    if (read_string(*token, problems, out.token) && out.token.empty()) {
      problems.error(*token, "is empty");
    }
  }
  map.finish();
  if (!read) return;
  Result<net::SocketAddress> parsed = net::parse_address(text);
  if (!parsed.ok()) {
    problems.invalid(address == nullptr ? section : *address, "an address", parsed.error());
    return;
  }
  out.address = parsed.value();
  if (!is_local(out.address) && map.node().find("token") == nullptr) {
    problems.key_error(section, "token", "is required off loopback", "token: ${ADMIN_TOKEN}");
  }
}

void build_process(Build& build, MapReader& top) {
  build_workers(build, top);
  if (const Node* section = top.section("shutdown")) {
    MapReader map(*section, build.problems);
    map.duration_ms("grace", {0, kDayMs}, build.snapshot.shutdown_grace_ms);
    map.duration_ms("delay", {0, kDayMs}, build.snapshot.shutdown_delay_ms);
    map.finish();
  }
  if (const Node* section = top.section("log")) {
    build_log(*section, build.problems, build.snapshot.log);
  }
  if (const Node* section = top.find("admin")) {
    build_admin(*section, build.problems, build.snapshot.admin);
  }
  if (const Node* section = top.section("memory")) {
    build_memory(*section, build.problems, build.snapshot.memory);
  }
  build_trusted_proxies(build, top);
  build_user(build, top);
  if (const Node* node = top.find("pid_file");
      node != nullptr && read_string(*node, build.problems, build.snapshot.pid_file) &&
      !build.snapshot.pid_file.starts_with('/')) {
    build.problems.error(*node, "must be an absolute path, not " + node->shown());
  }
}

}  // namespace weir::config
