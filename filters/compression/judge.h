// Whether an answer may be compressed, by both heads alone. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "filters/compression/options.h"
#include "http/cache_fields.h"
#include "http/message.h"

namespace weir::filters::compression {

// Of a request, taken before anybody edits its head.
struct Wish {
  std::string_view accepts;  // Accept-Encoding, as one line; empty: the answer goes out as it is
  bool is_head = false;
};
Wish wish_of(const http::RequestHead& head, const http::CacheFields& fields);  // of `head`
// What it would get. Not worth finding out for an answer that is not compressed for anybody.
Encoding encoding_for(const Options& options, const Wish& wish);

struct Judgement {
  // Another client could get it in another coding: Vary has to say so.
  bool varies = false;
  // It may go out in the coding of the wish, if that is one.
  bool compressible = false;
  // Nobody knows when it ends: server-sent events.
  bool long_lived = false;
  std::optional<uint64_t> length_bytes;
};
// `fields`: of `head`, or of the whole answer that `head` says is not modified or gives a part of:
// Vary is the same on all of these (RFC 9110 15.4.5).
Judgement judge(const Options& options, const Wish& wish, const http::ResponseHead& head,
                const http::CacheFields& fields);

// Adds a name to Vary, on one line with what stands there; not twice, and not where "*" stands.
void add_vary(http::HeaderList& headers, std::string_view name);

// What the head says once the body is encoded.
void tell_encoding(http::HeaderList& headers, Encoding encoding);

}  // namespace weir::filters::compression
