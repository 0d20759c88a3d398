// The section redis: URLs that are read, mistakes that are told, and secrets that are not.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "net/redis_config.h"
#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

std::shared_ptr<const net::RedisConfig> read(const std::string& section) {
  test::World world;
  const LoadResult loaded = world.load(test::with_top("redis: " + section));
  CHECK(loaded.errors == Lines{});
  return loaded.ok() ? loaded.snapshot->redis : nullptr;
}

std::string addresses(const net::RedisConfig& redis) {
  std::string text;
  for (const net::RedisServer& server : redis.servers) {
    text += server.address + "=";
    for (const net::SocketAddress& address : server.addresses()) text += address.text();
    text += " ";
  }
  return text;
}

TEST_CASE("redis: every form of a URL") {
  struct Row {
    const char* url;
    const char* addresses;
    const char* user;
    const char* password;
    uint32_t database;
    bool tls;
  };
  const Row rows[] = {
      {"redis://127.0.0.1", "127.0.0.1:6379=127.0.0.1:6379 ", "", "", 0, false},
      {"redis://127.0.0.1:1/5", "127.0.0.1:1=127.0.0.1:1 ", "", "", 5, false},
      {"redis://a.test:7000/", "a.test:7000=192.0.2.1:7000 ", "", "", 0, false},
      {"redis://none.invalid", "none.invalid:6379= ", "", "", 0, false},
      {"redis://[::1]", "[::1]:6379=[::1]:6379 ", "", "", 0, false},
      {"redis://[::1]:2,a.test/3", "[::1]:2=[::1]:2 a.test:6379=192.0.2.1:6379 ", "", "", 3, false},
      {"redis://:p@127.0.0.1", "127.0.0.1:6379=127.0.0.1:6379 ", "", "p", 0, false},
      {"redis://u:p%40%25%2F@127.0.0.1", "127.0.0.1:6379=127.0.0.1:6379 ", "u", "p@%/", 0, false},
      {"redis://u:p/@:x@127.0.0.1", "127.0.0.1:6379=127.0.0.1:6379 ", "u", "p/@:x", 0, false},
      {"rediss://a.test", "a.test:6379=192.0.2.1:6379 ", "", "", 0, true},
      {"unix:///run/r.sock", "unix:/run/r.sock=unix:/run/r.sock ", "", "", 0, false},
      {"unix://u:p@/run/r.sock?db=7", "unix:/run/r.sock=unix:/run/r.sock ", "u", "p", 7, false},
  };
  for (const Row& row : rows) {
    INFO(row.url);
    const auto redis = read("{url: \"" + std::string(row.url) + "\"}");
    REQUIRE(redis != nullptr);
    CHECK(addresses(*redis) == row.addresses);
    CHECK(redis->user == row.user);
    CHECK(redis->password == row.password);
    CHECK(redis->database == row.database);
    CHECK((redis->tls != nullptr) == row.tls);
    CHECK(redis->timeout_ms == 20);
    CHECK(redis->key_prefix == "weir:");
  }
  CHECK(read("{url: redis://u@h.test:1, password: \"p%:@\"}")->password == "p%:@");
}

TEST_CASE("redis: a connection goes on where nothing but the timeout has changed") {
  test::World world;
  const auto load = [&](const std::string& section) {
    return world.load(test::with_top("redis: " + section)).snapshot->redis;
  };
  const auto first = load("{url: redis://:p@a.test}");
  const auto same = load("{url: redis://a.test, password: p, timeout: 5ms}");
  CHECK(same->identity == first->identity);
  CHECK(same->state == first->state);
  for (const char* section :
       {"{url: redis://:q@a.test}", "{url: redis://u:p@a.test}", "{url: redis://:p@a.test/1}",
        "{url: redis://:p@b.test}", "{url: \"redis://:p@a.test,b.test\"}",
        "{url: rediss://:p@a.test}", "{url: redis://:p@a.test, key_prefix: x}"}) {
    INFO(section);
    const auto other = load(section);
    CHECK(other->identity != first->identity);
    CHECK(other->state != first->state);
  }
}

TEST_CASE("redis: mistakes, without a word of what is secret") {
  const std::pair<const char*, Lines> rows[] = {
      {"{}", {"7:1: redis.url: is required; as in url: redis://127.0.0.1:6379/0"}},
      {"{url: \"http://:s3cret@a\"}",
       {"7:9: redis.url: is no URL of a Redis: it must begin with redis://, rediss:// or unix://"}},
      {"{url: \"redis://s3cret@a\"}",
       {"7:9: redis.url: is no URL of a Redis: a user needs a password: "
        "USER:PASSWORD@, or password beside the url; one without a user is :PASSWORD@"}},
      {"{url: \"redis://:s3cret%@a\"}",
       {"7:9: redis.url: is no URL of a Redis: a % in the user or password must be written as "
        "%25"}},
      {"{url: \"redis://:s3cret@\"}",
       {"7:9: redis.url: is no URL of a Redis: it needs a host, with a port or without, as in "
        "redis://cache:6379"}},
      {"{url: \"redis://a,,b\"}",
       {"7:9: redis.url: is no URL of a Redis: it needs a host, with a port or without, as in "
        "redis://cache:6379"}},
      {"{url: \"redis://a:x\"}",
       {"7:9: redis.url: is no URL of a Redis: it needs a host, with a port or without, as in "
        "redis://cache:6379"}},
      {"{url: \"redis://a/x\"}",
       {"7:9: redis.url: is no URL of a Redis: the database must be a number from 0 to 65535, as "
        "in /0"}},
      {"{url: \"unix://a.sock\"}",
       {"7:9: redis.url: is no URL of a Redis: a socket is named by its path, as in "
        "unix:///run/x.sock"}},
      {"{url: \"redis://:s3cret@a\", password: s3cret}",
       {"7:35: redis.password: stands in the url, too"}},
      {"{url: \"redis://a\", user: u}", {"7:1: redis.password: is required; with user"}},
      {"{url: \"redis://a\", timeout: 0ms}",
       {"7:27: redis.timeout: \"0ms\" is out of range; allowed: 1ms to 10s"}},
      {"{url: \"redis://a\", key_prefix: \"a b\"}",
       {"7:27: redis.key_prefix: \"a b\" is not a prefix of keys: 1 to 64 printable characters, no "
        "blanks"}},
      {"{url: \"redis://a\", tls: {verify: true}}",
       {"7:27: redis.tls: does nothing without a url of rediss://; redis:// and unix:// are in the "
        "clear"}},
      {"{url: \"redis://a\", tiemout: 1s}",
       {"7:27: redis.tiemout: unknown key; did you mean \"timeout\"?"}},
  };
  for (const auto& [section, errors] : rows) {
    INFO(section);
    test::World world;
    const LoadResult loaded = world.load(test::with_top("redis: " + std::string(section)));
    Lines lines;
    for (const std::string& error : errors) lines.push_back("weir.yaml:" + error);
    CHECK(loaded.errors == lines);
    for (const std::string& line : loaded.errors) {
      CHECK(line.find("s3cret") == std::string::npos);
    }
  }
  test::World world;
  const LoadResult trusting =
      world.load(test::with_top("redis: {url: rediss://a.test, tls: {verify: false}}"));
  CHECK(trusting.warnings ==
        Lines{"weir.yaml:7:31: redis.tls: verify: false trusts whoever answers at the address"});
}

}  // namespace
}  // namespace weir::config
