// max_body, deny, allow, expires, error_pages and memory: what they become, and what they cannot
// be.
#include <catch2/catch.hpp>

#include "filters/access.h"
#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

struct Case {
  std::string keys;
  Lines errors;  // of a route that ends with these keys, in column 34 of line 6
};

void check_route(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CAPTURE(one.keys);
    test::World world;
    world.files = {{"ok.html", "x"}};
    const LoadResult result =
        world.load(test::with_route("{path: /, upstream: app, " + one.keys + "}"));
    Lines expected;
    for (const std::string& line : one.errors) {
      expected.push_back("weir.yaml:6:" + line.substr(0, line.find(' ')) + " sites[0].routes[0]." +
                         line.substr(line.find(' ') + 1));
    }
    CHECK(result.errors == expected);
    CHECK(result.ok() == expected.empty());
  }
}

Lines filter_names(const proxy::FilterChain& filters) {
  Lines names;
  for (const auto& filter : filters) names.emplace_back(filter->name());
  return names;
}

TEST_CASE("level keys: the nearest value wins whole, off is none") {
  test::World world;
  world.files = {{"a.html", "a $status"}, {"b.json", "{}"}};
  const LoadResult result = world.load(R"(listeners: {http: {address: "127.0.0.1:0"}}
defaults:
  max_body: 1MiB
  error_pages: {404: a.html, 5xx: a.html}
  request_id: off
  deny: [10.0.0.1]
  expires: 1h
sites:
  - hosts: [a]
    allow: ["::1"]
    error_pages: {4xx: b.json, 404: a.html}
    routes:
      - {path: /1, respond: {}}
      - {path: /2, respond: {}, max_body: 0B, deny: off, allow: off, expires: off,
         error_pages: off}
      - {path: /3, respond: {}, max_body: 2KiB, expires: epoch}
  - hosts: [b]
    routes: [{path: /, respond: {}}]
)");
  CHECK(result.errors == Lines{});
  REQUIRE(result.ok());
  const proxy::Site& site = result.snapshot->sites[0];
  const auto& routes = site.routes;
  CHECK(routes[0].max_body_bytes == uint64_t{1} << 20);
  CHECK(routes[1].max_body_bytes == UINT64_MAX);
  CHECK(routes[2].max_body_bytes == uint64_t{2} << 10);
  CHECK(filter_names(routes[0].filters) == Lines{"deny", "allow", "expires"});
  CHECK(filter_names(routes[1].filters) == Lines{});
  CHECK(filter_names(site.filters) == Lines{"deny", "allow", "expires"});

  REQUIRE(routes[0].error_pages != nullptr);
  CHECK(routes[0].error_pages == site.error_pages);
  CHECK(routes[0].error_pages->find(404)->content_type == "text/html; charset=utf-8");
  CHECK(routes[0].error_pages->find(403)->content_type == "application/json");
  CHECK(routes[0].error_pages->find(502) == nullptr);
  CHECK(routes[1].error_pages == nullptr);
  const proxy::Site& other = result.snapshot->sites[1];
  CHECK(other.error_pages->find(502) == other.error_pages->find(404));  // read once
  CHECK(other.error_pages->find(400) == nullptr);
  CHECK_FALSE(other.error_pages->find(404)->body.is_constant());
}

TEST_CASE("level keys: no key leaves the listener's limit and the standard bodies") {
  test::World world;
  const LoadResult result = world.load(test::with_route("{path: /, upstream: app}"));
  REQUIRE(result.ok());
  CHECK_FALSE(result.snapshot->sites[0].routes[0].max_body_bytes.has_value());
  CHECK(result.snapshot->sites[0].routes[0].error_pages == nullptr);
  CHECK(result.snapshot->memory.buffers_bytes == 512u << 20);
  CHECK(result.snapshot->memory.per_connection_bytes == 1u << 20);
  CHECK(result.snapshot->memory.hold_bytes() == 64u << 10);
}

TEST_CASE("level keys: dollars of a page are text but for the two variables") {
  for (const auto& [page, is_text] : std::vector<std::pair<std::string, bool>>{
           {"$(x) $$ $statuses $host $", true}, {"a $status", false}, {"$$request_id", false}}) {
    CAPTURE(page);
    test::World world;
    world.files = {{"p.txt", page}};
    const LoadResult result =
        world.load(test::with_route("{path: /, upstream: app, error_pages: {404: p.txt}}"));
    CHECK(result.errors == Lines{});
    REQUIRE(result.ok());
    CHECK(result.snapshot->sites[0].routes[0].error_pages->find(404)->body.is_constant() ==
          is_text);
  }
}

TEST_CASE("level keys: a page is looked for beside the file that names it") {
  test::World world;
  world.files = {{"/etc/weir/a.html", ""},
                 {"/etc/weir/sites/b.html", ""},
                 {"/etc/weir/sites/s.yaml",
                  "sites: [{hosts: [b], error_pages: {404: b.html}, "
                  "routes: [{path: /, upstream: app}]}]\n"}};
  const LoadResult result = load_text(
      "include: [sites/*.yaml]\ndefaults: {error_pages: {404: "
      "a.html}}\n" +
          test::with_route("{path: /, upstream: app}"),
      "/etc/weir/weir.yaml", world.environment());
  CHECK(result.errors == Lines{});
}

TEST_CASE("level keys: errors") {
  check_route({
      {"max_body: 10",
       {"34: max_body: \"10\" needs a unit; one of B, KB, KiB, MB, MiB, GB, GiB, TB or TiB, as in "
        "10KiB"}},
      {"max_body: off",
       {"34: max_body: \"off\" is not a size; a whole number and one of B, KB, KiB, MB, MiB, GB, "
        "GiB, TB or TiB"}},
      {"expires: never",
       {"34: expires: \"never\" is not a duration; a whole number and one of ms, s, m, h, d, w or "
        "y"}},
      {"expires: 11y", {"34: expires: \"11y\" is out of range; allowed: 0ms to 10y"}},
      {"expires: ", {"34: expires: must be a duration, not nothing"}},
      {"expires: {}", {"34: expires: must be a word or off, not a map"}},
      {"expires: 365",
       {"34: expires: \"365\" needs a unit; one of ms, s, m, h, d, w or y, as in 365s"}},
      {"allow: 10.0.0.0/8", {"34: allow: must be a list or off, not \"10.0.0.0/8\""}},
      {"allow: []", {"34: allow: is empty; off switches it off"}},
      {"deny: ", {"34: deny: is empty; off switches it off"}},
      {"deny: {a: b}", {"34: deny: must be a list or off, not a map"}},
      {"allow: [10.0.0.1/8], deny: [all, example.com]",
       {"42: allow[0]: \"10.0.0.1/8\" is not a block of addresses: as in 10.0.0.0/8, ::1 or "
        "fd00::/8",
        "62: deny[0]: \"all\" is not a block of addresses: as in 10.0.0.0/8, ::1 or fd00::/8",
        "67: deny[1]: \"example.com\" is not a block of addresses: as in 10.0.0.0/8, ::1 or "
        "fd00::/8"}},
      {"error_pages: ok.html", {"34: error_pages: must be a map or off, not \"ok.html\""}},
      {"error_pages: ", {"34: error_pages: must be a map or off, not nothing"}},
      {"error_pages: {200: ok.html, 40: ok.html, 6xx: ok.html, 404: ok.html}",
       {"48: error_pages.200: must be a status from 400 to 599, 4xx or 5xx",
        "62: error_pages.40: must be a status from 400 to 599, 4xx or 5xx",
        "75: error_pages.6xx: must be a status from 400 to 599, 4xx or 5xx"}},
      {"error_pages: {404: none.html, 500: ok.php, 501: [a]}",
       {"48: error_pages.404: \"none.html\" cannot be read: No such file or directory",
        "64: error_pages.500: \"ok.php\" is not a page: its name ends in .html, .json or .txt",
        "77: error_pages.501: must be a string, not a list"}},
  });
}

TEST_CASE("level keys: a list of addresses is bounded") {
  const std::string file = "weir.yaml";
  options::Node list;
  list.kind = options::Kind::kList;
  list.file = &file;
  list.key = "deny";
  constexpr size_t kTooMany = 200'001;
  for (size_t i = 0; i < kTooMany; ++i) {
    auto item = std::make_unique<options::Node>();
    item->kind = options::Kind::kScalar;
    item->parent = &list;
    item->text = "10.0.0.1";
    list.children.push_back(std::move(item));
  }
  options::Problems problems;
  http::AddressSet addresses;
  CHECK_FALSE(filters::read_addresses(list, problems, addresses));
  CHECK(problems.errors() == Lines{"weir.yaml:1:1: more than 200000 blocks of addresses"});
}

TEST_CASE("level keys: memory") {
  const struct {
    const char* section;
    Lines errors;
  } kCases[] = {
      {"{buffers: 64MiB, per_connection: 128KiB}", {}},
      {"{buffers: 512}",
       {"weir.yaml:7:10: memory.buffers: \"512\" needs a unit; one of B, KB, KiB, MB, MiB, GB, "
        "GiB, TB or TiB, as in 512KiB"}},
      {"{buffers: 1KiB}",
       {"weir.yaml:7:10: memory.buffers: \"1KiB\" is out of range; allowed: 1MiB to 1TiB"}},
      {"{per_connection: 0B}",
       {"weir.yaml:7:10: memory.per_connection: \"0B\" is out of range; allowed: 32KiB to 1GiB"}},
      {"{buffers: 1MiB, per_connection: 2MiB}",
       {"weir.yaml:7:25: memory.per_connection: is larger than memory.buffers"}},
      {"{buffer: 1MiB}", {"weir.yaml:7:10: memory.buffer: unknown key; did you mean \"buffers\"?"}},
      {"512MiB", {"weir.yaml:7:1: memory: must be a map, not \"512MiB\""}},
  };
  for (const auto& one : kCases) {
    CAPTURE(one.section);
    test::World world;
    CHECK(world.load(test::with_top("memory: " + std::string(one.section))).errors == one.errors);
  }
}

}  // namespace
}  // namespace weir::config
