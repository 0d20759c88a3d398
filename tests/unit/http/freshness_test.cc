#include "http/freshness.h"

#include <catch2/catch.hpp>

#include <string>

#include "cache_support.h"
#include "http/date.h"

namespace weir::http {
namespace {

using test::Fields;
using test::Head;

constexpr int64_t kNowS = 1'764'219'600;
constexpr int64_t kNowMs = kNowS * 1000;
constexpr int64_t kSecond = 1000;
constexpr int64_t kDay = 24 * 3600 * kSecond;

// A date so many seconds from now.
std::string date(int64_t after_s) {
  char text[kDateChars];
  format_date(kNowS + after_s, text);
  return {text, sizeof text};
}

struct Case {
  Fields answer = {};
  CachePolicy policy = {};
  Asked asked = {};
  int status = 200;
  int64_t delay_ms = 0;
};

Lifetime lifetime(const Case& about) {
  const Head head(about.answer);
  const CacheFields fields = head.index();
  return lifetime_of(about.policy, about.asked, {about.status, fields, answer_directives(fields)},
                     fields, kNowMs - about.delay_ms, kNowMs);
}

Lifetime with(std::string_view directives, const CachePolicy& policy = {}) {
  return lifetime({.answer = {{"Cache-Control", directives}}, .policy = policy});
}

int64_t fresh_ms(const Fields& answer) { return lifetime({.answer = answer}).fresh_ms; }
int64_t age_ms(const Fields& answer, int64_t delay_ms = 0) {
  return lifetime({.answer = answer, .delay_ms = delay_ms}).initial_age_ms;
}

// What a request with these directives gets so many seconds after `stored` came.
Usable used(const Lifetime& stored, double after_s, std::string_view directives = "",
            const CachePolicy& policy = {}) {
  Asked asked;
  asked.says.add(directives);
  return may_use(policy, asked, stored, kNowMs + static_cast<int64_t>(after_s * 1000));
}

TEST_CASE("the freshness lifetime, by precedence", "[http][cache]") {
  const std::string date0 = date(0);
  const std::string in30 = date(30);
  const Fields all = {
      {"Cache-Control", "max-age=20, s-maxage=10"}, {"Expires", in30}, {"Date", date0}};
  CHECK(fresh_ms(all) == 10 * kSecond);
  CHECK(lifetime({.answer = all}).by == LifetimeBy::kSMaxage);
  const Fields two = {{"Cache-Control", "max-age=20"}, {"Expires", in30}, {"Date", date0}};
  CHECK(fresh_ms(two) == 20 * kSecond);
  CHECK(lifetime({.answer = two}).by == LifetimeBy::kMaxAge);
  const Fields one = {{"Expires", in30}, {"Date", date0}};
  CHECK(fresh_ms(one) == 30 * kSecond);
  CHECK(lifetime({.answer = one}).by == LifetimeBy::kExpires);
  CHECK(fresh_ms({}) == 0);
  CHECK(lifetime({}).by == LifetimeBy::kNothing);
  CHECK(fresh_ms({{"Cache-Control", "max-age=0"}, {"Expires", in30}}) == 0);
  CHECK(fresh_ms({{"Cache-Control", "s-maxage=0, max-age=20"}}) == 0);
  CHECK(with("max-age=99999999999").fresh_ms == (int64_t{1} << 31) * kSecond);
}

TEST_CASE("Expires", "[http][cache]") {
  const std::string past = date(-60);
  const std::string in30 = date(30);
  const std::string in90 = date(90);
  CHECK(fresh_ms({{"Expires", in30}}) == 30 * kSecond);  // from when it came
  CHECK(fresh_ms({{"Expires", in30}, {"Date", past}}) == 90 * kSecond);
  CHECK(fresh_ms({{"Expires", in30}, {"Date", "x"}}) == 30 * kSecond);
  CHECK(fresh_ms({{"Expires", past}, {"Date", in30}}) == 0);
  CHECK(fresh_ms({{"Expires", in90}, {"Expires", in30}}) == 30 * kSecond);
  CHECK(fresh_ms({{"Expires", in30}, {"Expires", in90}}) == 30 * kSecond);
  for (const char* text :
       {"0", "-1", "", "never", "Thu, 18 Aug 2050 02:01:18 UTC", "Thu, 18 Aug 2050 2:01:18 GMT"}) {
    CHECK(fresh_ms({{"Expires", text}}) == 0);
    CHECK(fresh_ms({{"Expires", in30}, {"Expires", text}}) == 0);
    CHECK(lifetime({.answer = {{"Expires", text}}, .policy = {.ttl_ms = 5000}}).fresh_ms == 0);
  }
}

TEST_CASE("CDN-Cache-Control stands for Expires too", "[http][cache]") {
  const std::string past = date(-60);
  const std::string later = date(60);
  CHECK(fresh_ms({{"CDN-Cache-Control", "max-age=5"}, {"Expires", past}}) == 5 * kSecond);
  CHECK(fresh_ms({{"CDN-Cache-Control", "none"}, {"Expires", later}}) == 0);
  CHECK(fresh_ms({{"CDN-Cache-Control", "none"}, {"Cache-Control", "max-age=9"}}) == 0);
}

TEST_CASE("heuristics", "[http][cache]") {
  const std::string hour_ago = date(-3600);
  const std::string year_ago = date(-365 * 24 * 3600);
  const std::string later = date(60);
  const auto by = [](std::string_view changed, int status, bool query, CachePolicy policy) {
    Asked asked;
    asked.has_query = query;
    return lifetime({.answer = {{"Last-Modified", changed}},
                     .policy = policy,
                     .asked = asked,
                     .status = status});
  };
  CHECK(by(hour_ago, 200, false, {}).fresh_ms == 360 * kSecond);
  CHECK(by(hour_ago, 200, false, {}).by == LifetimeBy::kHeuristic);
  CHECK(by(year_ago, 200, false, {}).fresh_ms == kDay);
  CHECK(by(later, 200, false, {}).fresh_ms == 0);
  CHECK(by("x", 200, false, {}).fresh_ms == 0);
  CHECK(by(hour_ago, 404, false, {}).fresh_ms == 360 * kSecond);
  CHECK(by(hour_ago, 302, false, {}).fresh_ms == 0);
  CHECK(by(hour_ago, 200, true, {}).fresh_ms == 0);
  CHECK(by(hour_ago, 200, true, {.heuristics_with_query = true}).fresh_ms == 360 * kSecond);
  // Never where the answer says something itself, and for other statuses where it is public.
  CHECK(fresh_ms({{"Last-Modified", year_ago}, {"Cache-Control", "max-age=1"}}) == kSecond);
  CHECK(lifetime(
            {.answer = {{"Last-Modified", hour_ago}, {"Cache-Control", "public"}}, .status = 302})
            .fresh_ms == 360 * kSecond);
}

TEST_CASE("a route's ttl for answers that say nothing", "[http][cache]") {
  const std::string hour_ago = date(-3600);
  const CachePolicy policy = {.ttl_ms = 1500, .error_ttl_ms = 500};
  CHECK(lifetime({.policy = policy}).fresh_ms == 1500);
  CHECK(lifetime({.policy = policy}).by == LifetimeBy::kTtl);
  CHECK(lifetime({.answer = {{"Last-Modified", hour_ago}}, .policy = policy}).fresh_ms == 1500);
  CHECK(lifetime({.policy = policy, .status = 404}).fresh_ms == 500);
  CHECK(lifetime({.policy = {.ttl_ms = 1500}, .status = 404}).fresh_ms == 0);
  CHECK(lifetime({.policy = policy, .status = 302}).fresh_ms == 0);
  CHECK(with("max-age=9", policy).fresh_ms == 9 * kSecond);
  CHECK(with("max-age=0", policy).fresh_ms == 0);
  CHECK(with("public", policy).fresh_ms == 1500);
  Asked asked;
  asked.has_query = true;
  CHECK(lifetime({.policy = policy, .asked = asked}).fresh_ms == 1500);
}

TEST_CASE("the age of what has come", "[http][cache]") {
  CHECK(age_ms({}) == 0);
  CHECK(age_ms({{"Age", "7"}}) == 7 * kSecond);
  CHECK(age_ms({{"Age", "7"}}, 250) == 7250);
  CHECK(age_ms({}, 250) == 250);
  CHECK(age_ms({}, -250) == 0);  // the clock was set back meanwhile
  const std::string minute_ago = date(-60);
  const std::string second_ago = date(-1);
  const std::string later = date(60);
  CHECK(age_ms({{"Date", minute_ago}}) == 60 * kSecond);
  CHECK(age_ms({{"Date", minute_ago}, {"Age", "90"}}) == 90 * kSecond);
  CHECK(age_ms({{"Date", minute_ago}, {"Age", "30"}}, 250) == 60 * kSecond);
  CHECK(age_ms({{"Date", later}}) == 0);
  CHECK(age_ms({{"Date", later}, {"Age", "30"}}) == 30 * kSecond);
  CHECK(age_ms({{"Date", second_ago}}) == 0);
  CHECK(age_ms({{"Date", minute_ago}, {"Date", minute_ago}}) == 0);
}

TEST_CASE("Age that is none, or several", "[http][cache]") {
  for (const char* text : {"", "abc", "-7200", "7200.0", "7200;a=b", "7200 s", "+1", ",5"}) {
    CHECK(age_ms({{"Age", text}}) == 0);
  }
  CHECK(age_ms({{"Age", "7200,0"}}) == 7200 * kSecond);
  CHECK(age_ms({{"Age", "0, 7200"}}) == 0);
  CHECK(age_ms({{"Age", "5"}, {"Age", "9"}}) == 5 * kSecond);
  CHECK(age_ms({{"Age", "99999999999999999999999"}}) == (int64_t{1} << 31) * kSecond);
}

TEST_CASE("age grows with the clock and never against it", "[http][cache]") {
  const Lifetime stored = lifetime({.answer = {{"Age", "7"}}});
  CHECK(stored.age_ms(kNowMs) == 7 * kSecond);
  CHECK(stored.age_ms(kNowMs + 1999) == 8999);
  CHECK(stored.age_s(kNowMs + 1999) == 8);
  CHECK(stored.age_ms(kNowMs - 5000) == 7 * kSecond);
}

TEST_CASE("a 304's own Age and Date count from then on", "[http][cache]") {
  const std::string hour_ago = date(-3600);
  const std::string now = date(0);
  const Head stored({{"Cache-Control", "max-age=60"}, {"Date", hour_ago}});
  const Head news({{"Date", now}, {"Age", "3"}});
  const CacheFields fields = stored.index();
  const Lifetime lifetime = lifetime_of({}, {}, {200, fields, answer_directives(fields)},
                                        news.index(), kNowMs - 100, kNowMs);
  CHECK(lifetime.initial_age_ms == 3100);
  CHECK(lifetime.fresh_ms == 60 * kSecond);
}

TEST_CASE("fresh to the millisecond", "[http][cache]") {
  const Lifetime stored = with("max-age=1");
  CHECK(used(stored, 0) == Usable::kFresh);
  CHECK(used(stored, 0.999) == Usable::kFresh);
  CHECK(used(stored, 1.0) == Usable::kMustValidate);
  CHECK(used(with("max-age=0"), 0) == Usable::kMustValidate);
  const Lifetime ttl = lifetime({.policy = {.ttl_ms = 1000}});
  CHECK(used(ttl, 0.5) == Usable::kFresh);
  CHECK(used(ttl, 1.2) == Usable::kMustValidate);
}

TEST_CASE("no-cache of an answer", "[http][cache]") {
  const CachePolicy policy = {.stale_while_revalidate_ms = 9000, .stale_if_error_ms = 9000};
  const Lifetime stored = with("no-cache, max-age=60, stale-if-error=60", policy);
  CHECK(used(stored, 0, "", policy) == Usable::kMustValidate);
  CHECK(used(stored, 0, "max-stale", policy) == Usable::kMustValidate);
  CHECK(used(with("no-cache=\"x\", max-age=60"), 0) == Usable::kFresh);
}

TEST_CASE("stale-while-revalidate and stale-if-error", "[http][cache]") {
  const Lifetime stored = with("max-age=10, stale-while-revalidate=5, stale-if-error=20");
  CHECK(used(stored, 9.9) == Usable::kFresh);
  CHECK(used(stored, 10) == Usable::kWhileRevalidating);
  CHECK(used(stored, 14.9) == Usable::kWhileRevalidating);
  CHECK(used(stored, 15) == Usable::kOnErrorOnly);
  CHECK(used(stored, 29.9) == Usable::kOnErrorOnly);
  CHECK(used(stored, 30) == Usable::kMustValidate);
  // A route's own, where the answer is silent.
  const CachePolicy policy = {.stale_while_revalidate_ms = 2000, .stale_if_error_ms = 3000};
  CHECK(used(with("max-age=10", policy), 11.9) == Usable::kWhileRevalidating);
  CHECK(used(with("max-age=10", policy), 12) == Usable::kOnErrorOnly);
  CHECK(used(with("max-age=10", policy), 13) == Usable::kMustValidate);
  CHECK(used(with("max-age=10, stale-while-revalidate=0", policy), 11) == Usable::kOnErrorOnly);
  CHECK(used(with("max-age=10, stale-while-revalidate=x", policy), 11) == Usable::kOnErrorOnly);
}

TEST_CASE("what forbids stale answers", "[http][cache]") {
  const CachePolicy policy = {.stale_while_revalidate_ms = 9000, .stale_if_error_ms = 9000};
  for (const char* directive : {"must-revalidate", "proxy-revalidate", "s-maxage=10"}) {
    INFO(directive);
    const Lifetime stored = with("max-age=10, " + std::string(directive), policy);
    CHECK(used(stored, 9, "", policy) == Usable::kFresh);
    CHECK(used(stored, 11, "", policy) == Usable::kMustValidate);
    CHECK(used(stored, 11, "max-stale", policy) == Usable::kMustValidate);
    CHECK(used(stored, 11, "stale-if-error=60", policy) == Usable::kMustValidate);
  }
  const char* own = ", stale-while-revalidate=5, stale-if-error=20";
  CHECK(used(with("max-age=10, must-revalidate" + std::string(own)), 11) == Usable::kMustValidate);
  CHECK(used(with("s-maxage=10" + std::string(own)), 11) == Usable::kWhileRevalidating);
  CHECK(used(with("s-maxage=10" + std::string(own)), 16) == Usable::kOnErrorOnly);
}

TEST_CASE("a request's max-age", "[http][cache]") {
  const Lifetime stored = lifetime({.answer = {{"Cache-Control", "max-age=100"}, {"Age", "20"}}});
  CHECK(used(stored, 0, "max-age=20") == Usable::kFresh);
  CHECK(used(stored, 0.001, "max-age=20") == Usable::kOnErrorOnly);
  CHECK(used(stored, 0, "max-age=0") == Usable::kOnErrorOnly);
  CHECK(used(stored, 0, "max-age=x") == Usable::kOnErrorOnly);
  CHECK(used(stored, 0, "max-age=10, max-stale=5") == Usable::kOnErrorOnly);
  CHECK(used(stored, 0, "max-age=10, max-stale=10") == Usable::kFresh);
  CHECK(used(stored, 0, "max-age=10, max-stale") == Usable::kFresh);
  CHECK(used(stored, 85, "max-age=10") == Usable::kMustValidate);
}

TEST_CASE("a request's min-fresh and max-stale", "[http][cache]") {
  const Lifetime stored = with("max-age=100, stale-while-revalidate=10");
  CHECK(used(stored, 90, "min-fresh=10") == Usable::kFresh);
  CHECK(used(stored, 90.001, "min-fresh=10") == Usable::kOnErrorOnly);
  CHECK(used(stored, 105, "min-fresh=0") == Usable::kMustValidate);
  CHECK(used(stored, 115) == Usable::kMustValidate);
  CHECK(used(stored, 115, "max-stale=15") == Usable::kWhileRevalidating);
  CHECK(used(stored, 115, "max-stale=14") == Usable::kMustValidate);
  CHECK(used(stored, 1e6, "max-stale") == Usable::kWhileRevalidating);
  CHECK(used(stored, 115, "max-stale=x") == Usable::kMustValidate);
  CHECK(used(stored, 115, "stale-if-error=16") == Usable::kOnErrorOnly);
}

TEST_CASE("a request's no-cache", "[http][cache]") {
  const Lifetime stored = with("max-age=100, stale-if-error=100");
  CHECK(used(stored, 0, "no-cache") == Usable::kMustValidate);
  CHECK(used(stored, 0, "no-store") == Usable::kFresh);  // it is about what will be kept
  CHECK(used(stored, 0, "only-if-cached") == Usable::kFresh);
}

TEST_CASE("who may be given what others were told", "[http][cache]") {
  const auto given = [](std::string_view directives, Authorized authorized) {
    const CachePolicy policy = {.authorized = authorized};
    Asked asked;
    asked.authorized = true;
    return may_use(policy, asked, with(directives, policy), kNowMs);
  };
  CHECK(given("max-age=9", Authorized::kWhereAllowed) == Usable::kNot);
  CHECK(given("max-age=9, public", Authorized::kWhereAllowed) == Usable::kFresh);
  CHECK(given("max-age=9, must-revalidate", Authorized::kWhereAllowed) == Usable::kFresh);
  CHECK(given("s-maxage=9", Authorized::kWhereAllowed) == Usable::kFresh);
  CHECK(given("max-age=9, public", Authorized::kNever) == Usable::kNot);
  CHECK(given("max-age=9", Authorized::kKeyed) == Usable::kFresh);
}

TEST_CASE("what is not worth keeping", "[http][cache]") {
  Validators tagged;
  tagged.tag = read_entity_tag("\"a\"");
  Validators dated;
  dated.last_modified_s = 0;
  CHECK_FALSE(is_worth_keeping(with(""), {}));
  CHECK(is_worth_keeping(with(""), tagged));
  CHECK(is_worth_keeping(with(""), dated));
  CHECK(is_worth_keeping(with("max-age=1"), {}));
  CHECK(is_worth_keeping(with("max-age=0, stale-if-error=5"), {}));
  CHECK_FALSE(is_worth_keeping(with("max-age=9, no-cache"), {}));
  CHECK_FALSE(
      is_worth_keeping(lifetime({.answer = {{"Cache-Control", "max-age=9"}, {"Age", "9"}}}), {}));
}

}  // namespace
}  // namespace weir::http
