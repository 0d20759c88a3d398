#include "filters/cache/tier_value.h"

#include <catch2/catch.hpp>

#include <string>

#include "base/arena.h"
#include "http/conditional.h"

namespace weir::filters::cache {
namespace {

TierValue example() {
  TierValue value;
  value.mark = {1'700'000'000'123, 42, "0123abcd.7"};
  value.key = "https://example.com/a?b=1\nv=3:app";
  value.vary = "accept-language";
  value.secondary = std::string_view("accept-language\0de", 18);
  value.tags = "one two";
  value.fields = "Content-Type:text/plain\nETag:\"1\"\n";
  value.lifetime.received_ms = 1'700'000'000'200;
  value.lifetime.initial_age_ms = 5'000;
  value.lifetime.fresh_ms = 60'000;
  value.lifetime.stale_while_revalidate_ms = 10;
  value.lifetime.stale_if_error_ms = 20;
  value.lifetime.by = http::LifetimeBy::kMaxAge;
  value.lifetime.never_stale = true;
  value.lifetime.immutable = true;
  value.status = 200;
  value.etag_made = true;
  return value;
}

// The body comes in pieces of that size.
std::string write(const TierValue& value, std::string_view body, size_t piece) {
  std::string text = write_tier_value(value, body.size());
  TierChecksum checksum;
  checksum.put(text);
  for (size_t at = 0; at < body.size(); at += piece) {
    checksum.put(body.substr(at, piece));
    text += body.substr(at, piece);
  }
  return text + tier_checksum_text(checksum.end());
}

TEST_CASE("a value of the second tier comes back as it went") {
  const std::string body = "what the server said, in some bytes";
  const std::string text = write(example(), body, body.size());
  for (const size_t piece : {1, 3, 8, 13}) CHECK(write(example(), body, piece) == text);
  const std::optional<TierValue> back = read_tier_value(text);
  REQUIRE(back);
  const TierValue value = example();
  CHECK(back->mark.asked_ms == value.mark.asked_ms);
  CHECK(back->mark.number == 42);
  CHECK(back->mark.name == "0123abcd.7");
  CHECK(back->key == value.key);
  CHECK(back->vary == value.vary);
  CHECK(back->secondary == value.secondary);
  CHECK(back->tags == value.tags);
  CHECK(back->fields == value.fields);
  CHECK(back->body == body);
  CHECK(back->lifetime.received_ms == value.lifetime.received_ms);
  CHECK(back->lifetime.initial_age_ms == 5'000);
  CHECK(back->lifetime.fresh_ms == 60'000);
  CHECK(back->lifetime.stale_while_revalidate_ms == 10);
  CHECK(back->lifetime.stale_if_error_ms == 20);
  CHECK(back->lifetime.by == http::LifetimeBy::kMaxAge);
  CHECK(back->lifetime.never_stale);
  CHECK(back->lifetime.immutable);
  CHECK_FALSE(back->lifetime.always_validate);
  CHECK_FALSE(back->lifetime.for_authorized);
  CHECK(back->status == 200);
  CHECK(back->etag_made);
}

TEST_CASE("a value of nothing but a status") {
  TierValue value;
  value.mark = {1, 1, "n"};
  value.status = 204;
  const std::string text = write(value, "", 1);
  REQUIRE(read_tier_value(text));
  CHECK(read_tier_value(text)->body.empty());
}

TEST_CASE("a broken value is none: cut anywhere, with any bit another one, with more behind it") {
  const std::string text = write(example(), "body of some bytes", 100);
  REQUIRE(read_tier_value(text));
  for (size_t size = 0; size < text.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(read_tier_value(text.substr(0, size)));
  }
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string other = text;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    CAPTURE(bit);
    CHECK_FALSE(read_tier_value(other));
  }
  CHECK_FALSE(read_tier_value(text + "x"));
}

// With a checksum that is right.
std::string signed_text(std::string text) {
  TierChecksum checksum;
  checksum.put(text);
  return text + tier_checksum_text(checksum.end());
}

TEST_CASE("what no weir writes is no value, though its checksum is right") {
  const std::string body = "body";
  const auto reads = [&](const TierValue& value) {
    return read_tier_value(write(value, body, 4)).has_value();
  };
  TierValue value = example();
  REQUIRE(reads(value));
  for (const uint16_t status : {0, 101, 199, 206, 304, 600, 65535}) {
    value.status = status;
    CHECK_FALSE(reads(value));
  }
  value = example();
  value.lifetime.fresh_ms = -1;
  CHECK_FALSE(reads(value));
  value.lifetime.fresh_ms = INT64_MAX;
  CHECK_FALSE(reads(value));
  value = example();
  value.lifetime.by = static_cast<http::LifetimeBy>(17);
  CHECK_FALSE(reads(value));
  value = example();
  value.mark.name = "";
  CHECK_FALSE(reads(value));

  const std::string good = write_tier_value(example(), body.size()) + body;
  REQUIRE(read_tier_value(signed_text(good)));
  CHECK_FALSE(read_tier_value(signed_text("weir2 " + good.substr(6))));  // another version
  CHECK_FALSE(read_tier_value(signed_text("weir1 x" + good.substr(6))));
  CHECK_FALSE(read_tier_value(signed_text(good + "x")));
  CHECK_FALSE(read_tier_value(signed_text(good.substr(0, good.size() - 1))));
  CHECK_FALSE(read_tier_value("garbage"));
  CHECK_FALSE(read_tier_value(""));
}

bool reads_fields(std::string_view text) {
  BlockPool blocks;
  Arena arena(blocks);
  http::HeaderList fields(arena);
  return read_tier_fields(text, fields);
}

TEST_CASE("fields of a value come back, and only such as may reach a client") {
  BlockPool blocks;
  Arena arena(blocks);
  http::HeaderList fields(arena);
  fields.add("Content-Type", "text/plain; a=b:c");
  fields.add("X-Empty", "");
  http::HeaderList back(arena);
  const std::string text = tier_fields_text(fields);
  REQUIRE(read_tier_fields(text, back));
  REQUIRE(back.size() == 2);
  CHECK(back.begin()[0].id == http::HeaderId::kContentType);
  CHECK(back.begin()[0].value == "text/plain; a=b:c");
  CHECK(back.begin()[1].value.empty());

  CHECK(reads_fields(""));
  for (const char* const bad :
       {"A:b", "A\n", ":b\n", "A b:c\n", "A:b\rB:c\n", "Connection:close\n",
        "Transfer-Encoding:x\n", "Set-Cookie:a=b\n", "Age:1\n", "A:b\n\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(reads_fields(bad));
  }
  CHECK_FALSE(reads_fields({"A:\0\n", 4}));
  std::string many;
  for (int i = 0; i < 1025; ++i) many += "A:b\n";
  CHECK_FALSE(reads_fields(many));
}

}  // namespace
}  // namespace weir::filters::cache
