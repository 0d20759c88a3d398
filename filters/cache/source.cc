#include "filters/cache/source.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "filters/cache/codings.h"
#include "filters/cache/intake.h"
#include "filters/cache/stored_head.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::cache {

namespace {

// Of one piece where what the client does not take of it has to be copied.
constexpr uint64_t kCopiedMax = 64 * 1024;
// Written to a full socket, to wait there.
constexpr uint64_t kWaitBytes = 32 * 1024;

// Fresh pages for what was lent cost about as much as to copy it so often. Who was asked for that
// often is copied no more: then it costs twice the least at worst, however often it is asked for.
constexpr uint64_t kCopiedHits = 10;

std::string_view number(uint64_t value, Arena& arena) {
  char digits[20];
  return arena.copy({digits, format_u64(value, digits)});
}

}  // namespace

StoredSource::StoredSource(proxy::Exchange& exchange, Serving serving,
                           const http::CacheFields& request)
    : exchange_(exchange),
      asked_fields_(request.headers()),
      serving_(std::move(serving)),
      fields_(exchange.arena()),
      selection_(serving_.meta.status) {
  if (serving_.fields != nullptr) {
    fields_.copy_from(*serving_.fields);
    fields_.remove("Age");  // tell() has it
  } else {
    unpack_head(serving_.head, fields_);
  }
  judge(request);
}

// ---- which answer is it? ----

void StoredSource::judge(const http::CacheFields& request) {
  const Reader& reader = serving_.reader;
  const bool whole = reader.state() == BodyState::kWhole;
  selection_.judge(http::Evaluator::kCache, exchange_.request().method, request, fields_,
                   whole ? reader.published() : proxy::Selection::kUnknown, serving_.now_ms / 1000);
  if (selection_.status() == 206) left_bytes_ = 0;
}

// ---- heads ----

void StoredSource::fill_head(http::ResponseHead& head) {
  if (selection_.status() == serving_.meta.status) {
    head.status = serving_.meta.status;
    if (head.status != 304) fill_whole(head);
  } else {
    selection_.fill_head(fields_, serving_.reader.published(), exchange_.worker(), head);
    if (selection_.status() != 206) add_cookies(head.headers);
  }
  tell(head.headers);
}

// They are about who asks, and not about what was selected.
void StoredSource::add_cookies(http::HeaderList& headers) const {
  for (const http::Header& field : fields_) {
    if (field.id == http::HeaderId::kSetCookie) headers.add(field);
  }
}

void StoredSource::fill_whole(http::ResponseHead& head) const {
  head.headers.copy_from(fields_);
  const bool whole = serving_.reader.state() == BodyState::kWhole;
  const uint64_t length = whole ? serving_.reader.published() : serving_.meta.length_bytes;
  head.framing = length == Meta::kUnknown ? http::Framing::kChunked : http::Framing::kLength;
  head.content_length = length == Meta::kUnknown ? 0 : length;
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
  if (selection_.status() == 206 && left_bytes_ == 0) {
    http::MultipartPiece piece;
    if (!selection_.next_part(piece)) return {State::kEnd, {}};
    if (!piece.is_slice) return give(piece.text);
    serving_.reader.seek(piece.slice.first);
    left_bytes_ = piece.slice.size_bytes();
  }
  return next_slice();
}

proxy::ResponseSource::Piece StoredSource::next_slice() {
  if (!made_.empty()) {
    if (std::exchange(made_given_, true)) return {State::kEnd, {}};
    return give(made_);
  }
  Reader& reader = serving_.reader;
  if (std::exchange(waits_, false)) reader.unwait(*this);
  if (left_bytes_ == 0) return {State::kEnd, {}};
  for (;;) {
    const BodyState state = reader.state();  // before a look at what there is
    const bool in_the_clear = exchange_.takes_files();
    uint64_t most = in_the_clear ? left_bytes_ : std::min(left_bytes_, kCopiedMax);
    if (full_) {
      most = std::min(left_bytes_, kWaitBytes);
    } else if (in_the_clear && serving_.hits > kCopiedHits) {
      const Reader::FilePart part = reader.lend(left_bytes_);
      lent_bytes_ = part.bytes;
      if (part.bytes > 0) {
        return {.state = State::kFile,
                .file = part.file,
                .offset_bytes = part.offset_bytes,
                .bytes = part.bytes};
      }
    }
    const size_t count = reader.spans(spans_, most);
    if (count > 0) {
      return {.state = State::kBytes, .spans = {spans_.data(), count}, .keeps_rest = true};
    }
    if (state == BodyState::kWhole) return {State::kEnd, {}};
    if (state == BodyState::kBroken) return {State::kBroken, {}};
    waits_ = !serving_.fed && reader.wait(*this);
    if (waits_ || serving_.fed) return {State::kWait, {}};
  }
}

void StoredSource::sent(size_t bytes) {
  full_ = bytes < std::exchange(lent_bytes_, 0);
  serving_.reader.consume(bytes);
  if (left_bytes_ != UINT64_MAX) left_bytes_ -= bytes;
}

proxy::ResponseSource::Piece StoredSource::give(std::string_view bytes) {
  spans_.front() = bytes;
  return {State::kBytes, {spans_.data(), 1}};
}

// On the writer's thread, with a lock of the store held.
void StoredSource::on_grown() noexcept {
  exchange_.worker().net().mail_slot()->post(
      [worker = &exchange_.worker(), id = exchange_.id()](net::Worker&) {
        if (proxy::Exchange* exchange = worker->exchanges().find(id)) exchange->on_source_ready();
      });
}

proxy::ResponseSource::Turned StoredSource::turn_to(http::Encoding encoding,
                                                    uint64_t& length_bytes) {
  Reader& reader = serving_.reader;
  if (selection_.status() != 200 || reader.state() != BodyState::kWhole) return Turned::kNone;
  if (!reader.has(encoding)) look_again();
  return cache::turn_to({*serving_.store, reader, serving_.key, serving_.hits}, reader, encoding,
                        made_, length_bytes);
}

// It may have been coded since it was found: of many who waited for it, by the first.
void StoredSource::look_again() {
  const http::CacheFields fields(asked_fields_);
  RequestVariant variant(fields, exchange_.arena());
  Found now = serving_.store->find(serving_.key, variant);
  if (!now.reader || now.reader.state() != BodyState::kWhole ||
      !share_body(now.reader, serving_.reader)) {
    return;
  }
  before_ = std::exchange(serving_.reader, std::move(now.reader));
}

}  // namespace weir::filters::cache
