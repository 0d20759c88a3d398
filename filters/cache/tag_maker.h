// Strong entity tags for answers that come without one (RFC 9110 8.8.3): a hash of the content, the
// same on every instance and however the bytes came.
#pragma once

#include <string>
#include <string_view>

#include "base/siphash.h"

namespace weir::filters::cache {

class TagMaker {
 public:
  void put(std::string_view bytes);
  std::string tag();  // "\"w-...\"", with its quotes; once, at the end

 private:
  static constexpr size_t kChunkBytes = 4096;

  std::string chunk_;
  Hash128 hash_;
  uint64_t size_bytes_ = 0;
};

}  // namespace weir::filters::cache
