#include "filters/security_headers.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/blocks.h"
#include "config/yaml.h"
#include "filters/security_sets.h"

namespace weir::filters {
namespace {

using Lines = std::vector<std::string>;

// What templates get where nothing is known of a request.
class Variables final : public proxy::VariableSource {
 public:
  std::string_view variable(proxy::Variable variable, Arena&) override {
    return variable == proxy::Variable::kCspNonce ? "N" : uri;
  }
  std::string_view capture(size_t) override { return {}; }
  std::string_view uri = "/";
};

// "Name: value" of an answer with these fields once the edits are made, in order of name.
Lines edited(const std::string& yaml,
             const std::vector<std::pair<const char*, const char*>>& fields, bool https = true,
             bool nonce_holds = true, std::string_view uri = "/") {
  options::Problems problems;
  const auto document = config::parse_yaml(yaml, "weir.yaml", problems);
  REQUIRE(document != nullptr);
  const auto edits = read_security_headers(*document->root, problems);
  CHECK(problems.errors() == Lines{});
  REQUIRE(edits != nullptr);
  BlockPool pool;
  Arena arena(pool);
  http::HeaderList headers(arena);
  for (const auto& [name, value] : fields) headers.add(name, value);
  Variables variables;
  variables.uri = uri;
  apply(*edits, https, nonce_holds, variables, headers);
  Lines lines;
  for (const http::Header& header : headers) {
    CHECK(header.id == http::classify(header.name));
    lines.push_back(std::string(header.name) + ": " + std::string(header.value));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

TEST_CASE("security headers: modes, one line each") {
  CHECK(edited("{A: 1}", {{"a", "0"}, {"A", "2"}, {"B", "3"}}) == Lines{"A: 1", "B: 3"});
  CHECK(edited("{A: {value: 1, mode: set_if_absent}}", {{"a", "0"}}) == Lines{"a: 0"});
  CHECK(edited("{A: {value: 1, mode: set_if_absent}}", {}) == Lines{"A: 1"});
  CHECK(edited("{A: {value: 1, mode: append}}", {{"a", "0"}, {"A", ""}, {"A", "x"}}) ==
        Lines{"A: 0, x, 1"});
  CHECK(edited("{A: {value: 1, mode: append}}", {{"A", ""}}) == Lines{"A: 1"});
  CHECK(edited("{A: {value: 1, mode: append}}", {}) == Lines{"A: 1"});
  CHECK(edited("{A: 1}", {{"Server", "x"}, {"X-POWERED-BY", "y"}, {"X-AspNet-Version", "z"}}) ==
        Lines{"A: 1"});
  CHECK(edited("{Server: edge, X-Powered-By: {mode: off}}",
               {{"server", "x"}, {"X-Powered-By", "y"}}) ==
        Lines{"Server: edge", "X-Powered-By: y"});
  CHECK(
      edited("{base: standard, X-Frame-Options: {mode: off}}", {{"X-Frame-Options", "A"}}).size() ==
      standard_set().size());
}

TEST_CASE("security headers: Strict-Transport-Security for https only") {
  const char* const kName = "Strict-Transport-Security";
  for (const char* mode : {"override", "set_if_absent"}) {
    const std::string yaml =
        std::string("{Strict-Transport-Security: {max_age: 1h, mode: ") + mode + "}}";
    CHECK(edited(yaml, {}, true) == Lines{"Strict-Transport-Security: max-age=3600"});
    CHECK(edited(yaml, {}, false) == Lines{});
    CHECK(edited(yaml, {{kName, "max-age=1"}}, false) == Lines{});
  }
  CHECK(edited("{strict-transport-security: max-age=5}", {{kName, "max-age=1"}}) ==
        Lines{"strict-transport-security: max-age=5"});
}

TEST_CASE("security headers: variables") {
  CHECK(edited("{A: \"'nonce-$csp_nonce'\"}", {}) == Lines{"A: 'nonce-N'"});
  CHECK(edited("{A: \"'nonce-$csp_nonce'\", B: $uri}", {{"A", "x"}}, true, false) == Lines{"B: /"});
  CHECK(edited("{A: $uri}", {}, true, true, "a\r\nB: c") == Lines{});
}

TEST_CASE("security headers: the sets say everything once, and strict is no less") {
  for (const auto set : {standard_set(), strict_set()}) {
    for (size_t i = 0; i < set.size(); ++i) {
      for (size_t j = 0; j < i; ++j) CHECK(std::string(set[i].name) != set[j].name);
    }
  }
  for (const SecurityPreset& preset : standard_set()) {
    const bool in_strict = std::any_of(strict_set().begin(), strict_set().end(),
                                       [&preset](const SecurityPreset& other) {
                                         return std::string_view(other.name) == preset.name;
                                       });
    CHECK(in_strict);
  }
  CHECK(edited("standard", {}).size() == standard_set().size());
  CHECK(edited("strict", {}, false).size() == strict_set().size() - 1);
}

}  // namespace
}  // namespace weir::filters
