// upstreams.NAME.retry: what it becomes, and what is wrong with it.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "language.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;
using upstream::RetryConfig;

LoadResult load(std::string_view keys) {
  test::World world;
  return world.load(
      "listeners: {l: {address: \"127.0.0.1:0\"}}\n"
      "upstreams: {a: {servers: [{address: \"127.0.0.1:1\"}],\n" +
      std::string(keys) + "}}\nsites: [{hosts: [a], routes: [{path: /, upstream: a}]}]\n");
}

RetryConfig retry_of(std::string_view keys) {
  const LoadResult result = load(keys);
  CHECK(result.errors == Lines{});
  REQUIRE(result.ok());
  return result.snapshot->clusters[0]->retry;
}

TEST_CASE("config: a retry section without a key changes nothing but the budget") {
  const RetryConfig none = retry_of("");
  const RetryConfig empty = retry_of("retry: {}");
  CHECK_FALSE(none.budgeted);
  CHECK(empty.budgeted);
  CHECK(empty.budget == Approx(0.2));
  CHECK(empty.attempts == none.attempts);
  CHECK(empty.reasons == none.reasons);
  CHECK(empty.statuses.none());
  CHECK(empty.methods == none.methods);
  CHECK(empty.body_bytes == UINT64_MAX);
}

TEST_CASE("config: all of retry") {
  const RetryConfig all = retry_of(
      "retry: {attempts: 5, on: [timeout, 429, 503], budget: 5%, methods: [GET, POST],\n"
      "        body: 1MiB, backoff: 0s}");
  CHECK(all.attempts == 5);
  CHECK(all.reasons == RetryConfig::kTimeout);
  CHECK(all.statuses.count() == 2);
  CHECK(all.lists(429));
  CHECK(all.lists(503));
  CHECK(all.budget == Approx(0.05));
  CHECK(http::method_list(all.methods) == "GET, HEAD, POST");
  CHECK(all.body_bytes == 1 << 20);
  CHECK(all.backoff_ms == 0);
}

TEST_CASE("config: hedge, which costs of the budget") {
  const auto cluster_of = [](std::string_view keys) {
    const LoadResult result = load(keys);
    CHECK(result.errors == Lines{});
    REQUIRE(result.ok());
    return result.snapshot->clusters[0];
  };
  CHECK_FALSE(cluster_of("")->hedge.on);
  CHECK(cluster_of("hedge: {after: 50ms}")->hedge.on);
  CHECK(cluster_of("hedge: {after: 50ms}")->hedge.after_ms == 50);
  CHECK(cluster_of("hedge: {after: 50ms}")->retry.budgeted);
  CHECK(cluster_of("hedge: {after: p95, max: 1}")->hedge.on);
  CHECK(cluster_of("hedge: {after: p95}")->hedge.after_ms == 0);
  CHECK_FALSE(cluster_of("hedge: {after: p95, max: 0}")->hedge.on);
  CHECK_FALSE(cluster_of("hedge: {after: p95, max: 0}")->retry.budgeted);
}

TEST_CASE("config warnings: retry and hedge that do nothing") {
  const auto warnings_of = [](std::string_view keys) {
    const LoadResult result = load(keys);
    REQUIRE(result.ok());
    return result.warnings;
  };
  for (const char* keys :
       {"retry: {backoff: 100ms}", "hedge: {after: 50ms}, retry: {methods: [PUT]}",
        "hedge: {after: 2s}, timeouts: {read: 2s}"}) {
    CAPTURE(keys);
    CHECK(warnings_of(keys).size() == 1);
  }
  for (const char* keys :
       {"retry: {backoff: 100ms, attempts: 3}", "hedge: {after: p95}, timeouts: {read: 1ms}",
        "hedge: {after: 50ms}, retry: {methods: [GET]}",
        "hedge: {after: 2s, max: 0}, timeouts: {read: 1s}"}) {
    CAPTURE(keys);
    CHECK(warnings_of(keys) == Lines{});
  }
}

TEST_CASE("config errors: hedge") {
  for (const char* keys : {"hedge: {}", "hedge: {after: p99}", "hedge: {after: 0ms}",
                           "hedge: {after: 61s}", "hedge: {after: p95, max: 2}", "hedge: [p95]"}) {
    CAPTURE(keys);
    const Lines lines = load(keys).errors;
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].find("upstreams.a.hedge") != std::string::npos);
  }
}

TEST_CASE("config errors: retry") {
  const auto errors = [](std::string_view keys) {
    Lines lines = load(keys).errors;
    for (std::string& line : lines) {
      const std::string_view place = ": upstreams.a.retry";
      line = line.substr(line.find(place) + place.size());
    }
    return lines;
  };
  CHECK(errors("retry: {attempts: 11, on: [connect, 503, \"503\"], budget: 20}") ==
        Lines{".attempts: \"11\" is out of range; allowed: 1 to 10",
              ".on[2]: \"503\" is listed twice",
              ".budget: \"20\" is not a percentage; a number and %, as in 50%"});
  const std::string hint =
      " is no reason to try again; connect, reset, timeout or a status from 400 to 599";
  CHECK(errors("retry: {on: [conect, 399, 5xx]}") ==
        Lines{".on[0]: \"conect\"" + hint, ".on[1]: \"399\"" + hint, ".on[2]: \"5xx\"" + hint});
  CHECK(errors("retry: {on: [], methods: []}") ==
        Lines{".on: is empty; for no retries write attempts: 1",
              ".methods: is empty; leave it out for all that may be repeated"});
  CHECK(errors("retry: {methods: [GET, TRACE], body: 17MiB, backoff: 11s, tries: 2}").size() == 4);
}

}  // namespace
}  // namespace weir::config
