// A stored answer on its way to one client: whole or while it is still coming, not modified, or in
// parts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "filters/cache/store.h"
#include "http/cache_fields.h"
#include "http/message.h"
#include "proxy/body.h"
#include "proxy/exchange.h"
#include "proxy/selection.h"

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
  const http::HeaderList* whole_fields() const override { return selection_.whole_fields(fields_); }
  Piece next() override;
  void sent(size_t bytes) override;
  Turned turn_to(http::Encoding encoding, uint64_t& length_bytes) override;

 private:
  void look_again();
  void judge(const http::CacheFields& request);
  void add_cookies(http::HeaderList& headers) const;
  void fill_whole(http::ResponseHead& head) const;
  void tell(http::HeaderList& headers) const;
  Piece next_slice();
  Piece give(std::string_view bytes);
  void on_grown() noexcept override;

  proxy::Exchange& exchange_;
  const http::HeaderList& asked_fields_;  // the client's
  Serving serving_;
  Reader before_;  // of the head, where the body is read of a later answer
  http::HeaderList fields_;
  proxy::Selection selection_;
  std::string made_;  // a coded body that was made for this answer first
  bool made_given_ = false;
  uint64_t left_bytes_ = UINT64_MAX;  // of the part at hand
  std::array<std::string_view, kSpansMax> spans_;
  bool waits_ = false;     // has been said; on_grown() may have come
  size_t lent_bytes_ = 0;  // by the last piece
  bool full_ = false;      // the socket has not taken all of that
};

}  // namespace weir::filters::cache
