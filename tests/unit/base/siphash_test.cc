#include "base/siphash.h"

#include <catch2/catch.hpp>
#include <string>

namespace weir {
namespace {

// vectors_sip128 of the reference implementation: the key is 00 01 ... 0f, the text 00 01 ...
TEST_CASE("siphash: the reference's vectors") {
  const SipKey key(0x0706050403020100, 0x0f0e0d0c0b0a0908);
  std::string text;
  for (char c = 0; c < 63; ++c) text += c;
  const struct {
    size_t size;
    Hash128 hash;
  } rows[] = {{0, {0xe6a825ba047f81a3, 0x930255c71472f66d}},
              {1, {0x44af996bd8c187da, 0x45fc229b11597634}},
              {7, {0x53c1dbd8beebf1a1, 0x3982f01fa64ab8c0}},
              {8, {0x61f55862baa9623b, 0xb49714f364e2830f}},
              {15, {0x11a8b03399e99354, 0xd9c3cf970fec087e}},
              {63, {0x4a83502f77d15051, 0x7cbd3f979a063e50}}};
  for (const auto& row : rows) {
    CAPTURE(row.size);
    CHECK(key.hash(std::string_view(text).substr(0, row.size)) == row.hash);
  }
}

TEST_CASE("siphash: another key is another hash") {
  const SipKey a = SipKey::random();
  const SipKey b = SipKey::random();
  CHECK(a.hash("x") == a.hash("x"));
  CHECK_FALSE(a.hash("x") == b.hash("x"));
  CHECK_FALSE(a.hash("x") == a.hash(std::string_view("x\0", 2)));
  CHECK(SipKey(Hash128{1, 2}).hash("x") == SipKey(1, 2).hash("x"));
}

}  // namespace
}  // namespace weir
