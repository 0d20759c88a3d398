#include "base/rng.h"

#include <sys/random.h>

#include <cstring>

#include "base/check.h"

namespace weir {

namespace {

// One digit per byte, all eight at once; in which order is all the same for what is random.
uint64_t hex_digits(uint32_t word) {
  uint64_t nibbles = (uint64_t{word} << 16 | word) & 0x0000'ffff'0000'ffff;
  nibbles = (nibbles << 8 | nibbles) & 0x00ff'00ff'00ff'00ff;
  nibbles = (nibbles << 4 | nibbles) & 0x0f0f'0f0f'0f0f'0f0f;
  const uint64_t letters = (nibbles + 0x0606'0606'0606'0606) >> 4 & 0x0101'0101'0101'0101;
  return nibbles + 0x3030'3030'3030'3030 + letters * ('a' - '0' - 10);
}

}  // namespace

void RandomPool::fill(uint8_t* out, size_t bytes) {
  WEIR_ASSERT(bytes <= sizeof(pool_));
  if (left_ < bytes) {
    size_t got = 0;
    while (got < sizeof(pool_)) {
      const ssize_t part = getrandom(pool_ + got, sizeof(pool_) - got, 0);
      if (part > 0) got += static_cast<size_t>(part);
    }
    left_ = sizeof(pool_);
  }
  left_ -= bytes;
  std::memcpy(out, pool_ + left_, bytes);
}

void format_uuid4(RandomPool& random, char* out36) {
  uint8_t bytes[17];  // the last one is for the variant
  random.fill(bytes, sizeof(bytes));
  char digits[32];
  for (size_t i = 0; i < 4; ++i) {
    uint32_t word;
    std::memcpy(&word, bytes + 4 * i, sizeof(word));
    const uint64_t text = hex_digits(word);
    std::memcpy(digits + 8 * i, &text, sizeof(text));
  }
  digits[12] = '4';                    // the version
  digits[16] = "89ab"[bytes[16] & 3];  // and the variant, beside two bits
  std::memcpy(out36, digits, 8);
  std::memcpy(out36 + 9, digits + 8, 4);
  std::memcpy(out36 + 14, digits + 12, 4);
  std::memcpy(out36 + 19, digits + 16, 4);
  std::memcpy(out36 + 24, digits + 20, 12);
  out36[8] = out36[13] = out36[18] = out36[23] = '-';
}

}  // namespace weir
