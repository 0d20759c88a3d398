// upstreams.*.srv: what SRV records make of a configuration.
#include <catch2/catch.hpp>

#include "world.h"

namespace weir::config {
namespace {

const std::string kSrv = "{srv: _http._tcp.app.internal, resolve: 10s}";

std::string config_with(const std::string& upstream) {
  return "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
         "upstreams:\n"
         "  app: " +
         upstream +
         "\n"
         "sites: [{hosts: [a], routes: [{path: /, upstream: app}]}]\n";
}

LoadResult load_with(const std::string& upstream, const upstream::SrvList& list) {
  test::World world;
  Environment environment = world.environment();
  environment.srv_list = [&](const upstream::SrvName& name, uint64_t) {
    CHECK(name == upstream::SrvName{"_http._tcp.app.internal", 10'000});
    return list;
  };
  return load_text(config_with(upstream), "weir.yaml", environment);
}

TEST_CASE("srv: priorities, weights and ports") {
  const LoadResult loaded = load_with(kSrv, {{{5, "10.0.0.1", 80, 0},
                                              {5, "10.0.0.2", 81, 7},
                                              {5, "10.0.0.3", 82, 1000},
                                              {6, "10.0.0.1", 80, 9},
                                              {9, "10.0.0.4", 83, 3}},
                                             "",
                                             4});
  REQUIRE(loaded.ok());
  std::vector<std::string> servers;
  for (const upstream::Server& server : loaded.snapshot->clusters.front()->servers) {
    servers.push_back(server.address + " " + std::to_string(server.weight) +
                      (server.backup ? " backup" : ""));
  }
  CHECK(servers == std::vector<std::string>{"10.0.0.1:80 1", "10.0.0.2:81 7", "10.0.0.3:82 1000",
                                            "10.0.0.4:83 3 backup"});
  CHECK(loaded.warnings.empty());
  CHECK(loaded.source != nullptr);
  REQUIRE(loaded.srv_names.size() == 1);
  CHECK(loaded.srv_names.front().second == 4);
}

TEST_CASE("srv: weights above what a server may have keep their proportions") {
  const LoadResult loaded = load_with(kSrv, {{{5, "10.0.0.1", 80, 60000},
                                              {5, "10.0.0.2", 80, 15000},
                                              {5, "10.0.0.3", 80, 1},
                                              {6, "10.0.0.4", 80, 30},
                                              {7, "10.0.0.5", 80, 3}},
                                             "",
                                             1});
  REQUIRE(loaded.ok());
  std::vector<uint32_t> weights;
  for (const upstream::Server& server : loaded.snapshot->clusters.front()->servers) {
    weights.push_back(server.weight);
  }
  CHECK(weights == std::vector<uint32_t>{1000, 250, 1, 30, 3});
}

TEST_CASE("srv: a failure is a warning, and the last good servers stay") {
  const LoadResult kept = load_with(kSrv, {{{5, "10.0.0.1", 80, 1}}, "Timeout", 1});
  REQUIRE(kept.ok());
  CHECK(kept.snapshot->clusters.front()->servers.size() == 1);
  CHECK(kept.snapshot->clusters.front()->members_error == "srv is not followed: Timeout");
  CHECK(kept.warnings == std::vector<std::string>{
                             "weir.yaml:3:9: upstreams.app.srv: is not followed: Timeout; the last "
                             "good servers stay"});
  const LoadResult none = load_with(kSrv, {{}, "no answer yet", 1});
  REQUIRE(none.ok());
  CHECK(none.snapshot->clusters.front()->servers.empty());
  const LoadResult refused = load_with(kSrv, {{}, "", 1});
  REQUIRE(refused.ok());
  CHECK(refused.snapshot->clusters.front()->members_error ==
        "srv says that the service is not offered");
}

TEST_CASE("srv: what it does not go with") {
  const std::string base = "{srv: _http._tcp.app.internal, resolve: 10s, ";
  for (const std::string& other :
       {std::string("servers: [{address: \"h:1\"}]"), std::string("servers_file: /x")}) {
    const LoadResult loaded = load_with(base + other + "}", {});
    REQUIRE(loaded.errors.size() == 1);
    CHECK(loaded.errors.front() == "weir.yaml:3:9: upstreams.app.srv: does not go with " +
                                       other.substr(0, other.find(':')) +
                                       "; the records of the name are all its servers");
  }
  for (const char* bad : {"\"\"", "a..b", "\"a b\"", "a/b", "[a]", "http://a"}) {
    CAPTURE(bad);
    CHECK(load_with(std::string("{srv: ") + bad + "}", {}).errors.size() == 1);
  }
}

}  // namespace
}  // namespace weir::config
