// The body of a 206 with several ranges: multipart/byteranges (RFC 9110 14.6), told piece by piece,
// so that the content itself is copied nowhere. Its length is known beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "http/range.h"

namespace weir::http {

// What goes out next: text, or else a slice of the representation.
struct MultipartPiece {
  std::string_view text;  // valid until the next call; of a slice it is empty
  ByteRange slice;
  bool is_slice = false;
};

// RFC 2046 5.1.1. Longer ones are a mistake of the caller's.
inline constexpr size_t kBoundaryMax = 70;

// Thread-confined. `ranges`, `content_type` and `boundary` must outlive it. A boundary must not
// occur in the content: make it of 128 random bits or more.
class Multipart {
 public:
  // REQUIRES: two ranges or more within `length_bytes`, boundary.size() <= kBoundaryMax.
  // `content_type` is the representation's own; empty when it has none.
  Multipart(const RangeSet& ranges, uint64_t length_bytes, std::string_view content_type,
            std::string_view boundary);

  // Of all pieces together: the Content-Length.
  uint64_t total_bytes() const { return total_bytes_; }
  // False when all was told.
  bool next(MultipartPiece& out);

 private:
  enum class Step : uint8_t { kDelimiter, kType, kRange, kSlice, kDone };
  std::string_view delimiter();
  std::string_view closing();
  std::string_view range_text(const ByteRange& range);

  const RangeSet& ranges_;
  std::string_view content_type_;
  std::string_view boundary_;
  uint64_t length_bytes_;
  uint64_t total_bytes_ = 0;
  size_t part_ = 0;
  Step step_ = Step::kDelimiter;
  char text_[kBoundaryMax + 32];
};

// "multipart/byteranges; boundary=...", in the arena.
std::string_view multipart_type(std::string_view boundary, Arena& arena);

}  // namespace weir::http
