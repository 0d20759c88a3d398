#include "proxy/purge_order.h"

#include <catch2/catch.hpp>

#include <string>

namespace weir::proxy {
namespace {

using What = PurgeOrder::What;

std::string error_of(What what, const std::string& text) {
  const Result<PurgeOrder> order = make_order(what, text, false);
  return order.ok() ? "" : order.error();
}

TEST_CASE("orders are checked before anything is done") {
  CHECK(error_of(What::kUrl, "https://a.test/x?b=1&a=2").empty());
  CHECK(error_of(What::kPrefix, "http://a.test").empty());
  CHECK(error_of(What::kTag, "product:42").empty());
  CHECK(error_of(What::kAll, "").empty());
  CHECK(error_of(What::kUrl, "/x") == "a URL is absolute, as in https://example.com/path");
  CHECK(error_of(What::kPrefix, "a.test/") ==
        "a prefix is absolute, as in https://example.com/path");
  CHECK(error_of(What::kUrl, "") == "a URL is empty");
  CHECK(error_of(What::kTag, "") == "a tag is empty");
  CHECK(error_of(What::kAll, "x") == "all takes no text");
  for (const char* text : {"a b", "a\n", "\tb", "a\x7f"}) {
    CHECK(error_of(What::kTag, text).find("no blanks") != std::string::npos);
  }
  CHECK(error_of(What::kUrl, "http://a.test/x\nh:x=1:a").find("no blanks") != std::string::npos);
  const std::string longest(PurgeOrder::kTextBytesMax, 't');
  CHECK(error_of(What::kTag, longest).empty());
  CHECK(error_of(What::kTag, longest + "t").find("longer than 8192") != std::string::npos);
}

TEST_CASE("orders go over the wire and come back") {
  const PurgeOrder orders[] = {{What::kUrl, "https://a.test/x?y", true},
                               {What::kPrefix, "https://a.test/x", false},
                               {What::kTag, "a", true},
                               {What::kAll, "", false},
                               {What::kAll, "", true}};
  for (const PurgeOrder& order : orders) {
    INFO(text_of_order(order));
    CHECK(order_of_text(text_of_order(order)) == order);
  }
  CHECK(text_of_order(orders[0]) == "us https://a.test/x?y");
  CHECK(text_of_order(orders[3]) == "ah");
}

TEST_CASE("what is no order is refused") {
  for (const char* text : {"", "u", "us", "us ", "zs x", "ux https://a.test/", "uhhttps://a.test/",
                           "uh /x", "ah x", "th a b"}) {
    INFO(text);
    CHECK_FALSE(order_of_text(text));
  }
}

}  // namespace
}  // namespace weir::proxy
