// upstreams.*.servers_file: what a list of members does to a configuration.
#include <catch2/catch.hpp>

#include "support/certificates.h"
#include "world.h"

namespace weir::config {
namespace {

const std::string kPath = "/run/app.yaml";

std::string config_with(const std::string& upstream) {
  return "listeners: {http: {address: \"127.0.0.1:0\"}}\n"
         "upstreams:\n"
         "  app: " +
         upstream +
         "\n"
         "sites: [{hosts: [a], routes: [{path: /, upstream: app}]}]\n";
}

const std::string kByFile = "{servers_file: /run/app.yaml}";

std::vector<std::string> servers_of(const LoadResult& loaded) {
  REQUIRE(loaded.ok());
  std::vector<std::string> addresses;
  for (const upstream::Server& server : loaded.snapshot->clusters.front()->servers) {
    CHECK(server.state != nullptr);
    addresses.push_back(server.address);
  }
  return addresses;
}

using Lines = std::vector<std::string>;

TEST_CASE("members: YAML and JSON, beside servers, each once") {
  test::World world;
  world.files[kPath] = "- {address: \"10.0.0.1:80\", weight: 3}\n- address: 10.0.0.2:80\n";
  const LoadResult yaml = world.load(config_with(kByFile));
  CHECK(servers_of(yaml) == Lines{"10.0.0.1:80", "10.0.0.2:80"});
  CHECK(yaml.snapshot->clusters.front()->servers.front().weight == 3);
  CHECK(yaml.warnings == Lines{});

  world.files[kPath] = R"([{"address": "10.0.0.2:80"}, {"address": "10.0.0.3:80"},
                           {"address": "10.0.0.3:80", "backup": true}])";
  const LoadResult json = world.load(config_with(
      "{servers: [{address: \"10.0.0.2:80\", weight: 7}], servers_file: /run/app.yaml}"));
  CHECK(servers_of(json) == Lines{"10.0.0.2:80", "10.0.0.3:80"});
  CHECK(json.snapshot->clusters.front()->servers.front().weight == 7);
}

TEST_CASE("members: a file that is no good is a warning, and an upstream without servers") {
  const std::vector<std::pair<std::string, std::string>> kBad = {
      {"[", "/run/app.yaml:"},
      {"", "is empty"},
      {"[]", "has no server without backup"},
      {"- {address: \"10.0.0.1:80\", backup: true}", "has no server without backup"},
      {"- {address: 10.0.0.1}", "/run/app.yaml:1:4: [0].address: "},
      {"- {address: \"10.0.0.1:80\", wieght: 2}", "did you mean \"weight\"?"},
      {"a: b", "list"},
  };
  for (const auto& [text, why] : kBad) {
    CAPTURE(text);
    test::World world;
    world.files[kPath] = text;
    const LoadResult loaded = world.load(config_with(kByFile));
    CHECK(servers_of(loaded).empty());
    REQUIRE(loaded.warnings.size() == 1);
    CHECK(loaded.warnings.front().starts_with("weir.yaml:3:9: upstreams.app.servers_file: "));
    CHECK(loaded.warnings.front().find(why) != std::string::npos);
    CHECK_FALSE(loaded.snapshot->clusters.front()->members_error.empty());
  }
  test::World world;  // no file at all
  const LoadResult loaded = world.load(config_with(kByFile));
  CHECK(servers_of(loaded).empty());
  CHECK(loaded.warnings.size() == 1);
}

TEST_CASE("members: an empty list will do where there are other servers") {
  test::World world;
  world.files[kPath] = "[]";
  const LoadResult loaded = world.load(
      config_with("{servers: [{address: \"10.0.0.2:80\"}], servers_file: /run/app.yaml}"));
  CHECK(servers_of(loaded) == Lines{"10.0.0.2:80"});
  CHECK(loaded.warnings == Lines{});
}

TEST_CASE("members: a rebuild reads them again, and nothing else") {
  test::World world;
  world.files = {{kPath, "[{address: \"10.0.0.1:80\"}]"}, {"/run/404.html", "old"}};
  const std::string text = config_with(kByFile) + "defaults: {error_pages: {404: /run/404.html}}\n";
  Environment environment = world.environment();
  const LoadResult first = load_text(text, "weir.yaml", environment);
  REQUIRE(first.source != nullptr);
  REQUIRE(first.member_files.size() == 1);
  CHECK(first.member_files[0].upstream == "app");
  CHECK(first.member_files[0].path == kPath);
  CHECK(first.member_files[0].seen == world.files[kPath]);

  world.files = {{kPath, "[{address: \"10.0.0.2:80\"}, {address: \"10.0.0.1:80\"}]"}};
  const LoadResult second = rebuild(first.source, environment);
  CHECK(second.errors == Lines{});
  CHECK(servers_of(second) == Lines{"10.0.0.2:80", "10.0.0.1:80"});
  const auto& before = first.snapshot->clusters.front()->servers;
  CHECK(second.snapshot->clusters.front()->servers.back().state == before.front().state);

  for (const char* broken : {"[{address: 1}]", "["}) {
    world.files[kPath] = broken;
    const LoadResult third = rebuild(first.source, environment);
    CHECK(servers_of(third) == Lines{"10.0.0.2:80", "10.0.0.1:80"});
    REQUIRE(third.warnings.size() == 1);
    CHECK(third.warnings.front().find("the last good servers stay") != std::string::npos);
  }
  world.files.erase(kPath);
  CHECK(servers_of(rebuild(first.source, environment)) == Lines{"10.0.0.2:80", "10.0.0.1:80"});
}

TEST_CASE("members: a rebuild is as of the load: folders are open, certificates have not ended") {
  static const test::MadeCertificate made({.names = "DNS:a.test", .until_s = 3600});
  test::World world;
  world.files = {{kPath, "[{address: \"10.0.0.1:80\"}]"},
                 {"/a.crt", made.cert_pem()},
                 {"/a.key", made.key_pem()},
                 {"/a.ocsp", made.ocsp_der({.until_s = 3600})}};
  const std::string text =
      "listeners: {l: {address: \"127.0.0.1:0\", tls: {}}}\n"
      "certificates: [{cert: /a.crt, key: /a.key, ocsp: /a.ocsp}]\n"
      "upstreams: {app: {servers_file: /run/app.yaml}}\n"
      "sites: [{hosts: [a], routes: [{path: /app, upstream: app}, "
      "{path: /, files: {root: /srv/a}}]}]\n";
  Environment environment = world.environment();
  const LoadResult first = load_text(text, "weir.yaml", environment);
  REQUIRE(first.ok());

  environment.unix_s = [] { return static_cast<int64_t>(std::time(nullptr)) + 86'400; };
  environment.files_root = [](const std::string&, bool) {
    return Result<std::shared_ptr<const proxy::files::Root>>::failure("it is gone");
  };
  world.files[kPath] = "[{address: \"10.0.0.2:80\"}]";
  const LoadResult second = rebuild(first.source, environment);
  CHECK(second.errors == Lines{});
  CHECK(second.warnings == first.warnings);
  CHECK(servers_of(second) == Lines{"10.0.0.2:80"});
  CHECK_FALSE(load_text(text, "weir.yaml", environment).ok());
}

TEST_CASE("members: without a servers_file nothing is kept for a rebuild") {
  test::World world;
  CHECK(world.load(config_with("{servers: [{address: \"10.0.0.1:80\"}]}")).source == nullptr);
}

}  // namespace
}  // namespace weir::config
