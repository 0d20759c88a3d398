// Any Range of any length: parts lie within, apart from each other, cover what was asked for and
// nothing else; a multipart body is as long as it was said to be.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/strings.h"
#include "http/multipart.h"
#include "http/range.h"

namespace {

using namespace weir;
using namespace weir::http;

void check_content_range(std::string_view text) {
  ContentRange range;
  if (!read_content_range(text, range) || !range.satisfied || !range.has_length) return;
  char out[kContentRangeChars];
  const std::string_view written(out, format_content_range(range.range, range.length_bytes, out));
  ContentRange again;
  WEIR_CHECK(read_content_range(written, again) && again.range == range.range &&
             again.length_bytes == range.length_bytes);
}

void check_multipart(const RangeSet& set, uint64_t length, std::string_view type) {
  Multipart multipart(set, length, type, "boundary");
  MultipartPiece piece;
  uint64_t total = 0;
  size_t slices = 0;
  while (multipart.next(piece)) {
    if (piece.is_slice) {
      WEIR_CHECK(piece.text.empty() && piece.slice == set.ranges()[slices++]);
      total += piece.slice.size_bytes();
    } else {
      WEIR_CHECK(!piece.text.empty());
      total += piece.text.size();
    }
  }
  WEIR_CHECK(slices == set.size() && total == multipart.total_bytes());
}

// Whether byte `at` is asked for, read anew: for fields that read_ranges() took.
bool is_asked(std::string_view field, uint64_t length, uint64_t at) {
  bool asked = false;
  for_each_list_item(field.substr(field.find('=') + 1), [&](std::string_view item) {
    const size_t dash = item.find('-');
    uint64_t first = UINT64_MAX;
    uint64_t last = UINT64_MAX;
    parse_u64(item.substr(0, dash), first);
    parse_u64(item.substr(dash + 1), last);
    if (dash == 0) {
      asked = asked || at >= length - std::min(last, length);
    } else {
      asked = asked || (at >= first && at <= last);
    }
  });
  return asked;
}

void check_ranges(std::string_view field, uint64_t length) {
  RangeSet set;
  const RangeAnswer answer = read_ranges(field, length, set);
  if (answer != RangeAnswer::kPartial) return;
  WEIR_CHECK(set.size() >= 1 && set.size() <= kRangesMax);
  for (const ByteRange& range : set.ranges()) {
    WEIR_CHECK(range.first <= range.last && range.last < length);
    for (const ByteRange& other : set.ranges()) {
      if (&other == &range) continue;
      WEIR_CHECK(other.last < range.first
                     ? range.first - other.last > 1
                     : other.first > range.last && other.first - range.last > 1);
    }
  }
  for (uint64_t at = 0; at < std::min<uint64_t>(length, 64); ++at) {
    const bool told =
        std::any_of(set.ranges().begin(), set.ranges().end(),
                    [at](const ByteRange& range) { return at >= range.first && at <= range.last; });
    WEIR_CHECK(told == is_asked(field, length, at));
  }
  if (length < uint64_t{1} << 62) check_multipart(set, length, field.substr(0, 9));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_content_range(text);
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{10}, uint64_t{64},
                                uint64_t{5000}, uint64_t{1} << 40, UINT64_MAX}) {
    check_ranges(text, length);
  }
  return 0;
}
