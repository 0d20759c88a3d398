#include "proxy/selection.h"

#include "proxy/proxy_worker.h"

namespace weir::proxy {

namespace {

constexpr size_t kBoundaryBytes = 18;

// Of random bits: it occurs in no content.
std::string_view make_boundary(ProxyWorker& worker, Arena& arena) {
  uint8_t random[kBoundaryBytes];
  worker.random_bytes(random, sizeof(random));
  char* const boundary = static_cast<char*>(arena.allocate(2 * kBoundaryBytes, 1));
  for (size_t i = 0; i < kBoundaryBytes; ++i) {
    boundary[2 * i] = "0123456789abcdef"[random[i] >> 4];
    boundary[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
  }
  return {boundary, 2 * kBoundaryBytes};
}

}  // namespace

// Most requests have none of these.
void Selection::judge(http::Evaluator evaluator, http::Method method,
                      const http::CacheFields& request, const http::HeaderList& fields,
                      uint64_t length_bytes, int64_t now_s) {
  const bool for_origin = evaluator == http::Evaluator::kOrigin && http::is_for_origin(request);
  const bool asks = for_origin || request.has(http::HeaderId::kIfNoneMatch) ||
                    request.has(http::HeaderId::kIfModifiedSince) ||
                    request.has(http::HeaderId::kRange);
  if (!asks || status_ != 200) return;
  http::Validators selected = http::validators_of(http::CacheFields(fields), now_s);
  if (evaluator == http::Evaluator::kOrigin) selected.date_s = now_s;
  switch (http::check_preconditions(evaluator, method, request, &selected, now_s)) {
    case http::Precondition::kNotModified: status_ = 304; break;
    case http::Precondition::kFailed: status_ = 412; break;
    case http::Precondition::kProceed:
      if (method == http::Method::kGet && length_bytes != kUnknown &&
          http::if_range_holds(request, selected, now_s)) {
        judge_range(request.single(http::HeaderId::kRange), length_bytes);
      }
      break;
  }
}

void Selection::judge_range(std::string_view range, uint64_t length_bytes) {
  if (range.empty()) return;
  switch (http::read_ranges(range, length_bytes, ranges_)) {
    case http::RangeAnswer::kWhole: break;
    case http::RangeAnswer::kPartial: status_ = 206; break;
    case http::RangeAnswer::kUnsatisfiable: status_ = 416; break;
  }
}

void Selection::fill_head(const http::HeaderList& fields, uint64_t length_bytes,
                          ProxyWorker& worker, http::ResponseHead& head) {
  head.status = status_;
  if (status_ == 304) fill_not_modified(fields, head);
  if (status_ == 206) fill_partial(fields, length_bytes, worker, head);
  if (status_ != 416) return;
  char text[http::kContentRangeChars];
  const size_t size = http::format_unsatisfied_range(length_bytes, text);
  head.headers.add("Content-Range", head.headers.arena().copy({text, size}));
}

// RFC 9110 15.4.5: what a 200 would have had of these, and nothing that describes the content.
void Selection::fill_not_modified(const http::HeaderList& fields, http::ResponseHead& head) {
  bool has_tag = false;
  for (const http::Header& field : fields) {
    switch (field.id) {
      case http::HeaderId::kEtag: has_tag = true; [[fallthrough]];
      case http::HeaderId::kCacheControl:
      case http::HeaderId::kContentLocation:
      case http::HeaderId::kDate:
      case http::HeaderId::kExpires:
      case http::HeaderId::kVary: head.headers.add(field); break;
      default: break;
    }
  }
  if (has_tag) return;
  const http::Header* modified = fields.find(http::HeaderId::kLastModified);
  if (modified != nullptr) head.headers.add(*modified);
}

void Selection::fill_partial(const http::HeaderList& fields, uint64_t length_bytes,
                             ProxyWorker& worker, http::ResponseHead& head) {
  head.headers.copy_from(fields);
  head.framing = http::Framing::kLength;
  Arena& arena = head.headers.arena();
  if (ranges_.size() == 1) {
    const http::ByteRange range = ranges_.ranges().front();
    char text[http::kContentRangeChars];
    head.headers.set("Content-Range",
                     arena.copy({text, http::format_content_range(range, length_bytes, text)}));
    head.content_length = range.size_bytes();
    return;
  }
  const http::Header* type = fields.find(http::HeaderId::kContentType);
  const std::string_view boundary = make_boundary(worker, arena);
  multipart_.emplace(ranges_, length_bytes, type == nullptr ? std::string_view() : type->value,
                     boundary);
  head.headers.set("Content-Type", http::multipart_type(boundary, arena));
  head.content_length = multipart_->total_bytes();
}

bool Selection::next_part(http::MultipartPiece& out) {
  if (multipart_) return multipart_->next(out);
  if (slice_given_) return false;
  slice_given_ = true;
  out = {{}, ranges_.ranges().front(), true};
  return true;
}

}  // namespace weir::proxy
