// Which site: exact names before wildcards. Which of its routes: router_test.cc.
#include "proxy/snapshot.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace weir::proxy {
namespace {

TEST_CASE("an exact host before the longest wildcard before the rest") {
  HostIndex hosts;
  CHECK(hosts.add("*.example.com", 1));
  CHECK(hosts.add("*.b.example.com", 2));
  CHECK(hosts.add("www.example.com", 3));
  CHECK(hosts.find("www.example.com") == 3);
  CHECK(hosts.find("x.example.com") == 1);
  CHECK(hosts.find("x.b.example.com") == 2);
  CHECK(hosts.find("x.y.b.example.com") == 2);
  CHECK(hosts.find("b.example.com") == 1);
  CHECK(hosts.find("example.com") == UINT32_MAX);
  CHECK(hosts.find(".example.com") == UINT32_MAX);
  CHECK(hosts.find("") == UINT32_MAX);
  CHECK(hosts.add("*", 4));
  CHECK(hosts.find("") == 4);
  CHECK(hosts.find("other.org") == 4);
  CHECK_FALSE(hosts.add("*", 5));
  CHECK_FALSE(hosts.add("www.example.com", 5));
  CHECK_FALSE(hosts.add("*.example.com", 5));
}

TEST_CASE("a label keeps its id; nothing else gets it") {
  Labels labels;
  const uint32_t first = labels.id("a");
  CHECK(labels.id("b") != first);
  CHECK(labels.id("a") == first);
  CHECK(labels.id("unmatched") == Labels::kUnmatched);
  CHECK(labels.names() == std::vector<std::string>{"unmatched", "a", "b"});
}

}  // namespace
}  // namespace weir::proxy
