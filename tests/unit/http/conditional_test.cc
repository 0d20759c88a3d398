#include "http/conditional.h"

#include <catch2/catch.hpp>

#include <string_view>

#include "cache_support.h"

namespace weir::http {
namespace {

constexpr int64_t kNow = 1'764'219'600;
constexpr std::string_view kEarlier = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view kChanged = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kLater = "Sun, 06 Nov 1994 08:49:38 GMT";

using test::Fields;
using test::Head;

Precondition checked(const Fields& request, const Fields& answer, Method method = Method::kGet,
                     Evaluator evaluator = Evaluator::kOrigin) {
  const Head asked(request);
  const Head selected(answer);
  const Validators validators = validators_of(selected.index(), kNow);
  return check_preconditions(evaluator, method, asked.index(), &validators, kNow);
}

Precondition checked_without(const Fields& request, Method method) {
  const Head asked(request);
  return check_preconditions(Evaluator::kOrigin, method, asked.index(), nullptr, kNow);
}

bool range_holds(std::string_view if_range, const Fields& answer) {
  const Head asked(Fields{{"If-Range", if_range}});
  const Head selected(answer);
  return if_range_holds(asked.index(), validators_of(selected.index(), kNow), kNow);
}

const Fields kTagged = {{"ETag", "\"a\""}, {"Last-Modified", kChanged}, {"Date", kLater}};
const Fields kWeak = {{"ETag", "W/\"a\""}};
const Fields kBare;

constexpr Precondition kGo = Precondition::kProceed;
constexpr Precondition kSame = Precondition::kNotModified;
constexpr Precondition kFail = Precondition::kFailed;

TEST_CASE("nothing is asked", "[http][cache]") {
  CHECK(checked({}, kTagged) == kGo);
  CHECK(checked({}, kTagged, Method::kPut) == kGo);
  CHECK(checked_without({}, Method::kGet) == kGo);
}

TEST_CASE("If-None-Match", "[http][cache]") {
  for (const Method method : {Method::kGet, Method::kHead}) {
    CHECK(checked({{"If-None-Match", "\"a\""}}, kTagged, method) == kSame);
    CHECK(checked({{"If-None-Match", "W/\"x\", \"y\""}}, kTagged, method) == kGo);
    CHECK(checked({{"If-None-Match", "W/\"a\", \"y\""}}, kTagged, method) == kSame);
    CHECK(checked({{"If-None-Match", "\"a\""}}, kWeak, method) == kSame);
    CHECK(checked({{"If-None-Match", "*"}}, kBare, method) == kSame);
    CHECK(checked({{"If-None-Match", "\"a\""}}, kBare, method) == kGo);
    CHECK(checked({{"If-None-Match", "a"}}, {{"ETag", "a"}}, method) == kGo);
    CHECK(checked({{"If-None-Match", "\"y\""}, {"If-None-Match", "\"a\""}}, kTagged, method) ==
          kSame);
  }
  CHECK(checked({{"If-None-Match", "\"a\""}}, kTagged, Method::kPut) == kFail);
  CHECK(checked({{"If-None-Match", "*"}}, kBare, Method::kPut) == kFail);
  CHECK(checked({{"If-None-Match", "\"b\""}}, kTagged, Method::kDelete) == kGo);
  CHECK(checked_without({{"If-None-Match", "*"}}, Method::kPut) == kGo);
  CHECK(checked_without({{"If-None-Match", "*"}}, Method::kGet) == kGo);
}

TEST_CASE("two ETag fields are none", "[http][cache]") {
  const Fields two = {{"ETag", "\"a\""}, {"ETag", "\"a\""}};
  CHECK(checked({{"If-None-Match", "\"a\""}}, two) == kGo);
}

TEST_CASE("If-Modified-Since", "[http][cache]") {
  CHECK(checked({{"If-Modified-Since", kEarlier}}, kTagged) == kGo);
  CHECK(checked({{"If-Modified-Since", kChanged}}, kTagged) == kSame);
  CHECK(checked({{"If-Modified-Since", kLater}}, kTagged, Method::kHead) == kSame);
  CHECK(checked({{"If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT"}}, kTagged) == kSame);
  CHECK(checked({{"If-Modified-Since", "Sun Nov  6 08:49:37 1994"}}, kTagged) == kSame);
  CHECK(checked({{"If-Modified-Since", "yesterday"}}, kTagged) == kGo);
  CHECK(checked({{"If-Modified-Since", kLater}, {"If-Modified-Since", kLater}}, kTagged) == kGo);
  CHECK(checked({{"If-Modified-Since", kLater}}, kTagged, Method::kPost) == kGo);
  CHECK(checked({{"If-Modified-Since", kLater}}, kWeak) == kGo);
  CHECK(checked_without({{"If-Modified-Since", kLater}}, Method::kGet) == kGo);
}

TEST_CASE("If-None-Match overrides If-Modified-Since", "[http][cache]") {
  CHECK(checked({{"If-None-Match", "\"b\""}, {"If-Modified-Since", kLater}}, kTagged) == kGo);
  CHECK(checked({{"If-None-Match", "\"a\""}, {"If-Modified-Since", kEarlier}}, kTagged) == kSame);
}

TEST_CASE("If-Match", "[http][cache]") {
  for (const Method method : {Method::kGet, Method::kPut, Method::kDelete}) {
    CHECK(checked({{"If-Match", "\"a\""}}, kTagged, method) == kGo);
    CHECK(checked({{"If-Match", "\"b\", \"a\""}}, kTagged, method) == kGo);
    CHECK(checked({{"If-Match", "W/\"a\""}}, kTagged, method) == kFail);
    CHECK(checked({{"If-Match", "\"a\""}}, kWeak, method) == kFail);
    CHECK(checked({{"If-Match", "*"}}, kBare, method) == kGo);
    CHECK(checked_without({{"If-Match", "*"}}, method) == kFail);
    CHECK(checked_without({{"If-Match", "\"a\""}}, method) == kFail);
  }
}

TEST_CASE("If-Unmodified-Since", "[http][cache]") {
  CHECK(checked({{"If-Unmodified-Since", kEarlier}}, kTagged, Method::kPut) == kFail);
  CHECK(checked({{"If-Unmodified-Since", kChanged}}, kTagged, Method::kPut) == kGo);
  CHECK(checked({{"If-Unmodified-Since", kEarlier}}, kTagged) == kFail);
  CHECK(checked({{"If-Unmodified-Since", "x"}}, kTagged, Method::kPut) == kGo);
  CHECK(checked({{"If-Unmodified-Since", kEarlier}}, kBare, Method::kPut) == kGo);
  CHECK(checked_without({{"If-Unmodified-Since", kEarlier}}, Method::kPut) == kGo);
  CHECK(checked({{"If-Match", "\"a\""}, {"If-Unmodified-Since", kEarlier}}, kTagged) == kGo);
}

TEST_CASE("the order of preconditions", "[http][cache]") {
  CHECK(checked({{"If-Match", "\"b\""}, {"If-None-Match", "\"a\""}}, kTagged) == kFail);
  CHECK(checked({{"If-Match", "\"a\""}, {"If-None-Match", "\"a\""}}, kTagged) == kSame);
  CHECK(checked({{"If-Unmodified-Since", kChanged}, {"If-Modified-Since", kChanged}}, kTagged) ==
        kSame);
}

TEST_CASE("methods without a representation have no preconditions", "[http][cache]") {
  for (const Method method : {Method::kConnect, Method::kOptions, Method::kTrace}) {
    CHECK(checked({{"If-Match", "\"b\""}, {"If-None-Match", "*"}}, kTagged, method) == kGo);
  }
}

TEST_CASE("a cache leaves to the origin what is the origin's", "[http][cache]") {
  const Fields request = {{"If-Match", "\"b\""}, {"If-Unmodified-Since", kEarlier}};
  CHECK(checked(request, kTagged, Method::kGet, Evaluator::kCache) == kGo);
  CHECK(is_for_origin(Head(request).index()));
  CHECK(is_for_origin(Head(Fields{{"If-Unmodified-Since", kEarlier}}).index()));
  CHECK_FALSE(is_for_origin(Head(Fields{{"If-None-Match", "*"}}).index()));
}

TEST_CASE("a cache takes Date where there is no Last-Modified", "[http][cache]") {
  const Fields dated = {{"Date", kChanged}};
  const Fields request = {{"If-Modified-Since", kChanged}};
  CHECK(checked(request, dated, Method::kGet, Evaluator::kCache) == kSame);
  CHECK(checked(request, dated, Method::kGet, Evaluator::kOrigin) == kGo);
  CHECK(checked({{"If-Modified-Since", kEarlier}}, dated, Method::kGet, Evaluator::kCache) == kGo);
  CHECK(checked(request, kBare, Method::kGet, Evaluator::kCache) == kGo);
}

TEST_CASE("If-Range", "[http][cache]") {
  CHECK(if_range_holds(Head(kBare).index(), Validators(), kNow));
  CHECK(range_holds("\"a\"", kTagged));
  CHECK_FALSE(range_holds("\"b\"", kTagged));
  CHECK_FALSE(range_holds("W/\"a\"", kTagged));
  CHECK_FALSE(range_holds("\"a\"", kWeak));
  CHECK_FALSE(range_holds("\"a\", \"b\"", kTagged));
  CHECK_FALSE(range_holds("*", kTagged));
  CHECK_FALSE(range_holds("", kTagged));
  CHECK(range_holds(kChanged, kTagged));
  CHECK_FALSE(range_holds(kLater, kTagged));
  CHECK_FALSE(range_holds(kEarlier, kTagged));
  // Within a second of the answer the content may have changed once more.
  CHECK_FALSE(range_holds(kChanged, {{"Last-Modified", kChanged}, {"Date", kChanged}}));
  CHECK_FALSE(range_holds(kChanged, {{"Last-Modified", kChanged}}));
  CHECK_FALSE(range_holds(kChanged, kBare));
}

}  // namespace
}  // namespace weir::http
