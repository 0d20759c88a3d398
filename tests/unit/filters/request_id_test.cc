#include "filters/request_id.h"

#include <catch2/catch.hpp>

namespace weir::filters {
namespace {

TEST_CASE("request_id filter: ids that are taken over from a client") {
  for (const char* id : {"a", "0", "abc-DEF_1.2", "...", "123e4567-e89b-42d3-a456-426614174000"}) {
    CAPTURE(id);
    CHECK(is_acceptable_request_id(id));
  }
  CHECK(is_acceptable_request_id(std::string(128, 'x')));
  CHECK_FALSE(is_acceptable_request_id(std::string(129, 'x')));
  CHECK_FALSE(is_acceptable_request_id(std::string(10'000, 'x')));
  for (const char* id :
       {"", " ", "a b", "a\r\nX: y", "a,b", "a\"", "\xc3\xa4", "a;b", "a=b", "{}"}) {
    CAPTURE(id);
    CHECK_FALSE(is_acceptable_request_id(id));
  }
  CHECK_FALSE(is_acceptable_request_id(std::string_view("a\0b", 3)));
}

TEST_CASE("request_id filter: it is on by default") {
  const SettingsPtr settings = request_id_standard();
  REQUIRE(settings != nullptr);
  CHECK(settings->make()->name() == "request_id");
}

TEST_CASE("request_id filter: the registry names it first") {
  REQUIRE(registry().size() >= 2);
  CHECK(registry()[0].key == "request_id");
  CHECK(registry()[1].key == "compression");
}

}  // namespace
}  // namespace weir::filters
