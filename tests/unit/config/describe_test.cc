#include "config/describe.h"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "config/substitute.h"
#include "config/yaml.h"
#include "world.h"

namespace weir::config {
namespace {

using Names = std::vector<std::string>;
using proxy::Changes;
using proxy::Part;

std::shared_ptr<const proxy::ConfigDescription> described(std::string_view text,
                                                          test::World& world) {
  options::Problems problems;
  const std::unique_ptr<options::Document> document = parse_yaml(text, "weir.yaml", problems);
  REQUIRE(document != nullptr);
  substitute(*document->root, world.environment(), problems);
  REQUIRE(problems.errors() == Names{});
  return describe(*document->root, {});
}

std::string json_of(std::string_view text) {
  test::World world;
  world.variables = {{"S", "hunter2"}, {"P", "8080"}};
  world.files = {{"/run/s", "hunter2\n"}};
  return described(text, world)->json;
}

Changes changes(std::string_view before, std::string_view after) {
  test::World world;
  world.variables = {{"S", "one"}, {"T", "two"}};
  return changes_between(described(before, world)->outline, described(after, world)->outline);
}

const proxy::PartChanges& of(const Changes& all, Part part) {
  return all[static_cast<size_t>(part)];
}

TEST_CASE("describe: the tree as it was written, as JSON") {
  CHECK(json_of("a: 1\n"
                "b: {c: [true, \"true\", 1.5, \"2\", 007, 1e5, -3, x, ~, {}, []]}\n"
                "\"k\\\"\": \"tab\\t, quote \\\", \\u00e9\"\n"
                "empty:\n") == R"({
  "a": 1,
  "b": {
    "c": [
      true,
      "true",
      1.5,
      "2",
      "007",
      "1e5",
      -3,
      "x",
      null,
      {},
      []
    ]
  },
  "k\"": "tab\t, quote \", é",
  "empty": null
}
)");
}

TEST_CASE("describe: what came from outside the file is redacted, defaults are not") {
  CHECK(json_of("a: ${S}\nb: x${S}y\nc: ${file:/run/s}\nd: \"${NONE:-81}\"\ne: \"$${S}\"\n") ==
        R"({
  "a": "***",
  "b": "***",
  "c": "***",
  "d": 81,
  "e": "${S}"
}
)");
}

TEST_CASE("describe: what a key calls secret is redacted, and all below it") {
  for (const char* key :
       {"token", "Token", "admin_token", "secret", "jwt-secret", "password", "PASSWORD", "passwd",
        "passphrase", "credentials", "X-Api-Key", "api_key", "apikey", "Authorization",
        "authorization", "Proxy-Authorization", "Set-Cookie", "Cookie"}) {
    CAPTURE(key);
    const std::string text = std::string(key) + ": {deep: [hunter2, {value: hunter2}]}\n";
    CHECK(json_of(text).find("hunter2") == std::string::npos);
    CHECK(json_of(text).find("***") != std::string::npos);
    CHECK(json_of(std::string(key) + ": 42\n").find("42") == std::string::npos);
  }
  for (const char* key : {"key", "hash_key", "session_tickets", "cookie", "keys", "path"}) {
    CAPTURE(key);
    CHECK(json_of(std::string(key) + ": shown\n").find("shown") != std::string::npos);
  }
}

TEST_CASE("describe: names that a user chose are no keys") {
  for (const char* section : {"listeners", "upstreams", "rate_limits"}) {
    const std::string text = std::string(section) + ": {token-api: {weight: 1, password: 2}}\n";
    CHECK(json_of(text) == "{\n  \"" + std::string(section) +
                               "\": {\n    \"token-api\": {\n      \"weight\": 1,\n"
                               "      \"password\": \"***\"\n    }\n  }\n}\n");
  }
  CHECK(json_of("sites: [{upstreams: {token-api: shown}}]\n").find("shown") == std::string::npos);
}

TEST_CASE("describe: URLs lose their user information") {
  const std::pair<const char*, const char*> rows[] = {
      {"redis://user:hunter2@db:6379/0", "redis://***@db:6379/0"},
      {"redis://:hunter2@db", "redis://***@db"},
      {"rediss://hunter2@db", "rediss://***@db"},
      {"redis://:hun/ter2?#@db/0", "redis://***@db/0"},
      {"redis://db:6379/0", "redis://db:6379/0"},
      {"a http://u:hunter2@b/c and http://x:hunter2@y", "a http://***@b/c and http://***@y"},
      {"http://a@hunter2@b/", "http://***@b/"},
      {"https://example.com/@user?q=a@b", "https://example.com/@user?q=a@b"},
      {"https://example.com$uri", "https://example.com$uri"},
      {"://", "://"},
      {"mail a@b", "mail a@b"},
  };
  for (const auto& [text, shown] : rows) {
    const std::string json = json_of("url: \"" + std::string(text) + "\"\n");
    CHECK(json == "{\n  \"url\": \"" + std::string(shown) + "\"\n}\n");
  }
}

TEST_CASE("describe: a load brings its description, a failed one none") {
  test::World world;
  const LoadResult good = world.load(test::with_route("{path: /, upstream: app}"));
  REQUIRE(good.description != nullptr);
  CHECK(good.description->json.find("\"127.0.0.1:3000\"") != std::string::npos);
  CHECK(world.load(test::with_route("{path: /, upstream: ap}")).description == nullptr);
}

TEST_CASE("describe: a load's description says what absent keys stand for") {
  test::World world;
  world.variables = {{"S", "hunter2"}};
  const LoadResult result = world.load(
      "listeners: {l: {address: \"unix:/l\", timeouts: {body: 5s}, limits: }}\n"
      "upstreams: {app: {balance: ip_hash, timeouts: {read: 1m}, servers: [{address: "
      "\"127.0.0.1:3000\"}]}}\n"
      "sites: [{hosts: [a], routes: [{path: /, upstream: app}]}]\n"
      "admin: {token: \"${S}\"}\n"
      "shutdown: {delay: 1s}\n"
      "workers: 2\n");
  REQUIRE(result.ok());
  using nlohmann::json;
  const json shown = json::parse(result.description->json);
  const std::pair<const char*, json> rows[] = {
      {"/listeners/l/timeouts/body", "5s"},  // as it is written
      {"/listeners/l/timeouts/header", "10s"},
      {"/listeners/l/timeouts/min_rate", "240B/s"},
      {"/listeners/l/limits/header_size", "32KiB"},
      {"/listeners/l/limits/headers", 100},
      {"/listeners/l/limits/body", "100MiB"},
      {"/listeners/l/connection/age", "1h"},
      {"/listeners/l/backlog", 4096},
      {"/upstreams/app/balance", "ip_hash"},
      {"/upstreams/app/timeouts",
       {{"read", "1m"}, {"connect", "5s"}, {"send", "1m"}, {"tunnel", "1h"}, {"total", "0ms"}}},
      {"/upstreams/app/keepalive/idle", 64},
      {"/upstreams/app/servers/0/weight", 1},
      {"/upstreams/app/servers/0/backup", false},
      {"/admin/address", "127.0.0.1:9901"},
      {"/admin/token", "***"},
      {"/shutdown", {{"delay", "1s"}, {"grace", "30s"}}},
      {"/workers", 2},
      {"/log/level", "info"},
      {"/log/access/path", "stdout"},
      {"/memory/buffers", "512MiB"},
  };
  for (const auto& [path, value] : rows) {
    CAPTURE(path);
    CHECK(shown.at(json::json_pointer(path)) == value);
  }
  // Nothing stands for these: "none" cannot be written, or another level says it.
  CHECK_FALSE(shown["upstreams"]["app"]["servers"][0].contains("max_connections"));
  CHECK_FALSE(shown["listeners"]["l"].contains("tcp_keepalive"));  // a unix socket
  CHECK(shown["sites"][0]["routes"][0].size() == 2);
  CHECK(result.description->outline.size() == 8);  // of what is written
}

TEST_CASE("describe: an outline tells what a change of the file is a change of") {
  const std::string file =
      "listeners: {http: {address: \"1.1.1.1:80\"}, https: {address: \"1.1.1.1:443\"}}\n"
      "upstreams: {app: {balance: round_robin, servers: [{address: \"a:1\"}, {address: "
      "\"b:1\"}]}}\n"
      "log: {level: info}\n"
      "sites:\n"
      "  - {hosts: [x, y], routes: [{path: /a}, {path: /b, name: bee}]}\n"
      "  - {hosts: [x, y, z, w], listeners: [http], routes: [{path: /a}]}\n";
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string after = file;
    const size_t at = after.find(from);
    REQUIRE(at != std::string::npos);
    after.replace(at, from.size(), to);
    return changes(file, after);
  };
  CHECK(of(changed("\"1.1.1.1:80\"", "\"1.1.1.1:81\""), Part::kListeners).changed == Names{"http"});
  CHECK(of(changed("{address: \"1.1.1.1:80\"}", "{address: 1.1.1.1:80}"), Part::kListeners)
            .empty());  // quotes say nothing
  CHECK(of(changed("level: info", "level: warn"), Part::kSettings).changed == Names{"log"});

  Changes all = changed("{address: \"b:1\"}", "{address: \"b:1\", weight: 2}");
  CHECK(of(all, Part::kServers).changed == Names{"app/b:1"});
  CHECK(of(all, Part::kUpstreams).empty());
  all = changed("balance: round_robin", "balance: least_conn");
  CHECK(of(all, Part::kUpstreams).changed == Names{"app"});
  CHECK(of(all, Part::kServers).empty());

  all = changed("name: bee", "name: bee, timeout: 1s");
  CHECK(of(all, Part::kRoutes).changed == Names{"x, y bee"});
  CHECK(of(all, Part::kSites).empty());
  all = changed("{path: /a}, {path: /b, name: bee}", "{path: /b, name: bee}, {path: /a}");
  CHECK(of(all, Part::kSites).changed == Names{"x, y"});  // the order of its routes
  CHECK(of(all, Part::kRoutes).empty());
  all = changed("listeners: [http]", "listeners: [http], timeout: 1s");
  CHECK(of(all, Part::kSites).changed == Names{"x, y, z, ... on http"});
  all = changed("path: /b, name: bee", "name: bee, path: /b");
  for (const proxy::PartChanges& part : all) CHECK(part.empty());  // the order of keys
}

TEST_CASE("describe: secrets count in an outline, and are not named") {
  const std::string before = R"(admin: {token: "${S}"}
upstreams: {u: {servers: [{address: "${S}"}]}}
)";
  const std::string after = R"(admin: {token: "${T}"}
upstreams: {u: {servers: [{address: "${S}"}]}}
)";
  const Changes all = changes(before, after);
  CHECK(of(all, Part::kSettings).changed == Names{"admin"});
  CHECK(of(all, Part::kServers).empty());
  test::World world;
  world.variables = {{"S", "hunter2"}};
  const auto outline = described(before, world)->outline;
  REQUIRE(outline.size() == 3);
  CHECK(outline[2].name == "u/${S}");
}

}  // namespace
}  // namespace weir::config
