// A bad `cache`, of a route and of the top level, and the exact lines that they give.
#include <catch2/catch.hpp>

#include "net/redis_config.h"
#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

struct Case {
  std::string text;
  Lines errors;  // without "weir.yaml:"
};

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CAPTURE(one.text);
    test::World world;
    Lines expected;
    for (const std::string& line : one.errors) expected.push_back("weir.yaml:" + line);
    const LoadResult result = world.load(one.text);
    CHECK(result.errors == expected);
    CHECK(result.ok() == one.errors.empty());
  }
}

TEST_CASE("config errors: cache") {
  const auto with_cache = [](const std::string& keys) {
    return test::with_route("{path: /, upstream: app, cache: {" + keys + "}}");
  };
  check({
      {with_cache(""), {}},
      {with_cache("ttl: 5, key: {query: all}, methods: [POST]"),
       {"6:42: sites[0].routes[0].cache.ttl: \"5\" needs a unit; one of ms, s, m, h, d, w or y, as "
        "in 5s",
        "6:56: sites[0].routes[0].cache.key.query: must be sorted, as_sent or ignored, not \"all\"",
        "6:79: sites[0].routes[0].cache.methods[0]: answers to \"POST\" cannot be kept; GET and "
        "HEAD "
        "can"}},
      {with_cache("methods: []"),
       {"6:42: sites[0].routes[0].cache.methods: is empty; say cache: off"}},
      {with_cache("key: {ignore_query: ['*'], user: me, headers: ['a b'], cookie: []}"),
       {"6:48: sites[0].routes[0].cache.key.ignore_query: \"*\" is every parameter; say query: "
        "ignored",
        "6:69: sites[0].routes[0].cache.key.user: \"me\" is not a user: known are subject and "
        "jwt:CLAIM",
        "6:89: sites[0].routes[0].cache.key.headers[0]: \"a b\" is not a header name",
        "6:97: sites[0].routes[0].cache.key.cookie: unknown key; did you mean \"cookies\"?"}},
      {with_cache("tags: 'a b', status_header: '', lock: 1h"),
       {"6:42: sites[0].routes[0].cache.tags: \"a b\" is not a header name",
        "6:55: sites[0].routes[0].cache.status_header: \"\" is not a header name",
        "6:74: sites[0].routes[0].cache.lock: \"1h\" is out of range; allowed: 0ms to 10m"}},
      {test::with_top("cache: {memory: 1MiB, max_object: 100B, eviction: fifo}"),
       {"7:9: cache.memory: \"1MiB\" is out of range; allowed: 8MiB to 128GiB",
        "7:23: cache.max_object: \"100B\" is out of range; allowed: 1KiB to 4GiB",
        "7:41: cache.eviction: must be lru or s3fifo, not \"fifo\"; did you mean \"s3fifo\"?"}},
      {test::with_top("cache: {memory: 32MiB, max_object: 16MiB}"),
       {"7:24: cache.max_object: is more than a quarter of memory; an answer that large would "
        "drive "
        "out too much of the others"}},
      {test::with_top("cache: {size: 1MiB, redis: {max_object: 8MiB, size: 1}}"),
       {"7:9: cache.size: unknown key",
        "7:21: cache.redis: there is no Redis; the top-level redis says where it is: redis: {url: "
        "\"redis://127.0.0.1:6379\"}",
        "7:29: cache.redis.max_object: \"8MiB\" is out of range; allowed: 1KiB to 4MiB",
        "7:47: cache.redis.size: unknown key"}},
      {test::with_top("cache: {redis: {enabled: false}}"), {}},
  });
}

TEST_CASE("config errors: a user in the key that no auth tells") {
  const std::string hash = "$5$saltsalt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  const auto load = [&](const std::string& user, const std::string& more) {
    test::World world;
    world.files = {{"users", "a:" + hash + "\n"}};
    return world.load(test::with_route("{path: /, upstream: app, cache: {key: {user: " + user +
                                       "}}" + more + "}"));
  };
  const std::string at = "weir.yaml:6:48: sites[0].routes[0].cache.key.user: ";
  const Lines nobody = {at + "the route has no auth that tells it; auth.basic and auth.jwt do"};
  const Lines no_claim = {at + "the route has no auth that tells it; auth.jwt does"};
  const std::string basic = ", auth: {basic: {users_file: users}}";
  const std::string jwt = ", auth: {jwt: {secret: abcdefghijklmnopqrstuvwxyz0123456789}}";
  const std::string forward = ", auth: {forward: {upstream: app, path: /}}";
  CHECK(load("subject", "").errors == nobody);
  CHECK(load("subject", ", auth: off").errors == nobody);
  CHECK(load("subject", forward).errors == nobody);
  CHECK(load("subject", basic).errors == Lines{});
  CHECK(load("subject", jwt).errors == Lines{});
  CHECK(load("jwt:sub", "").errors == no_claim);
  CHECK(load("jwt:sub", basic).errors == no_claim);
  CHECK(load("jwt:sub", jwt).errors == Lines{});
}

TEST_CASE("config warnings: a site's user in the key that no auth tells") {
  const auto load = [&](const std::string& routes) {
    test::World world;
    return world.load(
        "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
        "upstreams: {app: {servers: [{address: \"127.0.0.1:3000\"}]}}\n"
        "sites:\n"
        "  - hosts: [example.com]\n"
        "    cache: {key: {user: subject}}\n"
        "    routes: [" +
        routes + "]\n");
  };
  const std::string open = "{path: /, upstream: app}";
  const std::string known =
      "{path: /a, upstream: app, auth: {jwt: {secret: abcdefghijklmnopqrstuvwxyz0123456789}}}, ";
  const std::string of_its_own = "{path: /a, upstream: app, cache: {}}, ";
  const LoadResult without = load(of_its_own + open);
  CHECK(without.errors == Lines{});
  CHECK(without.warnings ==
        Lines{"weir.yaml:5:19: sites[0].cache.key.user: no route has an auth that tells it: "
              "requests with Authorization pass the cache by"});
  CHECK(load(known + open).warnings == Lines{});
  CHECK(load("{path: /, upstream: app, cache: off}").warnings == Lines{});
}

TEST_CASE("config: the cache is the snapshot's where a route uses it") {
  test::World world;
  CHECK(world.load(test::with_route("{path: /, upstream: app, cache: {}}")).snapshot->answers !=
        nullptr);
  CHECK(world.load(test::with_route("{path: /, upstream: app}")).snapshot->answers == nullptr);
  CHECK(world.load(test::with_top("cache: {}")).snapshot->answers == nullptr);
}

TEST_CASE("config: the second tier has a connection of its own, where a route uses the cache") {
  test::World world;
  const auto load = [&](const std::string& route, const std::string& tier) {
    return world
        .load(test::with_route("{path: /, upstream: app" + route + "}") +
              "redis: {url: 'redis://127.0.0.1:1/2', timeout: 7ms}\ncache: {" + tier + "}\n")
        .snapshot;
  };
  const auto used = load(", cache: {}", "redis: {}");
  REQUIRE(used != nullptr);
  REQUIRE(used->tier_redis != nullptr);
  CHECK(used->tier_object_bytes == 1 << 20);
  CHECK(used->tier_redis->reply_bytes > 1 << 20);
  CHECK(used->tier_redis->database == 2);
  CHECK(used->tier_redis->timeout_ms == 7);
  CHECK(used->tier_redis->identity != used->redis->identity);
  CHECK(used->tier_redis->state != used->redis->state);
  CHECK(load("", "redis: {}")->tier_redis == nullptr);
  CHECK(load(", cache: {}", "redis: {enabled: false}")->tier_redis == nullptr);
  CHECK(load(", cache: {}", "redis: {enabled: false}")->tier_object_bytes == 0);
  CHECK(load(", cache: {}", "redis: {max_object: 2KiB}")->tier_object_bytes == 2048);
}

}  // namespace
}  // namespace weir::config
