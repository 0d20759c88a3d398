#include "base/options.h"

#include <catch2/catch.hpp>

namespace weir::options {
namespace {

const std::string kFile = "weir.yaml";

std::unique_ptr<Node> scalar(std::string text, bool quoted = false) {
  auto node = std::make_unique<Node>();
  node->kind = Kind::kScalar;
  node->text = std::move(text);
  node->quoted = quoted;
  node->file = &kFile;
  return node;
}

std::unique_ptr<Node> container(Kind kind) {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  node->file = &kFile;
  return node;
}

Node& put(Node& parent, std::string key, std::unique_ptr<Node> child, uint32_t line = 1,
          uint32_t column = 1) {
  child->parent = &parent;
  child->key = std::move(key);
  child->index = static_cast<uint32_t>(parent.children.size());
  child->line = line;
  child->column = column;
  parent.children.push_back(std::move(child));
  return *parent.children.back();
}

std::string only_error(const Problems& problems) {
  REQUIRE(problems.errors().size() == 1);
  return problems.errors()[0];
}

// The error that reading `text` gives, without its place; empty when it was read.
template <typename Read>
std::string error_of(const std::string& text, Read read) {
  Problems problems;
  const bool good = read(*scalar(text), problems);
  CHECK(good == problems.ok());
  return good ? "" : only_error(problems).substr(std::string("weir.yaml:1:1: ").size());
}

TEST_CASE("options: a path names keys and indexes, and quotes keys that are no plain words") {
  const auto root = container(Kind::kMap);
  Node& sites = put(*root, "sites", container(Kind::kList));
  Node& site = put(sites, "", container(Kind::kMap));
  Node& host = put(site, "a.b c", scalar("x"));
  CHECK(root->path().empty());
  CHECK(site.path() == "sites[0]");
  CHECK(host.path() == "sites[0][\"a.b c\"]");
}

TEST_CASE("options: a value in a message is one bounded line") {
  CHECK(scalar("a\"b\\c\nd\x01")->shown() == "\"a\\\"b\\\\c\\nd\\x01\"");
  CHECK(scalar(std::string(500, 'x'))->shown() == "\"" + std::string(80, 'x') + "...\"");
  CHECK(container(Kind::kList)->shown() == "a list");
}

TEST_CASE("options: a secret is never shown") {
  const auto node = scalar("hunter2");
  node->substitution = std::make_unique<Substitution>(Substitution{"hunter2", "${TOKEN}"});
  CHECK(node->shown() == "(value of ${TOKEN})");
  Problems problems;
  uint64_t number = 0;
  bool flag = false;
  std::vector<const Node*> list;
  size_t index = 0;
  CHECK_FALSE(read_u64(*node, problems, {0, 1}, number));
  CHECK_FALSE(read_bool(*node, problems, flag));
  CHECK_FALSE(read_duration_ms(*node, problems, {0, 1}, number));
  CHECK_FALSE(read_size_bytes(*node, problems, {0, 1}, number));
  CHECK_FALSE(read_list(*node, problems, list));
  CHECK_FALSE(read_choice(*node, problems, {"hunter3"}, {}, index));
  problems.invalid(*node, "a colour", "\"hunter2\" is no colour");
  REQUIRE(problems.errors().size() == 7);
  for (const std::string& line : problems.errors()) {
    CHECK(line.find("hunter") == line.find("hunter3"));
    CHECK(line.find("${TOKEN}") != std::string::npos);
  }
}

TEST_CASE("options: problems come out in order of position, errors apart from warnings") {
  const auto root = container(Kind::kMap);
  Node& late = put(*root, "b", scalar("1"), 9, 3);
  Node& early = put(*root, "a", scalar("1"), 2, 5);
  Problems problems;
  problems.error(late, "second");
  problems.warning(late, "careful", "look");
  problems.error(early, "first", "mend it");
  problems.key_error(*root, "c", "is required");
  CHECK(problems.errors() == std::vector<std::string>{"weir.yaml:1:1: c: is required",
                                                      "weir.yaml:2:5: a: first; mend it",
                                                      "weir.yaml:9:3: b: second"});
  CHECK(problems.warnings() == std::vector<std::string>{"weir.yaml:9:3: b: careful; look"});
}

TEST_CASE("options: problems beyond the bound are counted") {
  const auto root = scalar("x");
  Problems problems;
  for (int i = 0; i < 1234; ++i) problems.error(*root, "bad");
  CHECK(problems.error_count() == 1234);
  REQUIRE(problems.errors().size() == 1001);
  CHECK(problems.errors().back() == "and 234 more");
}

TEST_CASE("options: durations carry a unit") {
  const auto read = [](const std::string& text) {
    Problems problems;
    uint64_t ms = 0;
    CHECK(read_duration_ms(*scalar(text), problems, {0, UINT64_MAX}, ms));
    return ms;
  };
  CHECK(read("250ms") == 250);
  CHECK(read("0s") == 0);
  CHECK(read("30s") == 30'000);
  CHECK(read("15m") == 900'000);
  CHECK(read("1h") == 3'600'000);
  CHECK(read("1d") == 86'400'000);
  CHECK(read("2w") == 1'209'600'000);
  CHECK(read("1y") == 31'536'000'000);

  const auto error = [](const std::string& text) {
    return error_of(text, [](const Node& node, Problems& problems) {
      uint64_t ms = 0;
      return read_duration_ms(node, problems, {1, 86'400'000}, ms);
    });
  };
  CHECK(error("30") == "\"30\" needs a unit; one of ms, s, m, h, d, w or y, as in 30s");
  CHECK(error("0") == "\"0\" needs a unit; one of ms, s, m, h, d, w or y, as in 0s");
  CHECK(error("1.5s") ==
        "\"1.5s\" is not a duration; a whole number and one of "
        "ms, s, m, h, d, w or y");
  CHECK(error("-1s") ==
        "\"-1s\" is not a duration; a whole number and one of "
        "ms, s, m, h, d, w or y");
  CHECK(error("5 s") ==
        "\"5 s\" is not a duration; a whole number and one of "
        "ms, s, m, h, d, w or y");
  CHECK(error("5S") ==
        "\"5S\" is not a duration; a whole number and one of "
        "ms, s, m, h, d, w or y");
  CHECK(error("0ms") == "\"0ms\" is out of range; allowed: 1ms to 1d");
  CHECK(error("25h") == "\"25h\" is out of range; allowed: 1ms to 1d");
  CHECK(error("99999999999999999999y") ==
        "\"99999999999999999999y\" is out of range; allowed: 1ms to 1d");
  CHECK(error("18446744073709551615y") ==
        "\"18446744073709551615y\" is out of range; allowed: 1ms to 1d");
  CHECK(error("") == "\"\" is not a duration; a whole number and one of ms, s, m, h, d, w or y");
}

TEST_CASE("options: sizes carry a unit") {
  const auto read = [](const std::string& text) {
    Problems problems;
    uint64_t bytes = 0;
    CHECK(read_size_bytes(*scalar(text), problems, {0, UINT64_MAX}, bytes));
    return bytes;
  };
  CHECK(read("7B") == 7);
  CHECK(read("4KiB") == 4096);
  CHECK(read("4KB") == 4000);
  CHECK(read("10MB") == 10'000'000);
  CHECK(read("3MiB") == 3 << 20);
  CHECK(read("2GiB") == 2ull << 30);
  CHECK(read("1TiB") == 1ull << 40);

  const auto error = [](const std::string& text) {
    return error_of(text, [](const Node& node, Problems& problems) {
      uint64_t bytes = 0;
      return read_size_bytes(node, problems, {1024, 1 << 20}, bytes);
    });
  };
  CHECK(error("4096") ==
        "\"4096\" needs a unit; one of B, KB, KiB, MB, MiB, GB, GiB, TB or TiB, "
        "as in 4096KiB");
  CHECK(error("4k") ==
        "\"4k\" is not a size; a whole number and one of "
        "B, KB, KiB, MB, MiB, GB, GiB, TB or TiB");
  CHECK(error("1KB") == "\"1KB\" is out of range; allowed: 1KiB to 1MiB");
}

TEST_CASE("options: booleans are true and false, without quotes") {
  const auto error = [](const std::string& text) {
    return error_of(text, [](const Node& node, Problems& problems) {
      bool out = false;
      return read_bool(node, problems, out);
    });
  };
  CHECK(error("true").empty());
  CHECK(error("false").empty());
  for (const char* text : {"yes", "TRUE", "True", "1", "on", "off", "banana", ""}) {
    CHECK(error(text) == "must be true or false, not \"" + std::string(text) + "\"");
  }
  Problems problems;
  bool out = false;
  CHECK_FALSE(read_bool(*scalar("true", true), problems, out));
  CHECK(only_error(problems) ==
        "weir.yaml:1:1: must be true or false, not a string; remove the quotes");
}

TEST_CASE("options: numbers are decimal, whole where they must be, and in range") {
  const auto error = [](const std::string& text) {
    return error_of(text, [](const Node& node, Problems& problems) {
      uint64_t out = 0;
      return read_u64(node, problems, {1, 65535}, out);
    });
  };
  CHECK(error("1").empty());
  CHECK(error("65535").empty());
  CHECK(error("0") == "\"0\" is out of range; allowed: 1 to 65535");
  CHECK(error("65536") == "\"65536\" is out of range; allowed: 1 to 65535");
  CHECK(error("99999999999999999999") ==
        "\"99999999999999999999\" is out of range; allowed: 1 to 65535");
  for (const char* text : {"3000abc", "-1", "+1", "1.0", "0x10", "1e3", ""}) {
    CHECK(error(text) == "\"" + std::string(text) + "\" is not a whole number");
  }
  Problems problems;
  uint64_t out = 7;
  CHECK_FALSE(read_u64(*scalar("3", true), problems, {1, 9}, out));
  CHECK(out == 7);
  CHECK(only_error(problems) ==
        "weir.yaml:1:1: must be a whole number, not a string; remove the quotes");
}

TEST_CASE("options: fractions") {
  const auto error = [](const std::string& text) {
    return error_of(text, [](const Node& node, Problems& problems) {
      double out = 0;
      return read_number(node, problems, {0.0, 1.0}, out);
    });
  };
  CHECK(error("0.25").empty());
  CHECK(error("1").empty());
  CHECK(error("1.5") == "\"1.5\" is out of range; allowed: 0 to 1");
  for (const char* text : {"nan", "inf", "1e-1", "0.5x", "", "."}) {
    CHECK(error(text) == "\"" + std::string(text) + "\" is not a number");
  }
}

TEST_CASE("options: percentages") {
  Problems problems;
  double out = 0;
  CHECK(read_percent(*scalar("50%"), problems, out));
  CHECK(out == Approx(0.5));
  CHECK(read_percent(*scalar("0.5%"), problems, out));
  CHECK(out == Approx(0.005));
  CHECK_FALSE(read_percent(*scalar("50"), problems, out));
  CHECK_FALSE(read_percent(*scalar("101%"), problems, out));
  CHECK_FALSE(read_percent(*scalar("%"), problems, out));
  CHECK(problems.errors()[1] == "weir.yaml:1:1: \"101%\" is out of range; allowed: 0% to 100%");
  CHECK(out == Approx(0.005));
}

TEST_CASE("options: rates") {
  Problems problems;
  Rate rate;
  CHECK(read_rate(*scalar("10/s"), problems, rate));
  CHECK(rate.count == 10);
  CHECK(rate.per_ms == 1000);
  CHECK(read_rate(*scalar("100/15m"), problems, rate));
  CHECK(rate.count == 100);
  CHECK(rate.per_ms == 900'000);
  for (const char* text : {"10", "10/", "/s", "0/s", "10/0s", "10/x", "10/s/s", "-1/s", "10/15"}) {
    CAPTURE(text);
    CHECK_FALSE(read_rate(*scalar(text), problems, rate));
  }
  CHECK(problems.errors()[0] ==
        "weir.yaml:1:1: \"10\" is not a rate; a number per duration, as in 10/s or 100/15m");
}

TEST_CASE("options: rates of bytes") {
  Problems problems;
  constexpr Range<uint64_t> kRange = {1, 1 << 20};
  uint64_t rate = 0;
  CHECK(read_byte_rate(*scalar("240B/s"), problems, kRange, rate));
  CHECK(rate == 240);
  CHECK(read_byte_rate(*scalar("1KiB/s"), problems, kRange, rate));
  CHECK(rate == 1024);
  for (const char* text : {"240", "240B", "240/s", "B/s", "240B/m", "240B/1s", "-1B/s", "0B/s",
                           "2MiB/s", "99999999999999999999B/s", "1kb/s"}) {
    CAPTURE(text);
    CHECK_FALSE(read_byte_rate(*scalar(text), problems, kRange, rate));
  }
  CHECK(rate == 1024);
  CHECK(problems.errors()[0] ==
        "weir.yaml:1:1: \"240\" is not a rate of bytes; a size per second, as in 240B/s or 1KiB/s");
  CHECK(problems.errors()[7] == "weir.yaml:1:1: \"0B/s\" is out of range; allowed: 1B/s to 1MiB/s");
}

TEST_CASE("options: choices name their words, the closest one, and what is to come") {
  const auto error = [](const std::string& text) {
    return error_of(text, [](const Node& node, Problems& problems) {
      size_t index = 0;
      return read_choice(node, problems, {"least_conn", "round_robin"}, {"ip_hash"}, index);
    });
  };
  CHECK(error("round_robin").empty());
  CHECK(error("round-robin") ==
        "must be least_conn or round_robin, not \"round-robin\"; "
        "did you mean \"round_robin\"?");
  CHECK(error("x") == "must be least_conn or round_robin, not \"x\"");
  CHECK(error("ip_hash") == "\"ip_hash\" is known but not in this build yet");
}

TEST_CASE("options: a map reader reports the keys that nobody asked for") {
  const auto root = container(Kind::kMap);
  put(*root, "adress", scalar("x"), 1, 1);
  put(*root, "tls", container(Kind::kMap), 2, 1);
  put(*root, "colour", scalar("x"), 3, 1);
  put(*root, "weight", scalar("3"), 4, 1);
  Problems problems;
  MapReader map(*root, problems);
  uint32_t weight = 1;
  CHECK(map.u32("weight", {1, 10}, weight));
  CHECK(weight == 3);
  CHECK(map.require("address") == nullptr);
  map.later({"tls"});
  map.finish();
  CHECK(problems.errors() ==
        std::vector<std::string>{"weir.yaml:1:1: address: is required",
                                 "weir.yaml:1:1: adress: unknown key; did you mean \"address\"?",
                                 "weir.yaml:2:1: tls: \"tls\" is known but not in this build yet",
                                 "weir.yaml:3:1: colour: unknown key"});
}

TEST_CASE("options: a value that cannot be read leaves the default") {
  const auto root = container(Kind::kMap);
  put(*root, "a", container(Kind::kList));
  put(*root, "b", scalar("70000"));
  Problems problems;
  MapReader map(*root, problems);
  std::string text = "default";
  uint32_t number = 5;
  bool flag = true;
  CHECK_FALSE(map.string("a", text));
  CHECK_FALSE(map.u32("b", {1, 100}, number));
  CHECK_FALSE(map.boolean("absent", flag));
  CHECK(text == "default");
  CHECK(number == 5);
  CHECK(flag);
  CHECK(problems.error_count() == 2);
}

TEST_CASE("options: a scalar or a list is no map, and nothing is an empty one") {
  Problems problems;
  CHECK_FALSE(MapReader(*scalar("x"), problems).is_map());
  CHECK_FALSE(MapReader(*container(Kind::kList), problems).is_map());
  CHECK(MapReader(*container(Kind::kNull), problems).is_map());
  CHECK(problems.errors() == std::vector<std::string>{"weir.yaml:1:1: must be a map, not \"x\"",
                                                      "weir.yaml:1:1: must be a map, not a list"});
}

TEST_CASE("options: what a failed substitution left is not reported twice") {
  const auto node = scalar("");
  node->broken = true;
  Problems problems;
  uint64_t number = 0;
  std::string text;
  CHECK_FALSE(read_u64(*node, problems, {1, 2}, number));
  CHECK_FALSE(read_string(*node, problems, text));
  CHECK_FALSE(MapReader(*node, problems).is_map());
  CHECK(problems.ok());
}

}  // namespace
}  // namespace weir::options
