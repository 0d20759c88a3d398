#include "filters/cache/source.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "filters/cache/codings.h"
#include "filters/cache/stored_head.h"
#include "http/conditional.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::cache {

namespace {

// So much goes to the socket in one call.
constexpr uint64_t kPieceMax = 256 * 1024;
constexpr size_t kBoundaryBytes = 18;

std::string_view number(uint64_t value, Arena& arena) {
  char digits[20];
  return arena.copy({digits, format_u64(value, digits)});
}

}  // namespace

StoredSource::StoredSource(proxy::Exchange& exchange, Serving serving,
                           const http::CacheFields& request)
    : exchange_(exchange),
      serving_(std::move(serving)),
      fields_(exchange.arena()),
      status_(serving_.meta.status) {
  if (serving_.fields != nullptr) {
    fields_.copy_from(*serving_.fields);
    fields_.remove("Age");  // tell() has it
  } else {
    unpack_head(serving_.head, fields_);
  }
  judge(request);
}

// ---- which answer is it? ----

// Preconditions and ranges are about a 200 (RFC 9110 13.2.1, 14.2); most requests have none.
void StoredSource::judge(const http::CacheFields& request) {
  const bool asks = request.has(http::CacheField::kIfNoneMatch) ||
                    request.has(http::CacheField::kIfModifiedSince) ||
                    request.has(http::CacheField::kRange);
  if (!asks || status_ != 200) return;
  const int64_t now_s = serving_.now_ms / 1000;
  const http::Validators stored = http::validators_of(http::CacheFields(fields_), now_s);
  const http::Method method = exchange_.request().method;
  if (http::check_preconditions(http::Evaluator::kCache, method, request, &stored, now_s) ==
      http::Precondition::kNotModified) {
    status_ = 304;
  } else if (method == http::Method::kGet && serving_.reader.state() == BodyState::kWhole &&
             http::if_range_holds(request, stored, now_s)) {
    judge_range(request.single(http::CacheField::kRange));
  }
}

void StoredSource::judge_range(std::string_view range) {
  if (range.empty()) return;
  switch (http::read_ranges(range, serving_.reader.published(), ranges_)) {
    case http::RangeAnswer::kWhole: break;
    case http::RangeAnswer::kPartial: status_ = 206; break;
    case http::RangeAnswer::kUnsatisfiable: status_ = 416; break;
  }
}

// ---- heads ----

void StoredSource::fill_head(http::ResponseHead& head) {
  head.status = status_;
  switch (status_) {
    case 206: fill_partial(head); break;
    case 304:
      if (serving_.meta.status != 304) fill_not_modified(head);
      break;
    case 416: fill_unsatisfiable(head); break;
    default: fill_whole(head); break;
  }
  tell(head.headers);
}

void StoredSource::fill_whole(http::ResponseHead& head) const {
  head.headers.copy_from(fields_);
  const bool whole = serving_.reader.state() == BodyState::kWhole;
  const uint64_t length = whole ? serving_.reader.published() : serving_.meta.length_bytes;
  head.framing = length == Meta::kUnknown ? http::Framing::kChunked : http::Framing::kLength;
  head.content_length = length == Meta::kUnknown ? 0 : length;
}

// RFC 9110 15.4.5: what a 200 would have had of these, and nothing that describes the content.
void StoredSource::fill_not_modified(http::ResponseHead& head) const {
  bool has_tag = false;
  for (const http::Header& field : fields_) {
    switch (http::cache_field(field.name)) {
      case http::CacheField::kEtag: has_tag = true; [[fallthrough]];
      case http::CacheField::kCacheControl:
      case http::CacheField::kContentLocation:
      case http::CacheField::kDate:
      case http::CacheField::kExpires:
      case http::CacheField::kVary: head.headers.add(field); break;
      default: break;
    }
  }
  if (has_tag) return;
  const http::Header* modified = fields_.find("Last-Modified");
  if (modified != nullptr) head.headers.add(*modified);
}

void StoredSource::fill_partial(http::ResponseHead& head) {
  head.headers.copy_from(fields_);
  head.framing = http::Framing::kLength;
  Arena& arena = head.headers.arena();
  const uint64_t length = serving_.reader.published();
  if (ranges_.size() == 1) {
    const http::ByteRange range = ranges_.ranges().front();
    char text[http::kContentRangeChars];
    head.headers.set("Content-Range",
                     arena.copy({text, http::format_content_range(range, length, text)}));
    head.content_length = left_bytes_ = range.size_bytes();
    serving_.reader.seek(range.first);
    return;
  }
  uint8_t random[kBoundaryBytes];
  exchange_.worker().random_bytes(random, sizeof(random));
  char* const boundary = static_cast<char*>(arena.allocate(2 * kBoundaryBytes, 1));
  for (size_t i = 0; i < kBoundaryBytes; ++i) {
    boundary[2 * i] = "0123456789abcdef"[random[i] >> 4];
    boundary[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
  }
  const http::Header* type = fields_.find(http::HeaderId::kContentType);
  const std::string_view name(boundary, 2 * kBoundaryBytes);
  multipart_.emplace(ranges_, length, type == nullptr ? std::string_view() : type->value, name);
  head.headers.set("Content-Type", http::multipart_type(name, arena));
  head.content_length = multipart_->total_bytes();
  left_bytes_ = 0;
}

void StoredSource::fill_unsatisfiable(http::ResponseHead& head) const {
  Arena& arena = head.headers.arena();
  char text[http::kContentRangeChars];
  const size_t size = http::format_unsatisfied_range(serving_.reader.published(), text);
  head.headers.add("Content-Range", arena.copy({text, size}));
}

// What the cache says of it. Age is of what was stored before (RFC 9111 4, 5.1).
void StoredSource::tell(http::HeaderList& headers) const {
  Arena& arena = headers.arena();
  const uint64_t age_s = serving_.meta.lifetime.age_s(serving_.now_ms);
  if (age_s > 0 || serving_.result != "MISS") headers.add("Age", number(age_s, arena));
  headers.add("Cache-Status", serving_.cache_status);
  if (!serving_.result_field.empty()) headers.set(serving_.result_field, serving_.result);
}

// ---- bodies ----

proxy::ResponseSource::Piece StoredSource::next() {
  if (multipart_ && left_bytes_ == 0) {
    serving_.reader.consume(std::exchange(given_bytes_, 0));
    http::MultipartPiece piece;
    if (!multipart_->next(piece)) return {State::kEnd, {}};
    if (!piece.is_slice) return {State::kBytes, piece.text};
    serving_.reader.seek(piece.slice.first);
    left_bytes_ = piece.slice.size_bytes();
  }
  return next_slice();
}

proxy::ResponseSource::Piece StoredSource::next_slice() {
  if (!made_.empty()) {
    if (std::exchange(given_bytes_, made_.size()) != 0) return {State::kEnd, {}};
    return {State::kBytes, made_};
  }
  Reader& reader = serving_.reader;
  reader.consume(std::exchange(given_bytes_, 0));
  if (std::exchange(waits_, false)) reader.unwait(*this);
  if (left_bytes_ == 0) return {State::kEnd, {}};
  for (;;) {
    const BodyState state = reader.state();  // before a look at what there is
    std::string_view bytes;
    if (reader.spans({&bytes, 1}, std::min(left_bytes_, kPieceMax)) == 1) {
      given_bytes_ = bytes.size();
      if (left_bytes_ != UINT64_MAX) left_bytes_ -= bytes.size();
      return {State::kBytes, bytes};
    }
    if (state == BodyState::kWhole) return {State::kEnd, {}};
    if (state == BodyState::kBroken) return {State::kBroken, {}};
    waits_ = !serving_.fed && reader.wait(*this);
    if (waits_ || serving_.fed) return {State::kWait, {}};
  }
}

// On the writer's thread, with a lock of the store held.
void StoredSource::on_grown() noexcept {
  exchange_.worker().net().mail_slot()->post(
      [worker = &exchange_.worker(), id = exchange_.id()](net::Worker&) {
        if (proxy::Exchange* exchange = worker->exchanges().find(id)) exchange->on_source_ready();
      });
}

std::optional<uint64_t> StoredSource::turn_to(http::Encoding encoding) {
  Reader& reader = serving_.reader;
  if (status_ != 200 || reader.state() != BodyState::kWhole) return std::nullopt;
  return cache::turn_to({*serving_.store, reader, serving_.key, serving_.hits}, reader, encoding,
                        made_);
}

}  // namespace weir::filters::cache
