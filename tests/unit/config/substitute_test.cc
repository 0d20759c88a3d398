#include "config/substitute.h"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/yaml.h"
#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

// One scalar after substitution.
struct Substituted {
  std::unique_ptr<options::Document> document;
  Lines errors;
  const options::Node& node() const { return *document->root->find("v"); }
};

Substituted run(test::World& world, const std::string& value) {
  options::Problems problems;
  Substituted out;
  out.document = parse_yaml("v: " + value + "\n", "weir.yaml", problems);
  REQUIRE(out.document != nullptr);
  substitute(*out.document->root, world.environment(), problems);
  out.errors = problems.errors();
  return out;
}

TEST_CASE("substitution: variables, defaults and files") {
  test::World world;
  world.variables = {{"HOST", "app1"}, {"PORT", "3000"}, {"EMPTY", ""}, {"_x9", "y: [z]"}};
  world.files = {{"/run/secrets/t", " \n secret \r\n\n"}};
  const struct {
    const char* value;
    const char* text;
  } kCases[] = {
      {"${HOST}", "app1"},
      {"\"${HOST}:${PORT}\"", "app1:3000"},
      {"a${EMPTY}b", "ab"},
      {"${EMPTY:-full}", "full"},
      {"${NONE:-}", ""},
      {"${NONE:-redis://127.0.0.1:6379/0}", "redis://127.0.0.1:6379/0"},
      {"${NONE:-a:-b}", "a:-b"},
      {"${HOST:-other}", "app1"},
      {"${file:/run/secrets/t}", "secret"},
      {"${_x9}", "y: [z]"},  // never structure
      {"$${HOST}", "${HOST}"},
      {"$$${HOST}", "$$app1"},
      {"$uri and $$ and $", "$uri and $$ and $"},
      {"\\1", "\\1"},
  };
  for (const auto& one : kCases) {
    CAPTURE(one.value);
    const Substituted out = run(world, one.value);
    CHECK(out.errors.empty());
    CHECK(out.node().text == one.text);
  }
}

TEST_CASE("substitution: what comes from outside is a secret, what stands in the file is not") {
  test::World world;
  world.variables = {{"A", "1"}, {"B", "2"}};
  CHECK(run(world, "${A}-${B}").node().shown() == "(value of ${A}, ${B})");
  CHECK(run(world, "${NONE:-1}").node().shown() == "\"1\"");
  CHECK(run(world, "$${A}").node().shown() == "\"${A}\"");
}

TEST_CASE("substitution: for a template, what was substituted is data") {
  test::World world;
  world.variables = {{"PASSWORD", "pa$uri$$"}};
  CHECK(run(world, "$host:${PASSWORD}").node().template_text() == "$host:pa$$uri$$$$");
  CHECK(run(world, "$${x} $host").node().template_text() == "$${x} $host");
  CHECK(run(world, "${NONE:-$host}").node().template_text() == "$host");
  CHECK(run(world, "$host").node().template_text() == "$host");
}

TEST_CASE("substitution: quotes around a substitution do not make it a string") {
  test::World world;
  world.variables = {{"N", "3"}};
  CHECK_FALSE(run(world, "\"${N}\"").node().quoted);
  CHECK(run(world, "\"$N\"").node().quoted);
}

TEST_CASE("substitution: what cannot be substituted") {
  test::World world;
  world.variables = {{"NUL", std::string("a\0b", 3)}};
  const struct {
    const char* value;
    const char* error;
  } kCases[] = {
      {"${NONE}", "weir.yaml:1:1: v: ${NONE} is not set; ${NONE:-default} gives a default"},
      {"${none", "weir.yaml:1:1: v: \"${\" without \"}\"; a literal \"${\" is written \"$${\""},
      {"${}",
       "weir.yaml:1:1: v: \"${...}\" holds no name of a variable; ${NAME}, "
       "${NAME:-default} or ${file:/path}; a literal \"${\" is \"$${\""},
      {"${9a}",
       "weir.yaml:1:1: v: \"${...}\" holds no name of a variable; ${NAME}, "
       "${NAME:-default} or ${file:/path}; a literal \"${\" is \"$${\""},
      {"${A-b}",
       "weir.yaml:1:1: v: \"${...}\" holds no name of a variable; ${NAME}, "
       "${NAME:-default} or ${file:/path}; a literal \"${\" is \"$${\""},
      {"${NONE:-${NUL}}", "weir.yaml:1:1: v: a default cannot hold another \"${\""},
      {"${file:/none}",
       "weir.yaml:1:1: v: ${file:/none} cannot be read: No such file or directory"},
      {"${file:none}", "weir.yaml:1:1: v: ${file:none}: the path must be absolute"},
      {"${NUL}", "weir.yaml:1:1: v: ${NUL} holds a NUL"},
      {"{\"${NONE}\": x}", "weir.yaml:1:5: v[\"${NONE}\"]: \"${...}\" is not replaced in keys"},
  };
  for (const auto& one : kCases) {
    CAPTURE(one.value);
    CHECK(run(world, one.value).errors == Lines{one.error});
  }
}

TEST_CASE(
    "substitution: every failure in one scalar is reported, and its value is not judged after "
    "that") {
  test::World world;
  const LoadResult result =
      world.load(test::with_top("admin: {address: \"${HOST}:${PORT}\", token: \"${TOKEN}\"}"));
  CHECK(result.errors ==
        Lines{"weir.yaml:7:9: admin.address: ${HOST} is not set; ${HOST:-default} gives a default",
              "weir.yaml:7:9: admin.address: ${PORT} is not set; ${PORT:-default} gives a default",
              "weir.yaml:7:37: admin.token: ${TOKEN} is not set; ${TOKEN:-default} gives a "
              "default"});
}

TEST_CASE("substitution: no error shows a secret") {
  const std::string secret = "hunter2/../\"x\"";
  const char* const kPlaces[] = {
      "workers: ${S}",
      "log: {level: \"${S}\", format: \"${S}\", access: {path: \"${S}x\", sample: \"${S}\"}}",
      "log: ${S}",
      "admin: {address: \"${S}\"}",
      "trusted_proxies: [\"${S}\"]",
      "shutdown: {grace: \"${S}\"}",
      "defaults: {request_id: \"${S}\", timeout: \"${S}\", websocket: \"${S}\"}",
      "defaults: {request_id: {header: \"${S}\"}}",
      "defaults: {headers: {request: {remove: [\"${S}\"]}}}",
      "defaults: {headers: {request: {set: {A: {value: x, mode: \"${S}\"}}}}}",
      "sites: [{hosts: [\"${S}\"], listeners: [\"${S}\"], routes: [{path: \"${S}\", "
      "upstream: \"${S}\"}, {path: /, redirect: {to: \"${S}\", status: \"${S}\"}}]}]",
  };
  for (const char* place : kPlaces) {
    test::World world;
    world.variables = {{"S", secret}};
    std::string text = "listeners: {l: {address: \"127.0.0.1:0\"}}\n" + std::string(place) + "\n";
    if (text.find("sites:") == std::string::npos) {
      text += "sites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n";
    }
    CAPTURE(text);
    const LoadResult result = world.load(text);
    CHECK(result.errors.size() >= 1);
    for (const std::string& line : result.errors) {
      CAPTURE(line);
      CHECK(line.find("hunter") == std::string::npos);
      CHECK(line.find("${S}") != std::string::npos);
    }
  }
}

TEST_CASE("substitution: the system's environment reads variables and regular files") {
  char folder[] = "/tmp/weir-secret-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/token";
  std::ofstream(path) << "abc\n";
  upstream::StateRegistry states;
  proxy::Labels labels;
  const Environment environment = system_environment(states, labels);

  setenv("WEIR_TEST_VARIABLE", "x", 1);
  CHECK(environment.variable("WEIR_TEST_VARIABLE") == "x");
  unsetenv("WEIR_TEST_VARIABLE");
  CHECK(environment.variable("WEIR_TEST_VARIABLE") == std::nullopt);

  constexpr size_t kMax = 65536;
  CHECK(environment.file(path, kMax).value() == "abc\n");
  CHECK(environment.file(path + "x", kMax).error() == "No such file or directory");
  CHECK(environment.file(folder, kMax).error() == "not a regular file");
  CHECK(environment.file("/dev/zero", kMax).error() == "not a regular file");
  std::ofstream(path) << std::string(70'000, 'x');
  CHECK(environment.file(path, kMax).error() == "larger than 64 KiB");
  CHECK(environment.cpus() >= 1);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace weir::config
