#include "rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "config/load.h"
#include "fake_kernel.h"
#include "net/listener.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"

namespace weir::micro {

namespace {

constexpr std::string_view kBrowser =
    "Host: shop.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://shop.example.com/catalogue/index.html\r\n"
    "Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=all\r\n"
    "DNT: 1\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n\r\n";

std::string server_answer(const Scenario& scenario) {
  constexpr size_t kBodyBytes = 1024;
  return std::string(
             "HTTP/1.1 200 OK\r\nServer: app\r\nContent-Type: text/html; charset=utf-8\r\n") +
         "Cache-Control: " + (scenario.kept ? "public" : "private") +
         ", max-age=" + (scenario.kept ? "86400" : "0") +
         "\r\nETag: \"33a64df551425fcc55e4d42a148795d9\"\r\n" +
         "Content-Length: " + std::to_string(kBodyBytes) + "\r\n\r\n" +
         std::string(kBodyBytes, 'x');
}

// Routes that take nothing of what is measured, before those that do.
constexpr std::string_view kOtherRoutes = R"(
      - {path: =/health, respond: {}}
      - {path_regex: '\.(jpg|png|css|js)$', upstream: app}
      - {path: /static/, upstream: app}
      - {path: /ap, upstream: app}
      - {path: /login, methods: [POST], upstream: app}
      - {path: /a/, upstream: app}
      - {path: /app, methods: [DELETE], upstream: app})";

// 10,000 blocks of addresses that the client is in none of.
std::string many_blocks() {
  std::string list;
  for (int i = 0; i < 10'000; ++i) {
    list += (i == 0 ? "" : ", ") + std::to_string(20 + i / 2500) + "." + std::to_string(i % 250) +
            "." + std::to_string(i / 250 % 10) + ".0/24";
  }
  return list;
}

// The route of a scenario that has one to itself: what it asks for would cost its neighbours a
// little, too. On top of what /app has.
std::string own_route(std::string_view path) {
  const std::string secure = "security_headers: standard";
  const std::string cors =
      "cors: {origins: [\"https://app.example.com\", \"https://*.example.org\"], "
      "methods: [GET, POST], credentials: true}";
  const std::string access = "deny: [" + many_blocks() + "], allow: [127.0.0.0/8, 10.0.0.0/8]";
  const std::string jwt =
      "auth: {jwt: {secret: \"the secret of a bench, which is none\", issuer: "
      "https://id.example.com, "
      "claims_to_headers: {sub: X-User, tenantId: X-Tenant-ID}}}";
  const std::pair<std::string_view, std::string> routes[] = {
      {"/secure", secure},    {"/cors", cors},
      {"/access", access},    {"/policy", secure + ", " + cors + ", " + access},
      {"/jwt", jwt},          {"/limited", "rate_limit: [session]"},
      {"/kept", "cache: {}"}, {"/coded", "cache: {}, compression: {}"}};
  for (const auto& [at, keys] : routes) {
    if (!path.starts_with(at)) continue;
    return "\n      - {path: " + std::string(at) +
           ", upstream: app, headers: {response: {set: {X-Frame-Options: DENY}, remove: [Server]}"
           "}, " +
           keys + "}";
  }
  return {};
}

std::string config_text(uint16_t origin_port, const Scenario& scenario) {
  std::string text = R"(
log: {access: {path: /dev/null}}
cache: {memory: 16MiB}
listeners:
  http:
    address: "127.0.0.1:0"
    connection: {requests: 4000000000}
upstreams:
  app:
    servers: [{address: "127.0.0.1:)" +
                     std::to_string(origin_port) + R"("}]
    keepalive: {requests: 4000000000}
  guarded:
    servers: [{address: "127.0.0.1:)" +
                     std::to_string(origin_port) + R"("}]
    keepalive: {requests: 4000000000}
    health_check: {path: /health}
    outlier: {}
    panic: 50%
    slow_start: 30s
    circuit_breaker: {max_connections: 1000, max_pending: 200}
    retry: {attempts: 3, on: [connect, reset, timeout, 502, 503, 504]}
rate_limits:
  session: {key: "cookie:session", rate: 1000000/s, burst: 1000000}
sites:
  - hosts: [shop.example.com]
    routes:)";
  if (scenario.sites > 1) text += kOtherRoutes;
  text += own_route(scenario.path);
  text += R"(
      - path: /app
        upstream: app
        headers: {response: {set: {X-Frame-Options: DENY}, remove: [Server]}}
      - path: /guarded
        upstream: guarded
        headers: {response: {set: {X-Frame-Options: DENY}, remove: [Server]}}
      - {path: /plain, upstream: app, request_id: off, access_log: false}
      - {path: /hello, respond: {status: 200, body: "hello $client_ip"}}
)";
  for (uint32_t i = 1; i < scenario.sites; ++i) {
    text += "  - hosts: [shop" + std::to_string(i) +
            ".example.com]\n    routes:" + std::string(kOtherRoutes) +
            "\n      - {path: /b, upstream: app}\n      - {path: /c, upstream: app}" +
            "\n      - {path: /, upstream: app}\n";
  }
  return text;
}

std::shared_ptr<const proxy::Snapshot> load_snapshot(uint16_t origin_port,
                                                     const Scenario& scenario) {
  static upstream::StateRegistry states;
  config::LoadResult loaded =
      config::load_text(config_text(origin_port, scenario), "micro.yaml",
                        config::system_environment(states, proxy::labels()));
  for (const std::string& line : loaded.errors) std::fprintf(stderr, "%s\n", line.c_str());
  WEIR_CHECK(loaded.ok());
  config::put_cache_in_force(loaded, nullptr);
  return loaded.snapshot;
}

uint16_t port_of(int fd) { return net::bound_address(fd).port(); }

int connect_to(uint16_t port) {
  const net::SocketAddress to = net::parse_address("127.0.0.1:" + std::to_string(port)).value();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  WEIR_CHECK(fd >= 0 && connect(fd, &to.any, to.length) == 0);
  WEIR_CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
  return fd;
}

// The descriptor in this process that is the other end of `fd`.
int other_end_of(int fd) {
  constexpr int kDescriptors = 1024;
  const auto name = [](int of, auto get) {
    sockaddr_in at = {};
    socklen_t length = sizeof(at);
    const bool good = get(of, reinterpret_cast<sockaddr*>(&at), &length) == 0;
    return good && at.sin_family == AF_INET ? ntohs(at.sin_port) : 0;
  };
  const int own = name(fd, getsockname);
  const int peer = name(fd, getpeername);
  for (int other = 3; own != 0 && other < kDescriptors; ++other) {
    if (name(other, getpeername) == own && name(other, getsockname) == peer) return other;
  }
  return -1;
}

std::string request_of(const Scenario& scenario) {
  return "GET " + std::string(scenario.path) + " HTTP/1.1\r\n" + scenario.more_fields +
         std::string(kBrowser);
}

}  // namespace

World::World(const Scenario& of)
    : scenario(of),
      origin(net::open_listening_socket(net::parse_address("127.0.0.1:0").value()).value()),
      snapshot(load_snapshot(port_of(origin), of)),
      log(std::move(proxy::LogWriter::open(snapshot->log.access.path).value())) {}

World::~World() { close(origin); }

Bench::Bench(World& world, uint32_t worker) : world_(world) {
  proxy::ProxyWorkerOptions options;
  options.index = worker;
  options.metrics = &metrics_;
  options.log_writer = world.log.get();
  options.give_back = [](auto) {};
  worker_ = std::make_unique<proxy::ProxyWorker>(std::move(options));
  worker_->publish(world.snapshot);
  const int fd = net::open_listening_socket(world.snapshot->listeners[0].address).value();
  worker_->listen(fd, 0);
  client_ = connect_to(port_of(fd));
  connect_through();
}

Bench::~Bench() {
  stop_playing();
  worker_->net().post([this] { worker_->drain(0); });
  worker_->run();
  worker_.reset();
  close(client_);
  if (server_ >= 0) close(server_);
}

void Bench::connect_through() {
  const Scenario& scenario = world_.scenario;
  const std::string request = request_of(scenario);
  WEIR_CHECK(write(client_, request.data(), request.size()) ==
             static_cast<ssize_t>(request.size()));
  char bytes[8192];
  bool answered = !scenario.proxied;
  for (int rounds = 0; rounds < 1'000'000; ++rounds) {
    uv_run(worker_->net().loop(), UV_RUN_NOWAIT);
    if (server_ < 0) {
      server_ = accept4(world_.origin, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    if (!answered && server_ >= 0 && read(server_, bytes, sizeof(bytes)) > 0) {
      const std::string answer = server_answer(scenario);
      answered = write(server_, answer.data(), answer.size()) > 0;
    }
    if (answered && read(client_, bytes, sizeof(bytes)) > 0) return;
  }
  WEIR_CHECK(!"the worker does not answer");
}

void Bench::play() {
  const Scenario& scenario = world_.scenario;
  const bool asked = scenario.proxied && !scenario.kept;
  const int workers_client = other_end_of(client_);
  const int workers_server = asked ? other_end_of(server_) : -1;
  WEIR_CHECK(workers_client >= 0 && (workers_server >= 0 || !asked));
  const std::string request = request_of(scenario);
  start_playing(workers_client, request, workers_server, server_answer(scenario));
  if (scenario.keys != 0) vary_request(request.find("session=") + 8, scenario.keys);
  constexpr uint64_t kWarmUp = 1000;
  run(std::max<uint64_t>(kWarmUp, scenario.keys));
}

void Bench::measured(uint64_t requests) { run(requests); }

void Bench::run(uint64_t requests) {
  const uint64_t end = played().answers + requests;
  while (played().answers < end) uv_run(worker_->net().loop(), UV_RUN_ONCE);
}

double median(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double thread_cpu_ns() {
  timespec now = {};
  WEIR_CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace weir::micro
