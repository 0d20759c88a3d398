// Random bytes from the kernel, fetched a page at a time. Good enough for ids that nobody may
// guess.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir {

// One per worker (thread-confined).
class RandomPool {
 public:
  void fill(uint8_t* out, size_t bytes);

 private:
  uint8_t pool_[2048];
  size_t left_ = 0;
};

// A version 4 UUID (RFC 9562) as 36 characters.
void format_uuid4(RandomPool& random, char* out36);

}  // namespace weir
