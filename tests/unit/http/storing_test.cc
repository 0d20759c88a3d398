#include <catch2/catch.hpp>

#include <string>

#include "base/strings.h"
#include "cache_support.h"
#include "http/freshness.h"

namespace weir::http {
namespace {

using test::Fields;
using test::Head;

struct Case {
  Fields answer = {};
  int status = 200;
  Fields request = {};
  Method method = Method::kGet;
};

Asked asked_by(const Case& about, const CachePolicy& policy) {
  BlockPool pool;
  Arena arena(pool);
  RequestHead head(arena);
  head.method = about.method;
  const Head request(about.request);
  Asked asked = what_is_asked(policy, head, request.index());
  return asked;
}

Storable stored(const Case& about, const CachePolicy& policy = {}) {
  const Asked asked = asked_by(about, policy);
  const Head answer(about.answer);
  const CacheFields fields = answer.index();
  return may_store(policy, asked, {about.status, fields, answer_directives(fields)});
}

Storable stored_with(std::string_view cache_control, int status = 200) {
  return stored({.answer = {{"Cache-Control", cache_control}}, .status = status});
}

const Fields kLogin = {{"Authorization", "Basic eDp5"}};

TEST_CASE("what is asked", "[http][cache]") {
  BlockPool pool;
  Arena arena(pool);
  RequestHead head(arena);
  head.method = Method::kHead;
  head.query = "a=1";
  head.headers.add("Authorization", "x");
  head.headers.add("Cache-Control", "no-cache");
  const CacheFields fields(head.headers);
  const Asked asked = what_is_asked({}, head, fields);
  CHECK(asked.method == Method::kHead);
  CHECK(asked.has_query);
  CHECK(asked.authorized);
  CHECK(asked.says.no_cache);
  CHECK_FALSE(what_is_asked({.obey_requests = false}, head, fields).says.no_cache);
}

TEST_CASE("only answers to GET are kept", "[http][cache]") {
  const Fields fresh = {{"Cache-Control", "max-age=60"}};
  CHECK(stored({.answer = fresh}) == Storable::kYes);
  for (const Method method : {Method::kHead, Method::kPost, Method::kPut, Method::kDelete,
                              Method::kOptions, Method::kPatch, Method::kOther}) {
    CHECK(stored({.answer = fresh, .method = method}) == Storable::kMethod);
  }
}

TEST_CASE("statuses", "[http][cache]") {
  for (const int status : {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}) {
    CHECK(stored({.status = status}) == Storable::kYes);
    CHECK(is_heuristically_cacheable(status));
  }
  for (const int status : {201, 202, 302, 303, 307, 400, 401, 403, 418, 500, 502, 503, 299, 599}) {
    CHECK(stored({.status = status}) == Storable::kSilent);
    CHECK(stored_with("max-age=5", status) == Storable::kYes);
    CHECK(stored_with("s-maxage=5", status) == Storable::kYes);
    CHECK(stored_with("public", status) == Storable::kYes);
    CHECK(stored({.answer = {{"Expires", "x"}}, .status = status}) == Storable::kYes);
  }
  CHECK(stored_with("max-age=5", 206) == Storable::kPartial);
  for (const int status : {100, 101, 103, 304, 412, 416, 417, 425, 428, 431}) {
    CHECK(stored_with("max-age=5", status) == Storable::kStatus);
  }
}

TEST_CASE("no-store and private", "[http][cache]") {
  CHECK(stored_with("no-store, max-age=5") == Storable::kNoStore);
  CHECK(stored_with("private, max-age=5") == Storable::kPrivate);
  CHECK(stored_with("private=\"X-User\", max-age=5") == Storable::kYes);
  CHECK(stored_with("no-cache") == Storable::kYes);
  CHECK(stored({.request = {{"Cache-Control", "no-store"}}}) == Storable::kRequest);
  CHECK(stored({.request = {{"Cache-Control", "no-store"}}}, {.obey_requests = false}) ==
        Storable::kYes);
  CHECK(stored({.request = {{"Cache-Control", "no-cache"}}}) == Storable::kYes);
}

TEST_CASE("must-understand", "[http][cache]") {
  CHECK(stored_with("must-understand, no-store, max-age=5") == Storable::kYes);
  CHECK(stored_with("must-understand, max-age=5", 404) == Storable::kYes);
  CHECK(stored_with("must-understand, max-age=5", 299) == Storable::kNotUnderstood);
  CHECK(stored_with("must-understand, no-store, max-age=5", 599) == Storable::kNotUnderstood);
  CHECK(stored_with("must-understand, private, max-age=5") == Storable::kPrivate);
}

TEST_CASE("Authorization", "[http][cache]") {
  const auto with = [](std::string_view directives, Authorized policy) {
    return stored({.answer = {{"Cache-Control", directives}}, .request = kLogin},
                  {.authorized = policy});
  };
  CHECK(with("max-age=5", Authorized::kWhereAllowed) == Storable::kAuthorization);
  CHECK(with("max-age=5, public", Authorized::kWhereAllowed) == Storable::kYes);
  CHECK(with("max-age=5, must-revalidate", Authorized::kWhereAllowed) == Storable::kYes);
  CHECK(with("s-maxage=5", Authorized::kWhereAllowed) == Storable::kYes);
  CHECK(with("max-age=5, proxy-revalidate", Authorized::kWhereAllowed) == Storable::kAuthorization);
  CHECK(with("max-age=5, public", Authorized::kNever) == Storable::kAuthorization);
  CHECK(with("max-age=5", Authorized::kKeyed) == Storable::kYes);
  CHECK(with("private, max-age=5", Authorized::kKeyed) == Storable::kPrivate);
}

TEST_CASE("Set-Cookie", "[http][cache]") {
  const auto with = [](std::string_view directives, bool allowed) {
    return stored({.answer = {{"Cache-Control", directives}, {"Set-Cookie", "a=b"}}},
                  {.store_set_cookie = allowed});
  };
  CHECK(with("max-age=5", false) == Storable::kSetCookie);
  CHECK(with("public, max-age=5", false) == Storable::kSetCookie);
  CHECK(with("public, max-age=5", true) == Storable::kYes);
  CHECK(with("s-maxage=5", true) == Storable::kYes);
  CHECK(with("max-age=5", true) == Storable::kSetCookie);
  CHECK(with("max-age=5, no-cache=\"Set-Cookie\"", false) == Storable::kYes);
  CHECK(with("max-age=5, private=\"set-cookie, x\"", false) == Storable::kYes);
}

TEST_CASE("Vary that nothing matches is not kept", "[http][cache]") {
  CHECK(stored({.answer = {{"Vary", "Accept, *"}}}) == Storable::kVary);
  CHECK(stored({.answer = {{"Vary", "Accept"}, {"Vary", "Origin"}}}) == Storable::kYes);
}

TEST_CASE("CDN-Cache-Control decides alone", "[http][cache]") {
  CHECK(stored({.answer = {{"Cache-Control", "no-store"}, {"CDN-Cache-Control", "max-age=5"}}}) ==
        Storable::kYes);
  CHECK(stored({.answer = {{"Cache-Control", "max-age=5"}, {"CDN-Cache-Control", "no-store"}}}) ==
        Storable::kNoStore);
  CHECK(stored({.answer = {{"Expires", "x"}, {"CDN-Cache-Control", "none"}}, .status = 302}) ==
        Storable::kSilent);
}

TEST_CASE("every reason has a word of its own", "[http][cache]") {
  std::string words;
  for (int i = 0; i <= static_cast<int>(Storable::kSilent); ++i) {
    const std::string word = " " + std::string(word_of(static_cast<Storable>(i))) + " ";
    CHECK(word.size() > 2);
    CHECK(words.find(word) == std::string::npos);
    words += word;
  }
}

TEST_CASE("what of a head is kept", "[http][cache]") {
  Head head({{"Connection", "close, X-Hop"},
             {"Keep-Alive", "timeout=5"},
             {"Proxy-Authenticate", "x"},
             {"Proxy-Authentication-Info", "x"},
             {"Transfer-Encoding", "chunked"},
             {"Age", "5"},
             {"Set-Cookie", "a=b"},
             {"X-Hop", "1"},
             {"X-User", "2"},
             {"X-Token", "3"},
             {"Content-Type", "text/plain"},
             {"ETag", "\"a\""}});
  CacheControl says;
  says.add("private=\"x-user\", no-cache=\"x-token\"");
  const auto kept = [&](const CachePolicy& policy) {
    std::string names;
    for (const Header& field : head.list()) {
      if (is_kept(policy, field, head.list(), says)) {
        names += std::string(field.name) + " ";
      }
    }
    return names;
  };
  CHECK(kept({}) == "Content-Type ETag ");
  CHECK(kept({.store_set_cookie = true}) == "Set-Cookie Content-Type ETag ");
}

}  // namespace
}  // namespace weir::http
