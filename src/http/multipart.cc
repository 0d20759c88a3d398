#include "http/multipart.h"

#include <cstring>

#include "base/check.h"

namespace weir::http {
namespace {

constexpr std::string_view kOpen = "\r\n--";
constexpr std::string_view kTypeName = "\r\nContent-Type: ";
constexpr std::string_view kRangeName = "\r\nContent-Range: ";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kClose = "--\r\n";

char* put(char* at, std::string_view text) {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

}  // namespace

Multipart::Multipart(const RangeSet& ranges, uint64_t length_bytes, std::string_view content_type,
                     std::string_view boundary)
    : ranges_(ranges),
      content_type_(content_type),
      boundary_(boundary),
      length_bytes_(length_bytes) {
  static_assert(sizeof(text_) >= kOpen.size() + kBoundaryMax + kTypeName.size());
  static_assert(sizeof(text_) >= kOpen.size() + kBoundaryMax + kClose.size());
  static_assert(sizeof(text_) >= kRangeName.size() + kContentRangeChars + kHeadEnd.size());
  WEIR_CHECK(boundary.size() <= kBoundaryMax);
  for (const ByteRange& range : ranges.ranges()) {
    total_bytes_ +=
        delimiter().size() + content_type_.size() + range_text(range).size() + range.size_bytes();
    ++part_;
  }
  total_bytes_ += closing().size();
  part_ = 0;
}

// The first one needs no line end before it: there is no preamble.
std::string_view Multipart::delimiter() {
  char* at = put(text_, part_ == 0 ? kOpen.substr(2) : kOpen);
  at = put(at, boundary_);
  if (!content_type_.empty()) at = put(at, kTypeName);
  return {text_, static_cast<size_t>(at - text_)};
}

std::string_view Multipart::closing() {
  const char* end = put(put(put(text_, kOpen), boundary_), kClose);
  return {text_, static_cast<size_t>(end - text_)};
}

std::string_view Multipart::range_text(const ByteRange& range) {
  char* at = put(text_, kRangeName);
  at += format_content_range(range, length_bytes_, at);
  at = put(at, kHeadEnd);
  return {text_, static_cast<size_t>(at - text_)};
}

bool Multipart::next(MultipartPiece& out) {
  out = {};
  switch (step_) {
    case Step::kDelimiter:
      if (part_ == ranges_.size()) {
        out.text = closing();
        step_ = Step::kDone;
        return true;
      }
      out.text = delimiter();
      step_ = content_type_.empty() ? Step::kRange : Step::kType;
      return true;
    case Step::kType:
      out.text = content_type_;
      step_ = Step::kRange;
      return true;
    case Step::kRange:
      out.text = range_text(ranges_.ranges()[part_]);
      step_ = Step::kSlice;
      return true;
    case Step::kSlice:
      out.slice = ranges_.ranges()[part_++];
      out.is_slice = true;
      step_ = Step::kDelimiter;
      return true;
    case Step::kDone: break;
  }
  return false;
}

std::string_view multipart_type(std::string_view boundary, Arena& arena) {
  return arena.concat({"multipart/byteranges; boundary=", boundary});
}

}  // namespace weir::http
