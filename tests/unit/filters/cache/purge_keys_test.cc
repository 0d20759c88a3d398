#include "filters/cache/purge_keys.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>

#include "filters/cache/factory.h"
#include "proxy/snapshot.h"

namespace weir::filters::cache {
namespace {

using Query = KeyOptions::Query;

// One listener; a site for each host, with one route.
struct World {
  proxy::Snapshot snapshot;

  World() { snapshot.hosts.emplace_back(); }
  void add(const std::string& host, KeyOptions key) {
    snapshot.hosts[0].add(host, static_cast<uint32_t>(snapshot.sites.size()));
    auto options = std::make_shared<Options>();
    options->key = std::move(key);
    proxy::Route& route = snapshot.sites.emplace_back().routes.emplace_back();
    route.filters.push_back(std::make_shared<Factory>(options));
  }
  std::vector<std::string> keys(std::string_view url) const {
    std::vector<std::string> keys = keys_of_url(url, snapshot);
    std::sort(keys.begin(), keys.end());
    return keys;
  }
};

using Keys = std::vector<std::string>;

TEST_CASE("a URL is written as keys are") {
  const World world;
  CHECK(world.keys("https://A.Test") == Keys{"https://a.test/"});
  CHECK(world.keys("HTTPS://a.test:443/X%2fy") == Keys{"https://a.test/X%2fy"});
  CHECK(world.keys("http://a.test:80/") == Keys{"http://a.test/"});
  CHECK(world.keys("http://a.test:443/") == Keys{"http://a.test:443/"});
  CHECK(world.keys("https://a.test:8443/a?b#c") == Keys{"https://a.test:8443/a?b"});
  CHECK(world.keys("http://[::1]:8080/") == Keys{"http://[::1]:8080/"});
  CHECK(world.keys("http://a.test./") == Keys{"http://a.test/"});
  CHECK(world.keys("https://a.test/a?") == Keys{"https://a.test/a?"});
  CHECK(world.keys("nonsense").empty());
}

TEST_CASE("parameters are found in any order, and as they are") {
  const World world;
  CHECK(world.keys("https://a.test/a?b=2&a=1") ==
        Keys{"https://a.test/a?a=1&b=2", "https://a.test/a?b=2&a=1"});
  CHECK(world.keys("https://a.test/a?a=1&a=0") == Keys{"https://a.test/a?a=1&a=0"});
}

TEST_CASE("what a route leaves out of its keys a purge leaves out for its host") {
  World world;
  world.add("a.test", {.query = Query::kSorted, .ignored_prefixes = {"utm_"}});
  world.add("b.test", {.query = Query::kIgnored});
  CHECK(world.keys("https://a.test/?x=1&utm_x=2") ==
        Keys{"https://a.test/?utm_x=2&x=1", "https://a.test/?x=1", "https://a.test/?x=1&utm_x=2"});
  CHECK(world.keys("https://b.test/?x=1") == Keys{"https://b.test/", "https://b.test/?x=1"});
  CHECK(world.keys("https://c.test/?x=1&utm_x=2") ==
        Keys{"https://c.test/?utm_x=2&x=1", "https://c.test/?x=1&utm_x=2"});
}

TEST_CASE("a prefix never reaches into another host") {
  CHECK(key_prefix("https://A.test") == "https://a.test/");
  CHECK(key_prefix("https://a.test:443/x?b=1&a") == "https://a.test/x?b=1&a");
  CHECK(key_prefix("x").empty());
}

}  // namespace
}  // namespace weir::filters::cache
