// include: which files are read, what they may hold, and where their errors are said to stand.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/files.h"
#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

// A main file without sites, so that the included ones matter.
std::string with_include(std::string_view patterns) {
  return "include: " + std::string(patterns) +
         "\nlisteners: {http: {address: \"127.0.0.1:0\"}}\n"
         "upstreams: {app: {servers: [{address: \"127.0.0.1:3000\"}]}}\n";
}

std::string site(std::string_view host, std::string_view upstream) {
  return "sites: [{hosts: [" + std::string(host) +
         "], routes: [{path: /, upstream: " + std::string(upstream) + "}]}]\n";
}

Lines hosts_of(const LoadResult& result) {
  Lines hosts;
  REQUIRE(result.ok());
  for (const proxy::Site& one : result.snapshot->sites) {
    hosts.insert(hosts.end(), one.hosts.begin(), one.hosts.end());
  }
  return hosts;
}

TEST_CASE("include: patterns and names, in their order, sorted within a pattern") {
  test::World world;
  world.files = {{"conf.d/b.yaml", site("b", "app")},
                 {"conf.d/a.yaml", site("a", "late")},
                 {"conf.d/.hidden.yaml", "nonsense"},
                 {"conf.d/a.yaml.bak", "nonsense"},
                 {"last.yaml", "upstreams: {late: {servers: [{address: \"127.0.0.1:1\"}]}}\n"},
                 {"empty/a.yaml", "sites:\nupstreams:\n"},
                 {"empty/b.yaml", "# sites: []\n"},
                 {"empty/c.yaml", ""}};
  const LoadResult result = world.load(
      with_include("[conf.d/*.yaml, last.yaml, conf.d/*.yml, \"conf.d/[ab].yaml\", empty/*.yaml]"));
  CHECK(result.errors == Lines{});
  CHECK(result.warnings == Lines{});
  CHECK(hosts_of(result) == Lines{"a", "b"});
  CHECK(result.snapshot->clusters.size() == 2);
  CHECK(result.snapshot->sites[0].routes[0].cluster->name == "late");
}

TEST_CASE("include: beside the main file, whatever that is called and whatever folder it is in") {
  test::World world;
  world.files = {{"/etc/we[i]r/conf.d/a.yaml", site("a", "app")},
                 {"/srv/b.yaml", site("b", "app")}};
  const LoadResult result =
      load_text(with_include("[conf.d/*.yaml, /srv/b.yaml]") + site("main", "app"),
                "/etc/we[i]r/weir.yaml", world.environment());
  CHECK(result.errors == Lines{});
  CHECK(hosts_of(result) == Lines{"main", "a", "b"});
}

TEST_CASE("include: values are substituted in every file, and in the list itself") {
  test::World world;
  world.variables = {{"STAGE", "blue"}, {"HOST", "x.test"}};
  world.files = {{"blue.yaml", site("\"${HOST}\"", "app")}};
  CHECK(hosts_of(world.load(with_include("[\"${STAGE}.yaml\"]"))) == Lines{"x.test"});
}

TEST_CASE("include: an error stands in the file that has it") {
  test::World world;
  world.files = {
      {"conf.d/a.yaml",
       "upstreams:\n  app: {servers: []}\n  own: {servers: [{adress: \"a:1\"}]}\n"},
      {"conf.d/b.yaml", "upstreams: {own: {}}\nsites:\n  - {hosts: [a], routes: [{path: x}]}\n"},
      {"conf.d/c.yaml", "listeners: {}\ninclude: [x]\nrate_limits: {own: {}}\nsite: []\n"},
      {"conf.d/d.yaml", "sites: [\n"},
      {"conf.d/e.yaml", "- a\n"},
      {"conf.d/f.yaml", "sites: {}\nupstreams: []\n"},
      {"conf.d/g.yaml", "sites: [{hosts: [a], routes: [{path: /, upstream: ap}]}]\n"}};
  const Lines expected = {
      "conf.d/a.yaml:2:3: upstreams.app: is defined at weir.yaml:3:13 already",
      "conf.d/a.yaml:3:19: upstreams.own.servers[0].address: is required; host:port, [v6]:port or "
      "unix:/path",
      "conf.d/a.yaml:3:20: upstreams.own.servers[0].adress: unknown key; did you mean "
      "\"address\"?",
      "conf.d/b.yaml:1:13: upstreams.own: is defined at conf.d/a.yaml:3:3 already",
      "conf.d/b.yaml:3:27: sites[0].routes[0]: has no action; one of upstream, split, files, "
      "respond and redirect is due",
      "conf.d/b.yaml:3:28: sites[0].routes[0].path: \"x\" is not a path: it starts with / or =/",
      "conf.d/c.yaml:1:1: listeners: cannot stand in an included file; only certificates, "
      "rate_limits, upstreams and sites can",
      "conf.d/c.yaml:2:1: include: includes do not nest; only the main file can include",
      "conf.d/c.yaml:3:15: rate_limits.own.rate: is required; as in rate: 10/s, or 100/15m",
      "conf.d/c.yaml:4:1: site: cannot stand in an included file; only certificates, rate_limits, "
      "upstreams and sites can",
      "conf.d/d.yaml:2:1: not valid YAML: end of sequence flow not found",
      "conf.d/e.yaml:1:1: must be a map, not a list",
      "conf.d/f.yaml:1:1: sites: must be a list, not a map",
      "conf.d/f.yaml:2:1: upstreams: must be a map, not a list",
      "conf.d/g.yaml:1:18: sites[0].hosts[0]: host \"a\" on listener \"http\" is claimed by "
      "sites[0].hosts[0] (conf.d/b.yaml, line 3) already",
      "conf.d/g.yaml:1:41: sites[0].routes[0].upstream: no upstream \"ap\"; did you mean \"app\"?",
  };
  CHECK(world.load(with_include("[conf.d/*.yaml]")).errors == expected);
}

TEST_CASE("include: what the list itself may not say") {
  const struct {
    const char* list;
    Lines errors;
  } kCases[] = {
      {"conf.d", {"weir.yaml:1:1: include: must be a list, not \"conf.d\""}},
      {"[none.yaml]",
       {"weir.yaml:1:11: include[0]: \"none.yaml\" cannot be read: No such file or directory"}},
      {"[\"${SECRET}.yaml\"]",
       {"weir.yaml:1:11: include[0]: (value of ${SECRET}) cannot be read: No such file or "
        "directory"}},
      {"[weir.yaml]", {"weir.yaml:1:11: include[0]: the file would include itself"}},
      {"[{a: b}, \"\"]",
       {"weir.yaml:1:11: include[0]: must be a string, not a map",
        "weir.yaml:1:19: include[1]: is empty"}},
  };
  for (const auto& one : kCases) {
    CAPTURE(one.list);
    test::World world;
    world.variables = {{"SECRET", "hunter2"}};
    CHECK(world.load(with_include(one.list) + site("a", "app")).errors == one.errors);
  }
}

TEST_CASE("include: a pattern in a folder that is not there") {
  test::World world;
  world.files = {{"conf.d/a.yaml", site("a", "app")}};
  world.variables = {{"SECRET", "hunter2"}};
  const LoadResult result =
      world.load(with_include("[conf.d/*.yaml, confd/*.yaml, \"x/${SECRET}/?/*\", \"*.none\"]"));
  CHECK(result.errors == Lines{});
  CHECK(result.warnings ==
        Lines{"weir.yaml:1:26: include[1]: there is no folder \"confd/\"; nothing is included",
              "weir.yaml:1:40: include[2]: there is no folder (value of ${SECRET}); nothing is "
              "included"});
}

TEST_CASE("include: neither files nor bytes without end") {
  test::World world;
  for (int i = 0; i < 1001; ++i) {
    world.files["d/" + std::to_string(10'000 + i) + ".yaml"] = "sites:\n";
  }
  CHECK(world.load(with_include("[d/*.yaml, d/x.yaml]") + site("a", "app")).errors ==
        Lines{"weir.yaml:1:11: include[0]: more than 1000 files are included"});

  world.files = {{"big/a.yaml", "sites:\n#" + std::string(100'000, 'x')},
                 {"big/b.yaml", std::string((64u << 20) - 100'000, '#')}};
  CHECK(world.load(with_include("[big/*.yaml]") + site("a", "app")).errors ==
        Lines{"weir.yaml:1:11: include[0]: the included files hold more than 64 MiB"});
}

TEST_CASE("include: files on disk are regular ones, symlinks are followed when they move") {
  char made[] = "/tmp/weir-include-XXXXXX";
  REQUIRE(mkdtemp(made) != nullptr);
  const std::filesystem::path folder = made;
  const auto write = [&](const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << text;
  };
  // As a Kubernetes volume: the files are links through ..data, which is replaced as one.
  write("..1/a.yaml", site("one", "app"));
  write("..2/a.yaml", site("two", "app"));
  std::filesystem::create_symlink("..1", folder / "..data");
  std::filesystem::create_symlink("..data/a.yaml", folder / "a.yaml");
  write("weir.conf", with_include("[\"*.yaml\"]"));

  test::World world;
  Environment environment = world.environment();
  environment.file = read_regular_file;
  environment.glob = glob_files;
  environment.folder_exists = folder_exists;
  CHECK(hosts_of(load(folder / "weir.conf", environment)) == Lines{"one"});
  std::filesystem::create_symlink("..2", folder / "..data_tmp");
  std::filesystem::rename(folder / "..data_tmp", folder / "..data");
  CHECK(hosts_of(load(folder / "weir.conf", environment)) == Lines{"two"});

  write("patterns.conf", with_include("[\"*.none\", \"none/*\", \"a.yaml/*\"]") + site("a", "app"));
  CHECK(load(folder / "patterns.conf", environment).warnings ==
        Lines{folder.string() + "/patterns.conf:1:21: include[1]: there is no folder \"" +
                  folder.string() + "/none/\"; nothing is included",
              folder.string() + "/patterns.conf:1:31: include[2]: there is no folder \"" +
                  folder.string() + "/a.yaml/\"; nothing is included"});

  std::filesystem::create_directory(folder / "b.yaml");
  CHECK(load(folder / "weir.conf", environment).errors ==
        Lines{folder.string() + "/weir.conf:1:11: include[0]: \"" + folder.string() +
              "/b.yaml\" cannot be read: not a regular file"});
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace weir::config
