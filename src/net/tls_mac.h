// Tags that nobody without the key can make: HMAC-SHA-256, cut to 128 bits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace weir::net {

// Immutable; any thread. A tag costs no allocation.
class MacKey {
 public:
  using Tag = std::array<uint8_t, 16>;

  // Of a secret, for one purpose: a tag for one is none for another.
  MacKey(std::string_view secret, std::string_view purpose);
  ~MacKey();
  Tag tag(std::string_view message) const;
  // In a time that does not tell how much of it is right.
  static bool equal(const Tag& a, const Tag& b);

 private:
  struct Pads;
  const std::unique_ptr<const Pads> pads_;
};

// Of this process: made at the first call, gone with it. 32 random bytes. Any thread.
std::string_view process_secret();

}  // namespace weir::net
