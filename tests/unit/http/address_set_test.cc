// AddressSet against a list of blocks that is looked through; large ones; and, on demand, times.
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>

#include "http/forwarded.h"

namespace weir::http {
namespace {

struct Block {
  Address base;
  unsigned bits = 0;
};

bool in_block(const Block& block, const Address& address) {
  for (unsigned i = 0; i < block.bits; ++i) {
    const unsigned differing = block.base.bytes[i / 8] ^ address.bytes[i / 8];
    if ((differing >> (7 - i % 8) & 1) != 0) return false;
  }
  return true;
}

// Written as in a configuration.
std::string text_of(const Block& block) {
  char text[46];
  const size_t size = block.base.format(text);
  return std::string(text, size) + "/" +
         std::to_string(block.base.v4 ? block.bits - 96 : block.bits);
}

class Dice {
 public:
  explicit Dice(uint32_t seed) : random_(seed) {}
  unsigned below(unsigned end) {
    return std::uniform_int_distribution<unsigned>(0, end - 1)(random_);
  }

  // Few values of each byte, so that blocks meet, cover each other and share paths.
  Address address(bool v4, unsigned spread) {
    Address out;
    CHECK(Address::parse(v4 ? "0.0.0.0" : "2001:db8::", out));
    for (size_t i = v4 ? 12 : 1; i < sizeof(out.bytes); ++i) {
      out.bytes[i] = static_cast<uint8_t>(below(spread) * (256 / spread));
    }
    return out;
  }

  Block block(bool v4, unsigned spread) {
    const unsigned least = v4 ? 96 : 8;
    Block out = {address(v4, spread), least + below(128 - least + 1)};
    for (unsigned i = out.bits; i < 128; ++i) {
      out.base.bytes[i / 8] &= static_cast<uint8_t>(~(1u << (7 - i % 8)));
    }
    return out;
  }

 private:
  std::mt19937 random_;
};

TEST_CASE("address sets: random blocks answer as a list of them does", "[http][forwarded]") {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    Dice dice(seed);
    const unsigned spread = 2u << dice.below(8);  // 2 to 256
    std::vector<Block> blocks;
    AddressSet set;
    const unsigned count = 1 + dice.below(60);
    for (unsigned i = 0; i < count; ++i) {
      blocks.push_back(dice.block(dice.below(2) == 0, spread));
      REQUIRE(set.add(text_of(blocks.back())));
    }
    set.seal();
    for (int i = 0; i < 500; ++i) {
      // Anywhere, or at the very edge of a block.
      Address address = dice.address(dice.below(2) == 0, spread);
      if (dice.below(2) == 0) {
        const Block& near = blocks[dice.below(count)];
        address = near.base;
        const unsigned bit = dice.below(128);
        address.bytes[bit / 8] ^= static_cast<uint8_t>(1u << (7 - bit % 8));
      }
      bool expected = false;
      for (const Block& block : blocks) expected = expected || in_block(block, address);
      INFO("seed " << seed << ", look-up " << i);
      REQUIRE(set.contains(address) == expected);
    }
  }
}

TEST_CASE("address sets: every address, and none", "[http][forwarded]") {
  Address address;
  for (const char* text : {"0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1"}) {
    REQUIRE(Address::parse(text, address));
    CHECK_FALSE(AddressSet().contains(address));
    AddressSet all;
    REQUIRE(all.add("::/0"));
    REQUIRE(all.add("10.0.0.0/8"));
    all.seal();
    CHECK(all.contains(address));
    CHECK_FALSE(all.empty());
  }
}

struct Large {
  AddressSet set;
  std::vector<Address> inside;
};

Large large_set(unsigned count, unsigned v6_share, Dice& dice) {
  Large out;
  for (unsigned i = 0; i < count; ++i) {
    const bool v4 = dice.below(100) >= v6_share;
    Block block = dice.block(v4, 256);
    while (block.bits < (v4 ? 112u : 32u)) block = dice.block(v4, 256);
    CHECK(out.set.add(text_of(block)));
    out.inside.push_back(block.base);
  }
  out.set.seal();
  return out;
}

TEST_CASE("address sets: 100,000 blocks are all found and take little room", "[http][forwarded]") {
  Dice dice(7);
  const Large large = large_set(100'000, 20, dice);
  size_t found = 0;
  for (const Address& address : large.inside) found += large.set.contains(address) ? 1 : 0;
  CHECK(found == large.inside.size());
  CHECK(large.set.memory_bytes() < 24u << 20);
}

TEST_CASE("address sets: times of 100,000 blocks", "[.times]") {
  using Clock = std::chrono::steady_clock;
  Dice dice(7);
  for (const unsigned v6_share : {0u, 20u, 100u}) {
    const auto begin = Clock::now();
    const Large large = large_set(100'000, v6_share, dice);
    const auto built = Clock::now();
    std::vector<Address> asked;
    for (int i = 0; i < 1'000'000; ++i) {
      asked.push_back(dice.below(2) == 0 ? large.inside[dice.below(100'000)]
                                         : dice.address(dice.below(100) >= v6_share, 256));
    }
    const auto start = Clock::now();
    size_t found = 0;
    for (const Address& address : asked) found += large.set.contains(address) ? 1 : 0;
    const std::chrono::duration<double, std::nano> took = Clock::now() - start;
    const std::chrono::duration<double, std::milli> load = built - begin;
    std::printf(
        "%3u %% IPv6: built in %.0f ms (texts made and read included), %zu KiB, "
        "%.0f ns a look-up, %zu found\n",
        v6_share, load.count(), large.set.memory_bytes() >> 10,
        took.count() / static_cast<double>(asked.size()), found);
  }
}

}  // namespace
}  // namespace weir::http
