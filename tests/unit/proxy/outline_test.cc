#include "proxy/outline.h"

#include <catch2/catch.hpp>

namespace weir::proxy {
namespace {

using Names = std::vector<std::string>;

const PartChanges& of(const Changes& changes, Part part) {
  return changes[static_cast<size_t>(part)];
}

TEST_CASE("outline: what came, went and changed, part by part") {
  const Outline before = {{Part::kListeners, "http", 1},
                          {Part::kServers, "app/a:1", 2},
                          {Part::kServers, "app/b:1", 3},
                          {Part::kRoutes, "x /", 4},
                          {Part::kSettings, "log", 5}};
  const Outline after = {{Part::kListeners, "http", 9},
                         {Part::kServers, "app/b:1", 3},
                         {Part::kServers, "app/c:1", 2},
                         {Part::kRoutes, "x /", 4},
                         {Part::kSettings, "log", 5}};
  const Changes changes = changes_between(before, after);
  CHECK(of(changes, Part::kListeners).changed == Names{"http"});
  CHECK(of(changes, Part::kServers).added == Names{"app/c:1"});
  CHECK(of(changes, Part::kServers).removed == Names{"app/a:1"});
  CHECK(of(changes, Part::kServers).changed.empty());
  CHECK(of(changes, Part::kRoutes).empty());
  CHECK(of(changes, Part::kSettings).empty());
  for (const PartChanges& part : changes_between(before, before)) CHECK(part.empty());
}

TEST_CASE("outline: a name means something within its part only") {
  const Changes changes =
      changes_between({{Part::kUpstreams, "app", 1}}, {{Part::kSites, "app", 1}});
  CHECK(of(changes, Part::kUpstreams).removed == Names{"app"});
  CHECK(of(changes, Part::kSites).added == Names{"app"});
}

TEST_CASE("outline: things of one name are told apart by their order") {
  const Outline before = {{Part::kRoutes, "x /", 1}, {Part::kRoutes, "x /", 2}};
  const Outline after = {
      {Part::kRoutes, "x /", 1}, {Part::kRoutes, "x /", 3}, {Part::kRoutes, "x /", 4}};
  CHECK(of(changes_between(before, after), Part::kRoutes).changed == Names{"x / #2"});
  CHECK(of(changes_between(before, after), Part::kRoutes).added == Names{"x / #3"});
  CHECK(of(changes_between(after, before), Part::kRoutes).removed == Names{"x / #3"});
}

TEST_CASE("outline: long lists are cut, and what was left out is counted") {
  Outline many;
  for (size_t i = 0; i < PartChanges::kNamesMax + 7; ++i) {
    many.push_back({Part::kRoutes, "r" + std::to_string(i), i});
  }
  const Changes changes = changes_between({}, many);
  CHECK(of(changes, Part::kRoutes).added.size() == PartChanges::kNamesMax);
  CHECK(of(changes, Part::kRoutes).added.front() == "r0");
  CHECK(of(changes, Part::kRoutes).left_out == 7);
}

}  // namespace
}  // namespace weir::proxy
