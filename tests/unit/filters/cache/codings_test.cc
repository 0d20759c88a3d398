#include "filters/cache/codings.h"

#include <catch2/catch.hpp>
#include <string>

#include "support.h"

namespace weir::filters::cache {
namespace {

const StoreOptions kOptions = {.memory_bytes = 8 << 20, .max_object_bytes = 1 << 20, .shards = 1};

struct Answered {
  explicit Answered(const std::string& plain) : body(plain) { REQUIRE(put(store, "k", body)); }

  Reader present() {
    By by;
    Reader reader = store.find("k", by).reader;
    REQUIRE(reader);
    return reader;
  }
  Turned turn(Reader& reader) {
    made.clear();
    return turn_to({store, reader, "k"}, reader, Encoding::kBr, made, length);
  }

  Store store{kOptions};
  std::string body;
  std::string made;
  uint64_t length = 0;
};

TEST_CASE("cache codings: made once, and found by who has an older answer") {
  Answered answered(std::string(5000, 'x'));
  Reader older = answered.present();
  Reader reader = answered.present();
  CHECK(answered.turn(reader) == Turned::kCoded);
  CHECK(answered.made.size() == answered.length);
  CHECK(answered.length < 100);
  CHECK_FALSE(older.has(Encoding::kBr));
  Reader now = answered.present();
  REQUIRE(now.has(Encoding::kBr));
  CHECK(share_body(older, now));
  CHECK(answered.turn(now) == Turned::kCoded);
  CHECK(answered.made.empty());
  CHECK(now.encoding() == Encoding::kBr);
  REQUIRE(put(answered.store, "k", answered.body));
  CHECK_FALSE(share_body(older, answered.present()));
}

TEST_CASE("cache codings: what gets no smaller has a mark and stays plain") {
  for (const std::string body : {"0123456789", "x"}) {
    Answered answered(body);
    Reader reader = answered.present();
    CHECK(answered.turn(reader) == Turned::kPlain);
    CHECK(reader.encoding() == Encoding::kIdentity);
    CHECK(answered.made.empty());
    Reader again = answered.present();
    REQUIRE(again.has(Encoding::kBr));  // it is not tried again
    CHECK(answered.turn(again) == Turned::kPlain);
    CHECK(again.encoding() == Encoding::kIdentity);
    CHECK(rest_of(again) == body);
  }
}

}  // namespace
}  // namespace weir::filters::cache
