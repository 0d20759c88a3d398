// When keys are fetched, and by whom.
#include "filters/auth/key_source.h"

#include <catch2/catch.hpp>

#include "base/limits.h"

namespace weir::filters::auth {
namespace {

using Need = KeySource::Need;
using Turn = KeySource::Turn;

constexpr uint64_t kRefreshMs = 600'000;

std::shared_ptr<const KeySet> some_keys() { return std::make_shared<const KeySet>(); }

TEST_CASE("key source: one fetches, and others wait only while there is nothing") {
  KeySource source;
  CHECK(source.ask(Need::kFresh, 1000) == Turn::kFetch);
  CHECK(source.ask(Need::kFresh, 1000) == Turn::kWait);
  CHECK(source.ask(Need::kNewKid, 1000) == Turn::kWait);
  source.fetched(some_keys(), "a", 2000, kRefreshMs);
  CHECK(source.ask(Need::kFresh, 2000) == Turn::kGoOn);
  CHECK(source.ask(Need::kFresh, 2000 + kRefreshMs - 1) == Turn::kGoOn);
  CHECK(source.ask(Need::kFresh, 2000 + kRefreshMs) == Turn::kFetch);
  CHECK(source.ask(Need::kFresh, 2000 + kRefreshMs) == Turn::kGoOn);
  CHECK(source.ask(Need::kNewKid, 2000 + kRefreshMs) == Turn::kWait);
}

TEST_CASE("key source: a new kid is asked about once per half a minute") {
  KeySource source;
  REQUIRE(source.ask(Need::kFresh, 1000) == Turn::kFetch);
  source.fetched(some_keys(), "a", 1000, kRefreshMs);
  CHECK(source.ask(Need::kNewKid, 1000) == Turn::kFetch);
  source.fetched(some_keys(), "b", 1100, kRefreshMs);
  CHECK(source.ask(Need::kNewKid, 999 + limits::kJwksAgainMs) == Turn::kGoOn);
  CHECK(source.ask(Need::kNewKid, 1000 + limits::kJwksAgainMs) == Turn::kFetch);
}

TEST_CASE("key source: what fails is tried again, sooner where there are no keys") {
  KeySource source;
  REQUIRE(source.ask(Need::kFresh, 1000) == Turn::kFetch);
  source.failed(1000);
  CHECK(source.ask(Need::kFresh, 999 + limits::kJwksFirstAgainMs) == Turn::kGoOn);
  const uint64_t second = 1000 + limits::kJwksFirstAgainMs;
  REQUIRE(source.ask(Need::kFresh, second) == Turn::kFetch);
  source.fetched(some_keys(), "a", second, 0);
  REQUIRE(source.ask(Need::kFresh, second) == Turn::kFetch);
  source.failed(second);
  CHECK(source.ring().keys() != nullptr);
  CHECK(source.ask(Need::kFresh, second + limits::kJwksAgainMs - 1) == Turn::kGoOn);
  CHECK(source.ask(Need::kFresh, second + limits::kJwksAgainMs) == Turn::kFetch);
}

TEST_CASE("key source: who leaves is followed by the next, but not as often as clients leave") {
  KeySource source;
  REQUIRE(source.ask(Need::kFresh, 1000) == Turn::kFetch);
  source.left(Need::kFresh, 1000);
  REQUIRE(source.ask(Need::kFresh, 1000) == Turn::kFetch);
  source.fetched(some_keys(), "a", 1000, 0);
  REQUIRE(source.ask(Need::kNewKid, 1000) == Turn::kFetch);
  source.left(Need::kNewKid, 1000);
  CHECK(source.ask(Need::kNewKid, 1000) == Turn::kGoOn);
  CHECK(source.ask(Need::kNewKid, 1000 + limits::kJwksFirstAgainMs) == Turn::kFetch);
  source.left(Need::kNewKid, 3000);
  REQUIRE(source.ask(Need::kFresh, 3000) == Turn::kFetch);
  source.left(Need::kFresh, 3000);
  CHECK(source.ask(Need::kFresh, 3000) == Turn::kGoOn);
}

TEST_CASE("key source: a place has one, as long as somebody has it") {
  const auto first = KeySource::of("a");
  CHECK(KeySource::of("a") == first);
  CHECK(KeySource::of("b") != first);
}

}  // namespace
}  // namespace weir::filters::auth
