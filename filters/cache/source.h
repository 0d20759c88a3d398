// A stored answer on its way to one client: whole or while it is still coming, not modified, or in
// parts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "filters/cache/store.h"
#include "http/cache_fields.h"
#include "http/message.h"
#include "http/multipart.h"
#include "proxy/body.h"
#include "proxy/exchange.h"

namespace weir::filters::cache {

// What is answered with, and how it came to be.
struct Serving {
  Reader reader;
  Meta meta;                   // the reader's, or those of a 304 that came just now
  std::string_view head = {};  // packed; in the object, or in the exchange's arena
  int64_t now_ms = 0;
  std::string_view cache_status = {};  // what Cache-Status says (RFC 9211)
  std::string_view result = {};        // "HIT"
  std::string_view result_field = {};  // that tells it; empty: none
  // Of the answer that has just come, for the client that it was fetched for: all its fields, also
  // those that nobody else gets. Null: as stored.
  const http::HeaderList* fields = nullptr;
  bool fed = false;  // the exchange records it itself, and knows of each piece
  Store* store = nullptr;
  std::string_view key = {};  // primary
  uint64_t hits = 0;          // of the answer
};

// In the exchange's arena, which runs the destructor.
class StoredSource final : public proxy::ResponseSource, private Waiter {
 public:
  // `request`: the client's own, before what weir made of it for the server.
  StoredSource(proxy::Exchange& exchange, Serving serving, const http::CacheFields& request);
  ~StoredSource() { serving_.reader.unwait(*this); }

  void fill_head(http::ResponseHead& head) override;
  Piece next() override;
  std::optional<uint64_t> turn_to(http::Encoding encoding) override;

 private:
  void judge(const http::CacheFields& request);
  void judge_range(std::string_view range);
  void fill_whole(http::ResponseHead& head) const;
  void fill_not_modified(http::ResponseHead& head) const;
  void fill_partial(http::ResponseHead& head);
  void fill_unsatisfiable(http::ResponseHead& head) const;
  void tell(http::HeaderList& headers) const;
  Piece next_slice();
  void on_grown() noexcept override;

  proxy::Exchange& exchange_;
  Serving serving_;
  http::HeaderList fields_;
  int status_;
  http::RangeSet ranges_;
  std::optional<http::Multipart> multipart_;
  std::string made_;                  // a coded body that was made for this answer first
  uint64_t left_bytes_ = UINT64_MAX;  // of the slice at hand
  uint64_t given_bytes_ = 0;          // by the last call
  bool waits_ = false;                // has been said; on_grown() may have come
};

}  // namespace weir::filters::cache
