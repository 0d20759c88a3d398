#include "base/base64.h"

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace weir {
namespace {

std::string decoded(Base64 form, std::string_view text) {
  std::string out;
  return decode_base64(form, text, out) ? "<" + out + ">" : "refused";
}

TEST_CASE("base64: RFC 4648 10") {
  const std::vector<std::pair<std::string, std::string>> rows = {{"", ""},
                                                                 {"Zg==", "f"},
                                                                 {"Zm8=", "fo"},
                                                                 {"Zm9v", "foo"},
                                                                 {"Zm9vYg==", "foob"},
                                                                 {"Zm9vYmE=", "fooba"},
                                                                 {"Zm9vYmFy", "foobar"}};
  for (const auto& [encoded, plain] : rows) {
    CAPTURE(encoded);
    CHECK(decoded(Base64::kStandard, encoded) == "<" + plain + ">");
    const std::vector<uint8_t> bytes(plain.begin(), plain.end());
    std::string written(base64_encoded(bytes.size()), '?');
    encode_base64(bytes, written.data());
    CHECK(written == encoded);
    const std::string bare = encoded.substr(0, encoded.find('='));
    CHECK(decoded(Base64::kUrl, bare) == "<" + plain + ">");
    if (bare != encoded) {
      CHECK(decoded(Base64::kStandard, bare) == "refused");
      CHECK(decoded(Base64::kUrl, encoded) == "refused");
    }
  }
}

TEST_CASE("base64: each form has its own alphabet") {
  CHECK(decoded(Base64::kStandard, "+/+/") == "<\xfb\xff\xbf>");
  CHECK(decoded(Base64::kUrl, "-_-_") == "<\xfb\xff\xbf>");
  CHECK(decoded(Base64::kUrl, "+/+/") == "refused");
  CHECK(decoded(Base64::kStandard, "-_-_") == "refused");
}

TEST_CASE("base64: one text has one encoding") {
  CHECK(decoded(Base64::kUrl, "Zg") == "<f>");
  for (const char* text : {"Zh", "Zn", "Zm9", "Z", "Zm9vY", " Zg", "Zg ", "Z\ng", "Zm\xc3"}) {
    CAPTURE(text);
    CHECK(decoded(Base64::kUrl, text) == "refused");
  }
  for (const char* text : {"=", "==", "====", "Z===", "Zg=a", "Zg==Zg==", "Zh==", "Zm9v===="}) {
    CAPTURE(text);
    CHECK(decoded(Base64::kStandard, text) == "refused");
  }
}

TEST_CASE("base64: a wrong character is seen wherever it stands") {
  for (const std::string text : {"Zm9vYmFyZm9v", "Zm9vYmFyZm8", "Zm9vYmFyZg"}) {
    CHECK(decoded(Base64::kUrl, text) != "refused");
    for (size_t at = 0; at < text.size(); ++at) {
      std::string wrong = text;
      wrong[at] = '*';
      CAPTURE(wrong);
      CHECK(decoded(Base64::kUrl, wrong) == "refused");
    }
  }
}

TEST_CASE("base64: no more than there is room for") {
  std::array<char, 3> out = {};
  size_t size = 0;
  CHECK(decode_base64(Base64::kUrl, "Zm9v", std::span<char>(out), size));
  CHECK(size == 3);
  CHECK_FALSE(decode_base64(Base64::kUrl, "Zm9vYg", std::span<char>(out), size));
}

}  // namespace
}  // namespace weir
