// A warm worker that proxies keep-alive requests allocates nothing: no new, no malloc on its
// thread. Access log, metrics and the request_id filter are on.
#include <catch2/catch.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <string>

#include "filters/rate_limit/rate_limit.h"
#include "filters/request_id.h"
#include "proxy/log_writer.h"
#include "proxy/split.h"
#include "support/edge.h"
#include "support/h1_client.h"
#include "support/scripted_origin.h"
#include "support/temporary_folder.h"
#include "upstream/rollback.h"
#include "upstream/sticky.h"

// glibc's allocator under its own names: everything, C libraries included, comes through here.
extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
}

namespace {

thread_local bool counts_here = false;  // set on the worker's thread only
std::atomic<bool> counting{false};
std::atomic<uint64_t> allocations{0};

void count_allocation() {
  if (!counts_here || !counting.load(std::memory_order_relaxed)) return;
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (std::getenv("WEIR_ALLOC_ABORT") != nullptr) std::abort();  // where? ask the core
}

}  // namespace

extern "C" {
void* malloc(size_t bytes) {
  count_allocation();
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  count_allocation();
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  count_allocation();
  return __libc_realloc(memory, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  count_allocation();
  return __libc_memalign(alignment, bytes);
}
}

namespace weir {
namespace {

constexpr int kWarmUp = 200;
constexpr int kMeasured = 1000;

constexpr std::string_view kBrowserFields =
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://example.com/page\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n"
    "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nPragma: no-cache\r\n";

void ask_many(test::Socket& client, test::AnswerReader& reader, const std::string& request,
              int times) {
  for (int i = 0; i < times; ++i) {
    REQUIRE(client.send(request));
    const test::Answer answer = reader.next();
    REQUIRE(answer.status == 200);
    REQUIRE(answer.complete);
  }
}

// What stands before the route that is taken: more patterns than are asked one by one, and more
// routes with a condition on one path.
void add_other_routes(test::SnapshotBuilder& builder) {
  for (int i = 0; i < 20; ++i) {
    proxy::Route& pattern = builder.respond_route("/", "no");
    pattern.match = proxy::PathMatch::kRegex;
    pattern.regex = proxy::Regex::compile("^/(\\w+)/x" + std::to_string(i) + "\\.js$").value();
    proxy::Route& tenant = builder.respond_route("/", "no");
    tenant.conditions.methods = http::bit(http::Method::kGet);
    tenant.conditions.named = {{proxy::Condition::Kind::kCookie, "session", std::to_string(i)},
                               {proxy::Condition::Kind::kQuery, "id", std::to_string(i)}};
  }
}

// Of a request without a key: each answer brings the cookie of a side.
std::shared_ptr<const proxy::Split> split_over(
    const std::shared_ptr<const upstream::Cluster>& cluster, upstream::StateRegistry& registry) {
  auto split = std::make_shared<proxy::Split>();
  split->remembers = true;
  split->key = {upstream::HashKey::Source::kHeader, "X-User"};
  split->to = {{cluster, proxy::kSplitBuckets}, {cluster, 0}};
  split->rollback = registry.rollback("", "split", split->upstreams(), {.error_rate_over = 0.1});
  split->finish();
  return split;
}

std::unique_ptr<proxy::FilterFactory> rate_limit() {
  auto limit = std::make_shared<filters::rate_limit::Limit>();
  limit->name = "a";
  limit->key.parts = {{}, *filters::rate_limit::parse_key_part("query:id")};
  limit->rule = filters::rate_limit::Rule::token_bucket(1'000'000, 1000, 1'000'000, 0);
  limit->policy = limit->quoted_name = "\"a\"";
  const filters::rate_limit::Limits limits = {{limit->name, limit}};
  filters::rate_limit::bind(limits);
  options::Node list;
  list.kind = options::Kind::kList;
  list.children.push_back(std::make_unique<options::Node>());
  list.children[0]->kind = options::Kind::kScalar;
  list.children[0]->text = limit->name;
  options::Problems problems;
  return filters::rate_limit_read(list, nullptr, {.problems = problems, .limits = &limits})->make();
}

// Allocations of the worker's thread for kMeasured requests like this one.
uint64_t allocations_for(const std::string& request, bool routed = false,
                         upstream::Balance balance = upstream::Balance::kLeastConn,
                         bool split = false,
                         std::unique_ptr<proxy::FilterFactory> filter = nullptr) {
  TemporaryFolder folder;
  proxy::AccessLogConfig log_config;
  log_config.path = folder.file("access.log");
  auto opened = proxy::LogWriter::open(log_config.path);
  const std::unique_ptr<proxy::LogWriter> log = std::move(opened.value());
  test::ScriptedOrigin origin;
  upstream::StateRegistry registry;
  test::SnapshotBuilder builder;
  builder.listener().connection_requests = 100 * (kWarmUp + kMeasured);
  auto cluster = test::make_cluster(registry, "app", {origin.port()});
  cluster->balance = balance;
  cluster->hash_key = {upstream::HashKey::Source::kCookie, "session"};
  cluster->bounded_load = 1.25;
  cluster->servers[0].max_connections = 10;
  upstream::build_hash_tables(*cluster);
  builder.snapshot().clusters.push_back(cluster);
  if (routed) add_other_routes(builder);
  proxy::Route& route = builder.upstream_route("/", cluster);
  route.filters.push_back(filters::request_id_standard()->make());
  if (filter != nullptr) route.filters.push_back(std::move(filter));
  if (routed) {
    route.match = proxy::PathMatch::kRegex;
    route.regex = proxy::Regex::compile("^/page").value();
    auto rewrite = std::make_shared<proxy::Rewrite>();
    rewrite->strip_prefix = "/page";
    route.rewrite = std::move(rewrite);
  }
  if (split) {
    cluster->sticky =
        std::make_shared<const upstream::Sticky>("weir_srv", 3600, "", "app", cluster->servers);
    route.split = split_over(cluster, registry);
  }
  test::Edge::Options options;
  options.log_writer = log.get();
  options.on_start = [](proxy::ProxyWorker&) { counts_here = true; };
  test::Edge edge(builder.finish(), options);

  test::Socket client = test::connect_to(edge.port());
  test::AnswerReader reader(client);
  counting.store(true);
  ask_many(client, reader, request, kWarmUp);
  CHECK(allocations.exchange(0) > 0);  // a cold worker's are seen
  ask_many(client, reader, request, kMeasured);
  counting.store(false);
  client.close();
  CHECK(edge.stop() == test::Leftovers());
  return allocations.load();
}

TEST_CASE("the counter counts") {
  counts_here = true;
  counting.store(true);
  void* volatile memory = std::malloc(1);
  delete new std::string(100, 'x');
  counting.store(false);
  counts_here = false;
  std::free(memory);
  CHECK(allocations.exchange(0) >= 3);
}

TEST_CASE("a GET on a kept connection") {
  CHECK(allocations_for(test::get("/page?id=1", kBrowserFields)) == 0);
}

TEST_CASE("a GET with a chunked answer") {
  const std::string fields = std::string(kBrowserFields) + "X-Script: kind=chunked\r\n";
  CHECK(allocations_for(test::get("/page", fields)) == 0);
}

TEST_CASE("a GET that passes patterns and conditions, and is rewritten") {
  CHECK(allocations_for(test::get("/page/%41?a=b&id=1", kBrowserFields), true) == 0);
}

TEST_CASE("a GET whose cookie chooses the server, or chance") {
  const std::string request = test::get("/page", kBrowserFields);
  CHECK(allocations_for(request, false, upstream::Balance::kHash) == 0);
  CHECK(allocations_for(request, false, upstream::Balance::kRandomTwo) == 0);
}

TEST_CASE("a GET of a split whose upstream is sticky") {
  const std::string forged = "Cookie: weir_srv=" + std::string(56, '0') + "\r\n";
  for (const std::string& fields : {std::string(), forged, forged + "X-User: u1\r\n"}) {
    CHECK(allocations_for(test::get("/page", fields), false, upstream::Balance::kLeastConn, true) ==
          0);
  }
}

TEST_CASE("a GET that is counted by its client and a parameter") {
  const std::string request = test::get("/page?id=%41", kBrowserFields);
  CHECK(allocations_for(request, false, upstream::Balance::kLeastConn, false, rate_limit()) == 0);
}

TEST_CASE("a POST with a body") {
  CHECK(allocations_for("POST /form HTTP/1.1\r\nHost: test\r\n" + std::string(kBrowserFields) +
                        "Content-Length: 1000\r\n\r\n" + std::string(1000, 'p')) == 0);
}

}  // namespace
}  // namespace weir
