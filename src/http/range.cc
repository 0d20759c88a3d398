#include "http/range.h"

#include <algorithm>
#include <cstring>

#include "base/strings.h"

namespace weir::http {
namespace {

constexpr std::string_view kUnit = "bytes";

// One member of a list of ranges.
enum class Member : uint8_t { kInvalid, kUnsatisfiable, kWhole, kRange };

// "500-" and "500-999". A position that no 64 bits hold is beyond every end.
Member read_from(std::string_view first, std::string_view last, uint64_t length, ByteRange& out) {
  const auto is_number = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (!is_number(first) || (!last.empty() && !is_number(last))) return Member::kInvalid;
  const bool begins = parse_u64(first, out.first);
  const bool ends = !last.empty() && parse_u64(last, out.last);
  if (ends && (!begins || out.last < out.first)) return Member::kInvalid;
  if (!begins || out.first >= length) return Member::kUnsatisfiable;
  if (!ends || out.last >= length) out.last = length - 1;
  return Member::kRange;
}

// "-500": the last 500 bytes. Of nothing at all they are nothing, which no 206 can tell.
Member read_suffix(std::string_view digits, uint64_t length, ByteRange& out) {
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) {
    return Member::kInvalid;
  }
  uint64_t size = 0;
  if (!parse_u64(digits, size)) size = UINT64_MAX;
  if (size == 0) return Member::kUnsatisfiable;
  if (length == 0) return Member::kWhole;
  out = {length - std::min(size, length), length - 1};
  return Member::kRange;
}

Member read_member(std::string_view text, uint64_t length, ByteRange& out) {
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return Member::kInvalid;
  if (dash == 0) return read_suffix(text.substr(1), length, out);
  return read_from(text.substr(0, dash), text.substr(dash + 1), length, out);
}

bool touch(const ByteRange& a, const ByteRange& b) {
  const ByteRange& low = a.first <= b.first ? a : b;
  const ByteRange& high = a.first <= b.first ? b : a;
  return high.first <= low.last || high.first - low.last == 1;
}

char* put(char* at, std::string_view text) {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

}  // namespace

bool RangeSet::add(ByteRange range) {
  // What the new one joins grows by it, and may then reach others.
  size_t place = count_;
  for (size_t i = 0; i < count_;) {
    if (i == place || !touch(ranges_[i], range)) {
      ++i;
      continue;
    }
    range = {std::min(range.first, ranges_[i].first), std::max(range.last, ranges_[i].last)};
    if (place == count_) {
      place = i;
    } else {
      const size_t gone = std::max(place, i);
      place = std::min(place, i);
      std::copy(ranges_.begin() + gone + 1, ranges_.begin() + count_, ranges_.begin() + gone);
      --count_;
    }
    ranges_[place] = range;
    i = 0;
  }
  if (place < count_) return true;
  if (count_ == kRangesMax) return false;
  ranges_[count_++] = range;
  return true;
}

RangeAnswer read_ranges(std::string_view field, uint64_t length_bytes, RangeSet& out) {
  out = {};
  const size_t equals = field.find('=');
  if (equals == std::string_view::npos || !iequals(trim_ows(field.substr(0, equals)), kUnit)) {
    return RangeAnswer::kWhole;
  }
  bool whole = false;
  bool asked = false;
  for_each_list_item(field.substr(equals + 1), [&](std::string_view item) {
    if (whole) return;
    ByteRange range;
    const Member member = read_member(item, length_bytes, range);
    asked = true;
    whole = member == Member::kInvalid || member == Member::kWhole ||
            (member == Member::kRange && !out.add(range));
  });
  if (whole || !asked) return RangeAnswer::kWhole;
  return out.size() == 0 ? RangeAnswer::kUnsatisfiable : RangeAnswer::kPartial;
}

size_t format_content_range(const ByteRange& range, uint64_t length_bytes, char* out) {
  char* at = put(out, "bytes ");
  at += format_u64(range.first, at);
  *at++ = '-';
  at += format_u64(range.last, at);
  *at++ = '/';
  at += format_u64(length_bytes, at);
  return static_cast<size_t>(at - out);
}

size_t format_unsatisfied_range(uint64_t length_bytes, char* out) {
  char* at = put(out, "bytes */");
  at += format_u64(length_bytes, at);
  return static_cast<size_t>(at - out);
}

bool read_content_range(std::string_view value, ContentRange& out) {
  out = {};
  const size_t space = value.find(' ');
  const size_t slash = value.find('/');
  if (space == std::string_view::npos || slash == std::string_view::npos || slash < space ||
      !iequals(value.substr(0, space), kUnit)) {
    return false;
  }
  const std::string_view range = value.substr(space + 1, slash - space - 1);
  const std::string_view length = value.substr(slash + 1);
  if (length != "*") {
    if (!parse_u64(length, out.length_bytes)) return false;
    out.has_length = true;
  }
  if (range == "*") return out.has_length;
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos || !parse_u64(range.substr(0, dash), out.range.first) ||
      !parse_u64(range.substr(dash + 1), out.range.last)) {
    return false;
  }
  out.satisfied = true;
  return out.range.first <= out.range.last &&
         (!out.has_length || out.range.last < out.length_bytes);
}

}  // namespace weir::http
