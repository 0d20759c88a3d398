// What a request costs weir itself: a real worker with its loop, connections, filters, log and
// metrics, between two sockets that are played (fake_kernel.h). Prints nanoseconds per request.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "config/load.h"
#include "encoders.h"
#include "fake_kernel.h"
#include "net/listener.h"
#include "net/worker.h"
#include "picks.h"
#include "proxy/log_writer.h"
#include "proxy/proxy_worker.h"
#include "stored.h"
#include "tokens.h"

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

// HS256 by the secret of own_route(), with nine claims, good until 2100.
constexpr const char* kBearer =
    "Authorization: Bearer "
    "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJzdWIiOiAiMGI2ZjBkM2UtNmYwZS00ZjZlLTlhNTUtNGQ"
    "0YzFkNmEwYzExIiwgImVtYWlsIjogImFubmFAZXhhbXBsZS5jb20iLCAidGVuYW50SWQiOiAiYWNtZSIsICJyb2x"
    "lIjogImFkbWluIiwgInBlcm1pc3Npb25zIjogWyJvcmRlcnM6cmVhZCIsICJvcmRlcnM6d3JpdGUiXSwgImlzcyI"
    "6ICJodHRwczovL2lkLmV4YW1wbGUuY29tIiwgImF1ZCI6ICJhcGkiLCAiaWF0IjogMTcwMDAwMDAwMCwgImV4cCI"
    "6IDQxMDI0NDQ4MDB9.ydiF2htkIvSOP_YlPgO0OboufXnmnuCHRm736gQoS5I"
    "\r\n";

struct Scenario {
  const char* name;
  const char* path;
  bool proxied;
  uint32_t sites = 1;            // of ten routes each where there are many
  const char* more_fields = "";  // of the request
  uint32_t keys = 0;             // different sessions; 0: always the same one
  bool kept = false;             // the first answer of the server is, and given from then on
};

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

constexpr const char* kFromApp = "Origin: https://app.example.com\r\n";

constexpr Scenario kScenarios[] = {
    {"proxy", "/app/catalogue?page=2", true},
    {"proxy, plain", "/plain/catalogue?page=2", true},              // no filter, no log line
    {"proxy, guarded", "/guarded/catalogue?page=2", true},          // what guards servers, all idle
    {"proxy, origin", "/app/catalogue?page=2", true, 1, kFromApp},  // nobody looks at it
    {"proxy, secure", "/secure/catalogue?page=2", true, 1, kFromApp},
    {"proxy, cors", "/cors/catalogue?page=2", true, 1, kFromApp},
    {"proxy, access", "/access/catalogue?page=2", true, 1, kFromApp},
    {"proxy, policy", "/policy/catalogue?page=2", true, 1, kFromApp},  // the three, and a closure
    {"proxy, bearer", "/app/catalogue?page=2", true, 1, kBearer},      // which nobody looks at
    {"proxy, jwt", "/jwt/catalogue?page=2", true, 1, kBearer},         // and its claims, known
    // By a cookie, over so many of them: each with a bucket that never refuses.
    {"proxy, limited", "/limited/catalogue?page=2", true, 1, "", 1},
    {"limited, 1k", "/limited/catalogue?page=2", true, 1, "", 1000},
    {"limited, 1M", "/limited/catalogue?page=2", true, 1, "", 1'000'000},
    {"respond", "/hello", false},
    {"proxy, sites", "/app/catalogue?page=2", true, 10'000},
    {"hit", "/kept/catalogue?page=2", true, 1, "", 0, true},
    {"hit, coded", "/coded/catalogue?page=2", true, 1, "", 0, true},  // as br
};

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
      {"/secure", secure},
      {"/cors", cors},
      {"/access", access},
      {"/policy", secure + ", " + cors + ", " + access + ", maintenance: {}"},
      {"/jwt", jwt},
      {"/limited", "rate_limit: [session]"},
      {"/kept", "cache: {}"},
      {"/coded", "cache: {}, compression: {}"}};
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

// The descriptor in this process whose peer is bound to that port, other than `not_this`.
int descriptor_to(uint16_t peer_port, int not_this) {
  constexpr int kDescriptors = 1024;
  for (int fd = 3; fd < kDescriptors; ++fd) {
    sockaddr_in peer = {};
    socklen_t length = sizeof(peer);
    if (fd == not_this || getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0)
      continue;
    if (peer.sin_family == AF_INET && ntohs(peer.sin_port) == peer_port) return fd;
  }
  return -1;
}

// A worker on this thread, and the two ends of the world around it.
class Bench {
 public:
  explicit Bench(const Scenario& scenario)
      : origin_(net::open_listening_socket(net::parse_address("127.0.0.1:0").value()).value()) {
    snapshot_ = load_snapshot(port_of(origin_), scenario);
    log_ = std::move(proxy::LogWriter::open(snapshot_->log.access.path).value());
    proxy::ProxyWorkerOptions options;
    options.metrics = &metrics_;
    options.log_writer = log_.get();
    options.give_back = [](auto) {};
    worker_ = std::make_unique<proxy::ProxyWorker>(std::move(options));
    worker_->publish(snapshot_);
    const int fd = net::open_listening_socket(snapshot_->listeners[0].address).value();
    worker_->listen(fd, 0);
    client_ = connect_to(port_of(fd));
  }
  ~Bench() {
    worker_->net().post([this] { worker_->drain(0); });
    worker_->run();
    worker_.reset();
    close(client_);
    if (server_ >= 0) close(server_);
    close(origin_);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  // One request over real sockets: makes the connections that will be played.
  void connect_through(const Scenario& scenario) {
    const std::string request = request_of(scenario);
    WEIR_CHECK(write(client_, request.data(), request.size()) ==
               static_cast<ssize_t>(request.size()));
    char bytes[8192];
    bool answered = !scenario.proxied;
    for (int rounds = 0; rounds < 1'000'000; ++rounds) {
      uv_run(worker_->net().loop(), UV_RUN_NOWAIT);
      if (server_ < 0) server_ = accept4(origin_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (!answered && server_ >= 0 && read(server_, bytes, sizeof(bytes)) > 0) {
        const std::string answer = server_answer(scenario);
        answered = write(server_, answer.data(), answer.size()) > 0;
      }
      if (answered && read(client_, bytes, sizeof(bytes)) > 0) return;
    }
    WEIR_CHECK(!"the worker does not answer");
  }

  void play(const Scenario& scenario) {
    sockaddr_in own = {};
    socklen_t length = sizeof(own);
    WEIR_CHECK(getsockname(client_, reinterpret_cast<sockaddr*>(&own), &length) == 0);
    const int workers_client = descriptor_to(ntohs(own.sin_port), client_);
    const bool asked = scenario.proxied && !scenario.kept;
    const int workers_server = asked ? descriptor_to(port_of(origin_), -1) : -1;
    WEIR_CHECK(workers_client >= 0 && (workers_server >= 0 || !asked));
    const std::string request = request_of(scenario);
    start_playing(workers_client, request, workers_server, server_answer(scenario));
    if (scenario.keys != 0) vary_request(request.find("session=") + 8, scenario.keys);
  }

  // Out of line and by this name: callgrind collects inside it (README.md).
  [[gnu::noinline]] void measured(uint64_t requests) { run(requests); }
  void run(uint64_t requests) {
    const uint64_t end = played().answers + requests;
    while (played().answers < end) uv_run(worker_->net().loop(), UV_RUN_ONCE);
  }

 private:
  static std::string request_of(const Scenario& scenario) {
    return "GET " + std::string(scenario.path) + " HTTP/1.1\r\n" + scenario.more_fields +
           std::string(kBrowser);
  }

  const int origin_;
  int client_ = -1;
  int server_ = -1;
  proxy::Metrics metrics_;
  std::shared_ptr<const proxy::Snapshot> snapshot_;
  std::unique_ptr<proxy::LogWriter> log_;
  std::unique_ptr<proxy::ProxyWorker> worker_;
};

void run_scenario(const Scenario& scenario, uint64_t requests, int rounds) {
  Bench bench(scenario);
  bench.connect_through(scenario);
  bench.play(scenario);
  constexpr uint64_t kWarmUp = 1000;
  bench.run(std::max<uint64_t>(kWarmUp, scenario.keys));
  std::vector<double> ns;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    bench.measured(requests);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    ns.push_back(took.count() / static_cast<double>(requests));
  }
  std::sort(ns.begin(), ns.end());
  const Played& bytes = played();
  std::printf("%-14s %9.0f %9.0f %12llu %12llu\n", scenario.name, ns[ns.size() / 2], ns.front(),
              static_cast<unsigned long long>(bytes.server_bytes / bytes.answers),
              static_cast<unsigned long long>(bytes.client_bytes / bytes.answers));
  stop_playing();
}

}  // namespace

}  // namespace weir::micro

// weir_micro [REQUESTS [ROUNDS [SCENARIO]]]
int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const uint64_t requests = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 9;
  if (requests == 0 || rounds <= 0) {
    std::fprintf(stderr, "usage: weir_micro [REQUESTS [ROUNDS [SCENARIO]]]\n");
    return 2;
  }
  std::printf("%-14s %9s %9s %12s %12s\n", "scenario", "ns median", "ns best", "B to server",
              "B to client");
  for (const weir::micro::Scenario& scenario : weir::micro::kScenarios) {
    if (argc > 3 && scenario.name != std::string_view(argv[3])) continue;
    weir::micro::run_scenario(scenario, requests, rounds);
  }
  weir::micro::run_picks(requests, rounds, argc > 3 ? argv[3] : "");
  weir::micro::run_tokens(requests / 20 + 1, rounds, argc > 3 ? argv[3] : "");
  weir::micro::run_encoders(requests / 200 + 1, rounds, argc > 3 ? argv[3] : "");
  weir::micro::run_stored(requests, rounds, argc > 3 ? argv[3] : "");
  return 0;
}
