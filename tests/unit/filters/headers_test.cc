#include "filters/headers.h"

#include <catch2/catch.hpp>

#include "config/yaml.h"
#include "filters/header_name.h"

namespace weir::filters {
namespace {

using Lines = std::vector<std::string>;

HeaderEdits read(const std::string& yaml) {
  options::Problems problems;
  const auto document = config::parse_yaml(yaml, "weir.yaml", problems);
  REQUIRE(document != nullptr);
  const HeaderEdits edits = read_header_edits(*document->root, problems);
  CHECK(problems.errors() == Lines{});
  return edits;
}

// "set A", "remove B": what would be done, in order.
Lines summary(const std::vector<HeaderEdit>& edits) {
  constexpr const char* kModes[] = {"set ", "add ", "set_if_absent ", "remove "};
  Lines lines;
  for (const HeaderEdit& edit : edits) {
    lines.push_back(kModes[static_cast<size_t>(edit.mode)] + edit.name);
  }
  return lines;
}

TEST_CASE("headers filter: all ways of writing an edit") {
  const HeaderEdits edits = read(R"(
request: {set: {X-Tenant: acme, Host: internal.test}, remove: [X-Debug]}
response:
  set:
    A: 1
    B: {value: x, mode: append}
    C: {value: x, mode: set_if_absent}
    D: {value: x, mode: override}
    E: {value: x}
  add: {F: $host}
  set_if_absent: {G: ""}
  remove: [Server, X-Powered-By]
)");
  CHECK(summary(edits.request) == Lines{"set X-Tenant", "set Host", "remove X-Debug"});
  CHECK(summary(edits.response) == Lines{"set A", "add B", "set_if_absent C", "set D", "set E",
                                         "add F", "set_if_absent G", "remove Server",
                                         "remove X-Powered-By"});
  CHECK(edits.response[0].value.is_constant());
  CHECK_FALSE(edits.response[5].value.is_constant());
}

TEST_CASE("headers filter: levels merge name by name, without regard to case") {
  const HeaderEdits outer = read("{request: {set: {A: 1, B: 1}}, response: {remove: [Server]}}");
  const HeaderEdits inner = read("{request: {remove: [b], add: {C: 1}}}");
  const HeaderEdits merged = merge(outer, inner);
  CHECK(summary(merged.request) == Lines{"set A", "add C", "remove b"});
  CHECK(summary(merged.response) == Lines{"remove Server"});
  CHECK(summary(merge(inner, outer).request) == Lines{"add C", "set A", "set B"});
}

TEST_CASE("headers filter: a level that adds nothing to nothing makes no filter") {
  options::Problems problems;
  const auto document = config::parse_yaml("{request: {}}", "weir.yaml", problems);
  const SettingsPtr settings = headers_read(*document->root, nullptr, {problems});
  CHECK(problems.ok());
  CHECK(settings->make() == nullptr);
  CHECK(headers_standard() == nullptr);
}

TEST_CASE("headers filter: an inner level keeps what its outer one does") {
  options::Problems problems;
  const auto outer = config::parse_yaml("{response: {set: {A: 1}}}", "weir.yaml", problems);
  const auto inner = config::parse_yaml("{}", "weir.yaml", problems);
  const SettingsPtr settings =
      headers_read(*inner->root, headers_read(*outer->root, nullptr, {problems}), {problems});
  REQUIRE(settings->make() != nullptr);
  CHECK(settings->make()->name() == "headers");
}

TEST_CASE("headers filter: names that weir manages itself are refused in every case") {
  const options::Node node;
  for (const char* name :
       {"Connection", "keep-alive", "PROXY-CONNECTION", "TE", "Trailer", "Transfer-Encoding",
        "Upgrade", "HTTP2-Settings", "Content-Length", "Host", "Expect", "Proxy",
        "Proxy-Authenticate", "proxy-authorization", "", "a b", "a:", "\xc3\xa4"}) {
    CAPTURE(name);
    options::Problems problems;
    CHECK_FALSE(check_header_name(node, name, problems));
    CHECK(problems.error_count() == 1);
  }
  for (const char* name : {"X-A", "Server", "Set-Cookie", "Cache-Control", "x_y", "Date"}) {
    CAPTURE(name);
    options::Problems problems;
    CHECK(check_header_name(node, name, problems));
    CHECK(check_filled_header_name(node, name, problems));
  }
  for (const char* name : {"X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host",
                           "X-Forwarded-Port", "X-Real-IP", "Forwarded"}) {
    CAPTURE(name);
    options::Problems problems;
    CHECK(check_header_name(node, name, problems));
    CHECK_FALSE(check_filled_header_name(node, name, problems));
    CHECK(problems.error_count() == 1);
  }
}

}  // namespace
}  // namespace weir::filters
