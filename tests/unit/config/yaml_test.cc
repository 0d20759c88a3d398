#include "config/yaml.h"

#include <catch2/catch.hpp>

namespace weir::config {
namespace {

using options::Document;
using options::Kind;
using options::Node;
using options::Problems;

std::unique_ptr<Document> parse(std::string_view text) {
  Problems problems;
  std::unique_ptr<Document> document = parse_yaml(text, "weir.yaml", problems);
  CHECK(problems.errors().empty());
  REQUIRE(document != nullptr);
  return document;
}

std::vector<std::string> errors_of(std::string_view text) {
  Problems problems;
  parse_yaml(text, "weir.yaml", problems);
  return problems.errors();
}

using Lines = std::vector<std::string>;

TEST_CASE("yaml: values know where their key stands, items where they begin") {
  const auto document = parse("a: 1\nb:\n  - x\n  - c: [y, z]\n");
  const Node& root = *document->root;
  REQUIRE(root.kind == Kind::kMap);
  const Node& list = *root.find("b");
  CHECK(list.line == 2);
  CHECK(list.column == 1);
  const Node& item = *list.children[1];
  CHECK(item.line == 4);
  CHECK(item.column == 5);
  const Node& inner = *item.find("c")->children[1];
  CHECK(inner.text == "z");
  CHECK(inner.path() == "b[1].c[1]");
  CHECK(inner.line == 4);
  CHECK(inner.column == 12);
}

TEST_CASE("yaml: quoted scalars are told apart, and nothing is null") {
  const auto document = parse("a: 3\nb: \"3\"\nc: '3'\nd: |\n  3\ne:\nf: ~\ng: \"\"\n");
  const Node& root = *document->root;
  CHECK_FALSE(root.find("a")->quoted);
  CHECK(root.find("b")->quoted);
  CHECK(root.find("c")->quoted);
  CHECK(root.find("d")->quoted);
  CHECK(root.find("d")->text == "3\n");
  CHECK(root.find("e")->kind == Kind::kNull);
  CHECK(root.find("f")->kind == Kind::kNull);
  CHECK(root.find("g")->kind == Kind::kScalar);
}

TEST_CASE("yaml: duplicate keys are errors, and what follows is still read") {
  CHECK(errors_of("a: 1\nb: {x: 1, x: 2}\na: {c: 1, c: 2}\n") ==
        Lines{"weir.yaml:2:11: b.x: duplicate key; first on line 2",
              "weir.yaml:3:1: a: duplicate key; first on line 1",
              "weir.yaml:3:11: a.c: duplicate key; first on line 3"});
}

TEST_CASE("yaml: aliases are copies that keep their place") {
  const auto document = parse("a: &x {k: [1, 2]}\nb: *x\nc: {k: *x}\n");
  const Node& copy = *document->root->find("b");
  CHECK(copy.kind == Kind::kMap);
  CHECK(copy.line == 2);
  CHECK(copy.find("k")->children[1]->text == "2");
  CHECK(copy.find("k")->children[1]->path() == "b.k[1]");
  CHECK(copy.find("k")->line == 1);
  CHECK(document->root->find("c")->find("k")->find("k")->path() == "c.k.k");
}

TEST_CASE("yaml: an alias of a duplicate key's value is harmless") {
  CHECK(errors_of("a: 1\na: &x [1]\nb: *x\n").size() == 1);
}

TEST_CASE("yaml: aliases cannot grow without bound") {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += (j == 0 ? "" : ", ") + before;
    text += "]\n";
  }
  const Lines errors = errors_of(text);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].find("aliases make too many copies") != std::string::npos);
}

TEST_CASE("yaml: aliases of a long text count by its length") {
  std::string text = "a: [&x \"" + std::string(200'000, 'a') + "\"";
  for (int i = 0; i < 20'000; ++i) text += ", *x";
  const Lines errors = errors_of(text + "]\n");
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].find("aliases make too many copies") != std::string::npos);
}

TEST_CASE("yaml: what the language leaves out of YAML is refused with its place") {
  const struct {
    std::string_view text;
    const char* error;
  } kCases[] = {
      {"a: {<<: {b: 1}}\n",
       "weir.yaml:1:5: merge keys (<<) are not part of the language; write the keys out"},
      {"a: !foo 1\n", "weir.yaml:1:4: tags (!foo) are not part of the language"},
      {"a: !!int 1\n", "weir.yaml:1:4: tags (tag:yaml.org,2002:int) are not part of the language"},
      {"!!map {a: 1}\n",
       "weir.yaml:1:1: tags (tag:yaml.org,2002:map) are not part of the language"},
      {"a: 1\n---\nb: 2\n", "weir.yaml:2:1: a second document: a configuration is one document"},
      {"? [a]\n: b\n", "weir.yaml:1:3: a key must be a word, not a list or a map"},
      {"{a: 1}: b\n", "weir.yaml:1:1: a key must be a word, not a list or a map"},
      {"~: b\n", "weir.yaml:1:1: a key is missing before \":\""},
      {"&x a: b\n", "weir.yaml:1:1: an anchor cannot be on a key"},
      {"a: &x b\n*x : c\n", "weir.yaml:2:1: an alias cannot be a key"},
      {"a: &x [*x]\n", "weir.yaml:1:8: an alias inside of what it names"},
      {"a: \"x\\0y\"\n", "weir.yaml:1:4: NUL in a value"},
      {"a: \"x\n", "weir.yaml:1:4: a quote is not closed"},
      {"a: \"x\\\"\n", "weir.yaml:1:4: a quote is not closed"},
      {"a: 'it''s\n", "weir.yaml:1:4: a quote is not closed"},
      {"a: 'x'\nb:\n  - 'y''\n", "weir.yaml:3:5: a quote is not closed"},
      {"a: 'x'\n\"b\n", "weir.yaml:2:1: a quote is not closed"},
      {std::string_view("a: 1\0", 5), "weir.yaml: is not UTF-8 text"},
      {"\xff\xfe"
       "a",
       "weir.yaml: is not UTF-8 text"},
      {"", "weir.yaml: is empty"},
      {"# only a comment\n", "weir.yaml: is empty"},
      {"---\n", "weir.yaml: is empty"},
  };
  for (const auto& one : kCases) {
    CAPTURE(one.text);
    CHECK(errors_of(one.text) == Lines{one.error});
  }
}

TEST_CASE("yaml: broken YAML is one error with its place") {
  for (const char* text : {"a: [1, 2\n", "a: b: c\n", "\ta: 1\n", "a: *nobody\n", "a: 1\n b: 2\n",
                           "}", "a: @x\n", "%YAML 3.0\n---\na: 1\n"}) {
    CAPTURE(text);
    const Lines errors = errors_of(text);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].find("weir.yaml:") == 0);
    CHECK(errors[0].find("not valid YAML: ") != std::string::npos);
  }
}

TEST_CASE("yaml: nesting is bounded") {
  const auto nested = [](size_t depth) {
    return "a: " + std::string(depth, '[') + std::string(depth, ']') + "\n";
  };
  CHECK(errors_of(nested(63)).empty());
  CHECK(errors_of(nested(64)) == Lines{"weir.yaml:1:67: nested deeper than 64 levels"});
  CHECK(errors_of(nested(100'000)) == Lines{"weir.yaml:1:67: nested deeper than 64 levels"});
  CHECK(errors_of("a: &x " + std::string(40, '[') + std::string(40, ']') +
                  "\nb: " + std::string(40, '[') + "*x" + std::string(40, ']') + "\n") ==
        Lines{"weir.yaml:2:44: nested deeper than 64 levels"});
}

TEST_CASE("yaml: size is bounded") {
  const std::string text((64u << 20) + 1, '#');
  CHECK(errors_of(text) == Lines{"weir.yaml: is larger than 64 MiB"});
}

TEST_CASE("yaml: closed quotes are closed wherever they end") {
  for (const char* text :
       {"a: \"x\"", "a: 'x'", "a: 'it''s'", "a: ''", "a: \"\\\\\"", "{\"a\": 'b'}",
        "\xef\xbb\xbf"
        "\"a\": 1",
        "a: \"x\" # it's\n", "a: |\n  \"x\n", "a: \"x\n  y\"\nb: it's\n"}) {
    CAPTURE(text);
    CHECK(errors_of(text).empty());
  }
}

TEST_CASE("yaml: a byte order mark and CRLF are no trouble") {
  const auto document = parse(
      "\xef\xbb\xbf"
      "a: 1\r\nb: x\r\n");
  CHECK(document->root->find("b")->text == "x");
}

}  // namespace
}  // namespace weir::config
