#include "filters/cache/tag_maker.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::filters::cache {

// Each chunk is hashed under what the ones before it hashed to.
void TagMaker::put(std::string_view bytes) {
  size_bytes_ += bytes.size();
  while (!bytes.empty()) {
    const size_t taken = std::min(kChunkBytes - chunk_.size(), bytes.size());
    chunk_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (chunk_.size() < kChunkBytes) return;
    hash_ = SipKey(hash_).hash(chunk_);
    chunk_.clear();
  }
}

std::string TagMaker::tag() {
  hash_ = SipKey(hash_).hash(chunk_);
  return fmt::format("\"w-{:x}-{:016x}{:016x}\"", size_bytes_, hash_.low, hash_.high);
}

}  // namespace weir::filters::cache
