// SipHash-2-4 with 128 bits (Aumasson, Bernstein 2012): a keyed hash that is fast on short texts.
// Whoever does not know the key can neither tell nor choose what a text hashes to, so a table by it
// can be flooded by nobody, and its value may stand for the text.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

// Immutable; any thread.
class SipKey {
 public:
  constexpr SipKey(uint64_t k0, uint64_t k1) : k0_(k0), k1_(k1) {}
  explicit constexpr SipKey(const Hash128& hash) : k0_(hash.low), k1_(hash.high) {}
  // Of random bytes from the kernel.
  static SipKey random();

  Hash128 hash(std::string_view text) const;

 private:
  uint64_t k0_;
  uint64_t k1_;
};

}  // namespace weir
