// Files as they are after a slip of the hand: each loads, or says where it is wrong.
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>
#include <string_view>

#include "config/files.h"
#include "language.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;
using Random = std::mt19937;

size_t below(Random& random, size_t end) { return end == 0 ? 0 : random() % end; }

Lines split(const std::string& text) {
  Lines lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  return lines;
}

std::string join(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

std::string mutate_lines(const std::string& text, Random& random) {
  Lines lines = split(text);
  const size_t at = below(random, lines.size());
  const size_t other = below(random, lines.size());
  switch (below(random, 3)) {
    case 0: lines.erase(lines.begin() + static_cast<long>(at)); break;
    case 1: lines.insert(lines.begin() + static_cast<long>(at), std::string(lines[other])); break;
    default: std::swap(lines[at], lines[other]);
  }
  return join(lines);
}

std::string mutate_bytes(std::string text, Random& random) {
  static const std::string kSigns = "\t\"'[]{}:,-&*!|>%@`#?\\$ \n\xff\x01";
  const size_t at = below(random, text.size());
  switch (below(random, 4)) {
    case 0: text.erase(at, 1 + below(random, 5)); break;
    case 1: text.insert(at, 1, kSigns[below(random, kSigns.size())]); break;
    case 2: text[at] = static_cast<char>(text[at] ^ (1 << below(random, 8))); break;
    default: text.resize(at);
  }
  return text;
}

std::string mutate(std::string text, Random& random) {
  for (size_t left = 1 + below(random, 3); left > 0 && !text.empty(); --left) {
    text = below(random, 2) == 0 ? mutate_lines(text, random) : mutate_bytes(text, random);
  }
  return text;
}

// FILE:LINE:COLUMN: WHAT. Only what is wrong with a file as a whole stands in no line of it.
bool says_where(std::string_view line) {
  if (line.ends_with(": is empty") || line.ends_with(": is not UTF-8 text")) return true;
  if (line.starts_with("and ")) return true;  // more of them, which are only counted
  size_t at = line.find(':');
  for (int numbers = 0; numbers < 2; ++numbers) {
    if (at == std::string_view::npos) return false;
    const size_t end = line.find_first_not_of("0123456789", at + 1);
    if (end == std::string_view::npos || end == at + 1 || line[at + 1] == '0') return false;
    at = end;
  }
  return line.substr(at).starts_with(": ") && line.size() > at + 2;
}

void check_mutants(const std::string& text, const Environment& environment, const std::string& file,
                   unsigned seed) {
  constexpr int kMutants = 200;
  Random random(seed);
  for (int i = 0; i < kMutants; ++i) {
    const std::string mutant = mutate(text, random);
    CAPTURE(i, mutant);
    const auto begin = std::chrono::steady_clock::now();
    const LoadResult result = load_text(mutant, file, environment);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
    REQUIRE(result.ok() == result.errors.empty());
    for (const Lines* lines : {&result.errors, &result.warnings}) {
      for (const std::string& line : *lines) {
        CAPTURE(line);
        REQUIRE(says_where(line));
      }
    }
  }
}

TEST_CASE("mutations: every example, two hundred times damaged, loads or says where it is wrong") {
  unsigned seed = 1;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(WEIR_CONFIG_EXAMPLES)) {
    if (entry.path().extension() != ".yaml") continue;
    CAPTURE(entry.path());
    test::World world;
    world.variables = {{"ADMIN_TOKEN", "a-long-random-text"}};
    Environment environment = world.environment();
    environment.file = read_regular_file;
    environment.glob = glob_files;
    check_mutants(test::read_text(entry.path()), environment, entry.path(), seed++);
  }
  CHECK(seed > 10);
}

TEST_CASE("mutations: the file of all keys, and what it includes") {
  test::World world;
  const std::string text = test::every_key(world);
  check_mutants(text, world.environment(), "weir.yaml", 100);
  Random random(101);
  const std::string included = world.files["a.yaml"];
  for (int i = 0; i < 200; ++i) {
    world.files["a.yaml"] = mutate(included, random);
    CAPTURE(i, world.files["a.yaml"]);
    const LoadResult result = world.load(text);
    REQUIRE(result.ok() == result.errors.empty());
    for (const std::string& line : result.errors) {
      CAPTURE(line);
      REQUIRE(says_where(line));
    }
  }
}

// ---- secrets ----

void scalars(options::Node& node, std::vector<options::Node*>& out) {
  if (node.kind == options::Kind::kScalar) out.push_back(&node);
  for (const auto& child : node.children) scalars(*child, out);
}

TEST_CASE("secrets: whatever value of the language is one, no message shows it") {
  test::World world;
  const std::string text = test::every_key(world);
  size_t places = 1;
  size_t messages = 0;
  for (const char* secret : {"hunter2", "hunter 2", "hunter2:80", "/hunter2/", "/hunter2/../x",
                             "http://hunter2", "10.0.0.0/hunter2", "/hunter2.html", "*.hunter2*"}) {
    world.variables["SECRET"] = secret;
    for (size_t i = 0; i < places; ++i) {
      test::OpenBuild open(world, text);
      std::vector<options::Node*> found;
      scalars(open.root(), found);
      places = found.size();
      found[i]->text = "${SECRET}";
      CAPTURE(secret, found[i]->path());
      open.run();
      for (const Lines& lines : {open.problems.errors(), open.problems.warnings()}) {
        messages += lines.size();
        for (const std::string& line : lines) {
          CAPTURE(line);
          CHECK(line.find("hunter") == std::string::npos);
        }
      }
    }
  }
  CHECK(places > 80);
  CHECK(messages > 500);
}

}  // namespace
}  // namespace weir::config
