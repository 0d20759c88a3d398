#include "http/cache_control.h"

#include <catch2/catch.hpp>

#include <string>

#include "cache_support.h"

namespace weir::http {
namespace {

using test::Fields;
using test::Head;

constexpr uint32_t kUnsaid = CacheControl::kUnsaid;
constexpr uint32_t kMostS = CacheControl::kMostS;

CacheControl read(std::string_view line) {
  CacheControl control;
  control.add(line);
  return control;
}

uint32_t max_age(std::string_view line) { return read(line).max_age_s; }

CacheControl asked(const Fields& fields) { return request_directives(Head(fields).index()); }
CacheControl answered(const Fields& fields) { return answer_directives(Head(fields).index()); }

TEST_CASE("every directive", "[http][cache]") {
  const CacheControl none = read("");
  CHECK_FALSE((none.no_store || none.no_cache || none.no_transform || none.only_if_cached ||
               none.is_public || none.is_private || none.must_revalidate || none.proxy_revalidate ||
               none.must_understand || none.immutable || none.targeted));
  CHECK(none.max_age_s == kUnsaid);
  CHECK(none.s_maxage_s == kUnsaid);

  CHECK(read("no-store").no_store);
  CHECK(read("No-Cache").no_cache);
  CHECK(read("NO-TRANSFORM").no_transform);
  CHECK(read("only-if-cached").only_if_cached);
  CHECK(read("public").is_public);
  CHECK(read("private").is_private);
  CHECK(read("must-revalidate").must_revalidate);
  CHECK(read("proxy-revalidate").proxy_revalidate);
  CHECK(read("must-understand").must_understand);
  CHECK(read("immutable").immutable);
  CHECK(read("max-age=1").max_age_s == 1);
  CHECK(read("s-maxage=2").s_maxage_s == 2);
  CHECK(read("min-fresh=3").min_fresh_s == 3);
  CHECK(read("max-stale=4").max_stale_s == 4);
  CHECK(read("stale-while-revalidate=5").stale_while_revalidate_s == 5);
  CHECK(read("stale-if-error=6").stale_if_error_s == 6);

  const CacheControl all = read("public , max-age=60,,s-maxage=\"120\"\t,x=y, z=\"a,b\",immutable");
  CHECK(all.is_public);
  CHECK(all.max_age_s == 60);
  CHECK(all.s_maxage_s == 120);
  CHECK(all.immutable);
}

TEST_CASE("numbers of seconds", "[http][cache]") {
  CHECK(max_age("max-age=0") == 0);
  CHECK(max_age("max-age=003600") == 3600);
  CHECK(max_age("max-age=\"3600\"") == 3600);
  CHECK(max_age("max-age=2147483647") == 2147483647);
  CHECK(max_age("max-age=2147483648") == kMostS);
  CHECK(max_age("max-age=2147483649") == kMostS);
  CHECK(max_age("max-age=99999999999") == kMostS);
  CHECK(max_age("max-age=99999999999999999999999999") == kMostS);
}

TEST_CASE("numbers that are none make nothing fresh", "[http][cache]") {
  for (const char* line :
       {"max-age", "max-age=", "max-age=a3600", "max-age=3600a", "max-age=-1", "max-age=+1",
        "max-age=3600.0", "max-age='3600'", "max-age =3600", "max-age= 3600", "max-age=3600 s",
        "max-age=\"3600", "max-age=\"\"", "max-age=\"36\\00\"", "max-age=\"3600\"x",
        "max-age=1;s-maxage=2", "max-age:3600", "max-age=1=2", "max-age==1"}) {
    INFO(line);
    CHECK(max_age(line) == 0);
  }
}

TEST_CASE("of what contradicts itself the strictest counts", "[http][cache]") {
  CHECK(max_age("max-age=1800, max-age=1") == 1);
  CHECK(max_age("max-age=1, max-age=1800") == 1);
  CHECK(max_age("max-age=x, max-age=1800") == 0);
  CHECK(read("max-stale=5, max-stale").max_stale_s == 5);
  CHECK(read("max-stale, max-stale=5").max_stale_s == 5);
  CHECK(read("min-fresh=5, min-fresh=7, min-fresh=6").min_fresh_s == 7);
  CHECK(read("no-store, public").no_store);
  CacheControl two;
  two.add("max-age=1800");
  two.add("max-age=1, private");
  CHECK(two.max_age_s == 1);
  CHECK(two.is_private);
}

TEST_CASE("directives of requests", "[http][cache]") {
  CHECK(read("max-stale").max_stale_s == kMostS);
  CHECK(read("max-stale=x").max_stale_s == 0);
  CHECK(read("max-stale =5").max_stale_s == 0);
  CHECK(read("min-fresh=x").min_fresh_s == kUnsaid);
  CHECK(read("min-fresh").min_fresh_s == kUnsaid);
  CHECK(read("min-fresh=99999999999").min_fresh_s == kMostS);
}

TEST_CASE("no-cache and private of some fields", "[http][cache]") {
  CacheControl control = read("no-cache=\"Set-Cookie, X-User\", private=X-Token, max-age=5");
  CHECK_FALSE(control.no_cache);
  CHECK_FALSE(control.is_private);
  CHECK(lists_field(control.no_cache_fields, "set-cookie"));
  CHECK(lists_field(control.no_cache_fields, "x-user"));
  CHECK_FALSE(lists_field(control.no_cache_fields, "x"));
  CHECK(lists_field(control.private_fields, "x-token"));
  CHECK_FALSE(lists_field("", "x"));
  CHECK(control.max_age_s == 5);
  // With names and without: all of it.
  CHECK(read("private, private=\"a\"").is_private);
  CHECK(read("private=\"a\", private").is_private);
  // What cannot be read as names is about all of it.
  for (const char* line :
       {"private=\"\"", "private=\" \"", "private=", "private=\"a", "private =a",
        "private=\"a\\b\"", "private=\"a\"b", "private=\"a\", private=\"b\"", "private=a b"}) {
    INFO(line);
    CHECK(read(line).is_private);
  }
}

TEST_CASE("what stands in quotes is no directive", "[http][cache]") {
  CHECK(max_age("extension=\"max-age=3600\", max-age=1") == 1);
  CHECK(max_age("x=\"a, max-age=3600\"") == kUnsaid);
  CHECK(max_age("x=\"a\\\", max-age=3600\"") == kUnsaid);
  CHECK(max_age("\"x, max-age=3600\"") == kUnsaid);
  CHECK(max_age("x \"y, max-age=1\", max-age=2") == 2);
  // A quote that nothing closes hides nothing.
  CHECK(read("x=\"a, no-store").no_store);
  CHECK(read("x \"a, no-store").no_store);
  CHECK(read("\", no-store").no_store);
  CHECK(read("x=\"a\\\", no-store").no_store);
}

TEST_CASE("malformed members allow nothing", "[http][cache]") {
  CHECK_FALSE(read("public; max-age=5").is_public);
  CHECK_FALSE(read("must-understand x").must_understand);
  CHECK_FALSE(read("immutable=\"").immutable);
  CHECK(read("public; x, public").is_public);
  CHECK(read("no-store; x").no_store);
  CHECK(read("no-store=5").no_store);
  CHECK(read("must-revalidate junk").must_revalidate);
  CHECK(read("=, =x, @, (no-cache), no-store").no_store);
  CHECK_FALSE(read("xno-store, no-storex, no store").no_store);
}

TEST_CASE("a request's Cache-Control, or else Pragma", "[http][cache]") {
  CHECK_FALSE(asked({}).no_cache);
  CHECK(asked({{"Pragma", "no-cache"}}).no_cache);
  CHECK(asked({{"Pragma", "x, No-Cache"}}).no_cache);
  CHECK_FALSE(asked({{"Pragma", "no-cachex"}}).no_cache);
  CHECK_FALSE(asked({{"Pragma", "no-cache"}, {"Cache-Control", "max-age=5"}}).no_cache);
  CHECK(asked({{"Cache-Control", "max-age=5"}, {"Cache-Control", "no-cache"}}).no_cache);
}

TEST_CASE("an answer's Pragma says nothing", "[http][cache]") {
  CHECK_FALSE(answered({{"Pragma", "no-cache"}}).no_cache);
  CHECK(answered({{"Cache-Control", "a"}, {"Cache-Control", "no-cache"}}).no_cache);
}

TEST_CASE("CDN-Cache-Control stands for Cache-Control", "[http][cache]") {
  const auto with = [](std::string_view targeted) {
    return answered({{"Cache-Control", "no-store, max-age=7"}, {"CDN-Cache-Control", targeted}});
  };
  CHECK(with("max-age=60").targeted);
  CHECK(with("max-age=60").max_age_s == 60);
  CHECK_FALSE(with("max-age=60").no_store);
  CHECK(with("none").targeted);
  CHECK(with("none").max_age_s == kUnsaid);
  CHECK(with("private, no-cache").is_private);
  CHECK(with("private=\"x-a, x-b\"").private_fields == "x-a, x-b");
  CHECK_FALSE(with("private=?0").is_private);
  CHECK(with("max-age=999999999999999").max_age_s == kMostS);
  CHECK(with("max-age=60;x=1, foo=(1 2)").max_age_s == 60);
  // Wrong types are as strict as can be.
  CHECK(with("max-age=\"60\"").max_age_s == 0);
  CHECK(with("max-age=1.5").max_age_s == 0);
  CHECK(with("max-age=-1").max_age_s == 0);
  CHECK(with("max-age=sixty").max_age_s == 0);
  CHECK(with("max-age").max_age_s == 0);
  CHECK(with("no-store=1").no_store);
  CHECK(with("private=tok").is_private);
  CHECK_FALSE(with("public=1").is_public);
}

TEST_CASE("CDN-Cache-Control that is no dictionary, or empty, is not there", "[http][cache]") {
  for (const char* targeted :
       {"", " ", "max-age=60, &&&&&", "MaX-aGe=60", "max-age =60", "max-age= 60", "max-age=60,"}) {
    INFO(targeted);
    const CacheControl control =
        answered({{"Cache-Control", "no-store, max-age=7"}, {"CDN-Cache-Control", targeted}});
    CHECK_FALSE(control.targeted);
    CHECK(control.no_store);
    CHECK(control.max_age_s == 7);
  }
  CHECK_FALSE(answered({{"CDN-Cache-Control", "max-age=60"}, {"CDN-Cache-Control", "&"}}).targeted);
  const CacheControl two = answered({{"CDN-Cache-Control", "max-age=60"},
                                     {"CDN-Cache-Control", ""},
                                     {"CDN-Cache-Control", "s-maxage=5"}});
  CHECK(two.targeted);
  CHECK(two.max_age_s == 60);
  CHECK(two.s_maxage_s == 5);
}

}  // namespace
}  // namespace weir::http
