// What filters do with the body of an answer: give one of their own, keep a copy of a server's, or
// change it on its way to the client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "http/accept_encoding.h"
#include "http/message.h"

namespace weir::proxy {

// An answer that no server sends to this exchange: a stored object, one that is being fetched, a
// file. It takes the same way out as a server's answer: response filters, framing, back pressure.
// Owner: the exchange's arena. Thread: the exchange's worker.
class ResponseSource {
 public:
  enum class State : uint8_t {
    kBytes,   // some of the body
    kFile,    // some of the body is in a file: sent() says how much of that has left
    kWait,    // Exchange::on_source_ready() will be called, in a later round or turn
    kEnd,     // it is complete
    kBroken,  // it never will be: the answer is cut
  };
  struct Piece {
    State state = State::kEnd;
    std::span<const std::string_view> spans = {};  // good until the next call; some with kBytes
    bool keeps_rest = false;  // of kBytes: sent() says how much of them is done with
    int file = -1;                                 // with kFile, and open until the next call
    uint64_t offset_bytes = 0;
    size_t bytes = 0;
  };

  static constexpr size_t kSpansMax = 8;  // of a piece

  // Fills a fresh head: status, fields but Content-Length, framing (kLength, kChunked or kNone).
  // Called once, first. What it points to lives as long as the source.
  virtual void fill_head(http::ResponseHead& head) = 0;
  // Of the whole answer, where fill_head() has given a 304 or a part of it; null: it has not.
  virtual const http::HeaderList* whole_fields() const { return nullptr; }
  // The next of the body. Not called for answers without one (HEAD, 204, 304).
  virtual Piece next() = 0;
  // Of a kFile, which is given only while Exchange::takes_files(), and of a piece that keeps_rest.
  virtual void sent(size_t /*bytes*/) {}
  // Its body in that coding from now on, `length_bytes` long. Only before the first next(), by a
  // filter that has seen its head.
  enum class Turned : uint8_t {
    kNone,   // it has none such: whoever wants it makes it on the way
    kPlain,  // nor is it worth while: it would not get smaller
    kCoded,
  };
  virtual Turned turn_to(http::Encoding /*encoding*/, uint64_t& /*length_bytes*/) {
    return Turned::kNone;
  }
  // For the log, after kBroken.
  virtual Error why_broken() const {
    return {Source::kUpstream, ErrorKind::kReset, Retry::kNever, "a shared answer broke off"};
  }

 protected:
  ~ResponseSource() = default;
};

// Where the body of a server's answer goes when a filter keeps it (FilterContext::record()). It is
// read as fast as the recorder takes it, whatever the client's pace, and to its end even when the
// client has left. Owner: the exchange, then its Remainder. Destroyed without complete(): the
// answer has no end. Thread: the exchange's worker.
class Recorder {
 public:
  virtual ~Recorder() = default;
  // False: it takes no more, and is destroyed. What it has taken its source can still give.
  virtual bool put(std::string_view piece) = 0;
  virtual void complete() = 0;
  // The rest is of use without the client for whom it was asked.
  virtual bool wants_rest() const = 0;
  // The worker is to end: nobody new reads along from now on. Whether somebody does, and needs the
  // rest. May be called again.
  virtual bool close() = 0;
};

class BodySink {
 public:
  virtual void put(std::string_view bytes) = 0;

 protected:
  ~BodySink() = default;
};

// Changes a body while it passes (FilterContext::transform_body()). Whoever sends it pauses as long
// as the client takes nothing, so a stage never has to stop in the middle. Owner: the exchange's
// arena.
class BodyStage {
 public:
  virtual void put(std::string_view piece, BodySink& out) = 0;
  // Nothing more is at hand: what was put so far must be able to reach the client.
  virtual void flush(BodySink& out) = 0;
  virtual void end(BodySink& out) = 0;  // once, last

 protected:
  ~BodyStage() = default;
};

}  // namespace weir::proxy
