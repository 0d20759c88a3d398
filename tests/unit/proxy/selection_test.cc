// What a request is to get of an answer that is at hand: for an origin and for a cache.
#include "proxy/selection.h"

#include <catch2/catch.hpp>
#include <initializer_list>
#include <string>
#include <utility>

namespace weir::proxy {
namespace {

constexpr int64_t kNowS = 1'700'000'000;
constexpr const char* kModified = "Sun, 13 Sep 2020 12:26:40 GMT";
constexpr const char* kBefore = "Sat, 12 Sep 2020 12:26:40 GMT";

using Fields = std::initializer_list<std::pair<const char*, const char*>>;

class Judge {
 public:
  Judge() {
    answer_.add("Content-Type", "text/plain");
    answer_.add("ETag", "\"a\"");
    answer_.add("Last-Modified", kModified);
  }
  Selection operator()(Fields asked, http::Evaluator evaluator = http::Evaluator::kOrigin,
                       http::Method method = http::Method::kGet, uint64_t length_bytes = 10,
                       int status = 200) {
    http::HeaderList request(arena_);
    for (const auto& [name, value] : asked) request.add(name, value);
    Selection selection(status);
    selection.judge(evaluator, method, http::CacheFields(request), answer_, length_bytes, kNowS);
    return selection;
  }

 private:
  BlockPool pool_;
  Arena arena_{pool_};
  http::HeaderList answer_{arena_};
};

constexpr http::Evaluator kCache = http::Evaluator::kCache;
constexpr http::Evaluator kOrigin = http::Evaluator::kOrigin;

TEST_CASE("selection: preconditions") {
  Judge judge;
  CHECK(judge({}).status() == 200);
  CHECK(judge({{"If-None-Match", "\"a\""}}).status() == 304);
  CHECK(judge({{"If-None-Match", "\"b\""}}).status() == 200);
  CHECK(judge({{"If-Modified-Since", kModified}}).status() == 304);
  CHECK(judge({{"If-Match", "\"b\""}}).status() == 412);
  CHECK(judge({{"If-Match", "\"a\""}}).status() == 200);
  CHECK(judge({{"If-Unmodified-Since", kBefore}}).status() == 412);
  // A cache leaves these to the origin.
  CHECK(judge({{"If-Match", "\"b\""}}, kCache).status() == 200);
  CHECK(judge({{"If-Unmodified-Since", kBefore}}, kCache).status() == 200);
  // Only of a 200.
  CHECK(judge({{"If-None-Match", "*"}}, kOrigin, http::Method::kGet, 10, 404).status() == 404);
}

TEST_CASE("selection: ranges") {
  Judge judge;
  Selection one = judge({{"Range", "bytes=2-4"}});
  CHECK(one.status() == 206);
  http::MultipartPiece part;
  REQUIRE(one.next_part(part));
  CHECK(part.is_slice);
  CHECK(part.slice == http::ByteRange{2, 4});
  CHECK_FALSE(one.next_part(part));
  CHECK(judge({{"Range", "bytes=10-"}}).status() == 416);
  CHECK(judge({{"Range", "lines=1-2"}}).status() == 200);
  CHECK(judge({{"Range", "bytes=2-4"}, {"Range", "bytes=5-6"}}).status() == 200);
  CHECK(judge({{"Range", "bytes=2-4"}}, kOrigin, http::Method::kHead).status() == 200);
  CHECK(
      judge({{"Range", "bytes=2-4"}}, kOrigin, http::Method::kGet, Selection::kUnknown).status() ==
      200);
  CHECK(judge({{"Range", "bytes=2-4"}, {"If-None-Match", "\"a\""}}).status() == 304);
}

TEST_CASE("selection: If-Range") {
  Judge judge;
  CHECK(judge({{"Range", "bytes=2-4"}, {"If-Range", "\"a\""}}).status() == 206);
  CHECK(judge({{"Range", "bytes=2-4"}, {"If-Range", "\"b\""}}).status() == 200);
  CHECK(judge({{"Range", "bytes=2-4"}, {"If-Range", "W/\"a\""}}).status() == 200);
  CHECK(judge({{"Range", "bytes=2-4"}, {"If-Range", kModified}}).status() == 206);
  CHECK(judge({{"Range", "bytes=2-4"}, {"If-Range", kBefore}}).status() == 200);
  // Of a stored answer without a Date nobody knows whether its time is a strong validator.
  CHECK(judge({{"Range", "bytes=2-4"}, {"If-Range", kModified}}, kCache).status() == 200);
}

}  // namespace
}  // namespace weir::proxy
