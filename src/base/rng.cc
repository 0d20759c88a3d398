#include "base/rng.h"

#include <sys/random.h>

#include <cstring>

#include "base/check.h"

namespace weir {

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
  uint8_t bytes[16];
  random.fill(bytes, sizeof(bytes));
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  static constexpr char kHex[] = "0123456789abcdef";
  char digits[32];
  for (size_t i = 0; i < sizeof(bytes); ++i) {
    digits[2 * i] = kHex[bytes[i] >> 4];
    digits[2 * i + 1] = kHex[bytes[i] & 15];
  }
  std::memcpy(out36, digits, 8);
  std::memcpy(out36 + 9, digits + 8, 4);
  std::memcpy(out36 + 14, digits + 12, 4);
  std::memcpy(out36 + 19, digits + 16, 4);
  std::memcpy(out36 + 24, digits + 20, 12);
  out36[8] = out36[13] = out36[18] = out36[23] = '-';
}

}  // namespace weir
