#include "base/rng.h"

#include <array>
#include <catch2/catch.hpp>
#include <set>
#include <string>

namespace weir {
namespace {

TEST_CASE("UUIDs are of version 4, and all else in them is random") {
  RandomPool random;
  std::array<std::set<char>, 36> seen;
  std::set<std::string> around_variant;  // it and the digit behind it
  for (int i = 0; i < 2000; ++i) {
    std::string uuid(36, '?');
    format_uuid4(random, uuid.data());
    CAPTURE(uuid);
    REQUIRE(uuid.find_first_not_of("0123456789abcdef-") == std::string::npos);
    for (size_t at = 0; at < uuid.size(); ++at) {
      REQUIRE((uuid[at] == '-') == (at == 8 || at == 13 || at == 18 || at == 23));
      seen[at].insert(uuid[at]);
    }
    around_variant.insert(uuid.substr(19, 2));
  }
  for (size_t at = 0; at < seen.size(); ++at) {
    CAPTURE(at);
    if (at == 14) {
      CHECK(seen[at] == std::set<char>{'4'});
    } else if (at == 19) {
      CHECK(seen[at] == std::set<char>{'8', '9', 'a', 'b'});
    } else {
      CHECK(seen[at].size() == (at == 8 || at == 13 || at == 18 || at == 23 ? 1 : 16));
    }
  }
  CHECK(around_variant.size() == 4 * 16);
}

}  // namespace
}  // namespace weir
