// HTTP/1.x bytes to messages. A head is parsed in one call (head_fields.h, h1_grammar.h), from
// memory that stays (the caller copied it to the message's arena); a body piece by piece straight
// from the read buffer. Chunked framing is decoded here and not by llhttp: its pieces, bounds and
// strictness are ours, in 48 bytes of state instead of 96 more, and a 1-byte chunk costs
// nanoseconds. Thread-confined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/message.h"
#include "http/rules.h"

namespace weir::http {

// Reads one direction of one connection, message after message. Holds no memory of its own.
class H1Parser {
 public:
  // `head` is what scan_head() found complete, in memory that outlives the message. Fills `out`,
  // applies http/rules, and gets ready for the body.
  Refusal parse_request(std::string_view head, const HeadLimits& limits, RequestHead& out);
  // The same of a head at the front of what was read, in one pass: it is copied to the arena of
  // `out`. `taken` is its size, or 0 where `bytes` do not end with a blank line or are not plain:
  // then `out` is as new, and scan_head() has to say what they are.
  Refusal parse_plain_request(std::string_view bytes, const HeadLimits& limits, RequestHead& out,
                              size_t& taken);
  // 1xx answers are complete after their head: call again for the final one.
  Refusal parse_response(std::string_view head, Method request_method, const HeadLimits& limits,
                         ResponseHead& out);

  enum class Body : uint8_t {
    kPiece,  // `piece` holds body bytes (a view into the input)
    kNeed,   // all input taken; more must come
    kDone,   // the message is complete; what is left of the input belongs to the next one
    kBad,    // framing is broken: close the connection (error_reason())
  };
  // Takes body bytes from the front of `bytes`. Call until it says something else than kPiece.
  // A message without a body answers kDone at once. With kUntilClose, kDone never comes: the end of
  // the connection is the end of the body. Allowed trailers are added to `trailers` (copied to its
  // arena; a trailer section over limits is kBad): give the same list for the whole of a message.
  Body next(std::string_view& bytes, std::string_view& piece, HeaderList& trailers);

  // The peer closed. True when that ends the message cleanly (kUntilClose, or already done).
  bool finish_on_close() const;
  uint64_t body_left() const { return left_; }  // with Framing::kLength
  Framing framing() const { return framing_; }
  const char* error_reason() const { return reason_; }

 private:
  // Where in a chunked body the next byte belongs.
  enum class Chunk : uint8_t {
    kSize,
    kSizeMore,
    kSizeSpace,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,
    kDone
  };

  // The size of the head, or 0. Views are still of `bytes`.
  static size_t split_plain_request(std::string_view bytes, const HeadLimits& limits,
                                    RequestHead& out);
  Refusal judge_request(const HeadLimits& limits, RequestHead& out);
  void begin_body(Framing framing, uint64_t length, const HeadLimits& limits);
  Body bad(const char* reason);
  Body next_chunked(std::string_view& bytes, std::string_view& piece, HeaderList& trailers);
  // Steps over one size line as far as `bytes` goes; kPiece stands for "go on".
  Body read_size_line(std::string_view& bytes);
  Body end_size_line();
  Body read_trailers(std::string_view& bytes, HeaderList& trailers);
  Body end_trailer_line(std::string_view line, HeaderList& trailers);

  Framing framing_ = Framing::kNone;
  Chunk chunk_ = Chunk::kDone;
  uint8_t size_digits_ = 0;
  uint64_t left_ = 0;  // of the body (kLength) or of the chunk
  const char* reason_ = "";
  uint32_t line_bytes_ = 0;    // of the size line under way
  uint32_t excess_bytes_ = 0;  // framing bytes that body bytes have not yet paid for
  uint32_t trailer_bytes_left_ = 0;
  uint32_t trailers_left_ = 0;
  // A trailer line that came in parts, in the arena of `trailers`.
  char* partial_ = nullptr;
  uint32_t partial_size_ = 0;
  uint32_t partial_capacity_ = 0;
};

}  // namespace weir::http
