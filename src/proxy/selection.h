// How much of a representation an answer brings: all of it, nothing because the client has it or
// wanted another one (RFC 9110 13), or parts (14). For whoever answers without a server.
#pragma once

#include <cstdint>
#include <optional>

#include "http/cache_fields.h"
#include "http/conditional.h"
#include "http/message.h"
#include "http/multipart.h"
#include "http/range.h"

namespace weir::proxy {

class ProxyWorker;

// A member of a ResponseSource. Thread-confined.
class Selection {
 public:
  static constexpr uint64_t kUnknown = UINT64_MAX;

  // `status`: of the answer that would be given; only a 200 is judged.
  explicit Selection(int status) : status_(status) {}

  // Preconditions, then ranges. `fields` are those of the 200; `length_bytes` of its body, and
  // where that is not known there are no parts.
  void judge(http::Evaluator evaluator, http::Method method, const http::CacheFields& request,
             const http::HeaderList& fields, uint64_t length_bytes, int64_t now_s);

  int status() const { return status_; }  // as given, or 206, 304, 412, 416
  // ResponseSource::whole_fields() of whoever has `fields`.
  const http::HeaderList* whole_fields(const http::HeaderList& fields) const {
    return status_ == 304 || status_ == 206 ? &fields : nullptr;
  }
  // The head that goes with what was judged. REQUIRES: status() is 206, 304, 412 or 416, and
  // `fields` outlives this.
  void fill_head(const http::HeaderList& fields, uint64_t length_bytes, ProxyWorker& worker,
                 http::ResponseHead& head);
  // What a 206 brings next. False: that was all.
  bool next_part(http::MultipartPiece& out);

 private:
  void judge_range(std::string_view range, uint64_t length_bytes);
  static void fill_not_modified(const http::HeaderList& fields, http::ResponseHead& head);
  void fill_partial(const http::HeaderList& fields, uint64_t length_bytes, ProxyWorker& worker,
                    http::ResponseHead& head);

  int status_;
  http::RangeSet ranges_;
  bool slice_given_ = false;  // of a single range
  std::optional<http::Multipart> multipart_;
};

}  // namespace weir::proxy
