#include "base/siphash.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/rng.h"

namespace weir {

namespace {

static_assert(std::endian::native == std::endian::little);

struct State {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  void take(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }

  uint64_t finish(uint64_t mark, uint64_t& into) {
    into ^= mark;
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

SipKey SipKey::random() {
  RandomPool pool;
  std::array<uint8_t, 16> bytes;
  pool.fill(bytes.data(), bytes.size());
  Hash128 key;
  std::memcpy(&key.low, bytes.data(), sizeof(key.low));
  std::memcpy(&key.high, bytes.data() + sizeof(key.low), sizeof(key.high));
  return SipKey(key);
}

Hash128 SipKey::hash(std::string_view text) const {
  State state = {k0_ ^ 0x736f6d6570736575, k1_ ^ 0x646f72616e646f6d ^ 0xee,
                 k0_ ^ 0x6c7967656e657261, k1_ ^ 0x7465646279746573};
  const char* at = text.data();
  uint64_t word = 0;
  for (size_t left = text.size() / sizeof(word); left > 0; --left, at += sizeof(word)) {
    std::memcpy(&word, at, sizeof(word));
    state.take(word);
  }
  word = 0;
  if (const size_t rest = text.size() % sizeof(word); rest > 0) std::memcpy(&word, at, rest);
  state.take(word | uint64_t{text.size()} << 56);
  Hash128 hash;
  hash.low = state.finish(0xee, state.v2);
  hash.high = state.finish(0xdd, state.v1);
  return hash;
}

}  // namespace weir
