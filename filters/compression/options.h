// What a `compression` of the configuration asks for. Immutable; part of the snapshot.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "filters/compression/encoder.h"
#include "filters/compression/types.h"

namespace weir::filters::compression {

struct Options {
  // In the order of the server's preference. zstd first: it is faster than br and as small
  // (bench/micro/README.md).
  std::array<Encoding, 3> encodings = {Encoding::kZstd, Encoding::kBr, Encoding::kGzip};
  size_t encodings_count = 3;
  int level = 0;  // 0: auto
  uint64_t min_size_bytes = 1024;
  TypeSet types = TypeSet::usual();
  uint32_t max_concurrent = 64;
  bool skip_set_cookie = false;
  bool padding = false;

  std::span<const Encoding> offered() const { return {encodings.data(), encodings_count}; }
  int level_for(Encoding encoding) const {
    return level == 0 ? level_of(encoding, Effort::kPassing) : level;
  }
};

}  // namespace weir::filters::compression
