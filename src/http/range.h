// Range requests in bytes (RFC 9110 14): what part of a representation is asked for, and how it is
// told. Pure functions; nothing is allocated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir::http {

// Bytes first to last, both included, of a representation.
struct ByteRange {
  uint64_t first = 0;
  uint64_t last = 0;

  uint64_t size_bytes() const { return last - first + 1; }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// Parts of one answer. More are asked for by nobody who needs them (14.2). Reached: the whole.
inline constexpr size_t kRangesMax = 16;

// What a Range field asks of a representation, in the order of the field. No two overlap or touch:
// those that did were made one.
class RangeSet {
 public:
  std::span<const ByteRange> ranges() const { return {ranges_.data(), count_}; }
  size_t size() const { return count_; }
  // False when it would be one too many.
  bool add(ByteRange range);

 private:
  std::array<ByteRange, kRangesMax> ranges_;
  size_t count_ = 0;
};

enum class RangeAnswer : uint8_t {
  kWhole,          // 200: another unit, not by the grammar, or too many parts
  kPartial,        // 206: `out` has one range or more
  kUnsatisfiable,  // 416, with format_unsatisfied_range()
};

// `field` is the value of the one Range field of a GET whose If-Range holds; `length_bytes` is that
// of the representation.
RangeAnswer read_ranges(std::string_view field, uint64_t length_bytes, RangeSet& out);

// The values of Content-Range: "bytes 0-99/1000" and, for a 416, "bytes */1000". Both write at most
// kContentRangeChars and return how many.
inline constexpr size_t kContentRangeChars = 6 + 3 * 20 + 2;
size_t format_content_range(const ByteRange& range, uint64_t length_bytes, char* out);
size_t format_unsatisfied_range(uint64_t length_bytes, char* out);

// A Content-Range as a server sends it.
struct ContentRange {
  bool satisfied = false;  // there is a `range`
  bool has_length = false;
  ByteRange range;
  uint64_t length_bytes = 0;
};
// False for another unit and for what contradicts itself.
bool read_content_range(std::string_view value, ContentRange& out);

}  // namespace weir::http
