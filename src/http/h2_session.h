// One HTTP/2 connection (RFC 9113), of either role: bytes in, events out; heads, body pieces and
// ends in, frames out. On nghttp2, which only src/http/h2_*.cc include. Knows no sockets and
// decides nothing about messages: that is http/h2_rules. nghttp2's callbacks only note (rule L6).
// Thread-confined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/intrusive_list.h"
#include "http/h2_floods.h"
#include "http/headers.h"

struct nghttp2_session;

namespace weir::http {

// RFC 9113 7.
enum class H2Code : uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
  kHttp11Required = 13,
};
const char* h2_code_word(H2Code code);  // "PROTOCOL_ERROR"

// Pseudo-fields that one block may hold (RFC 9113 8.3.1, RFC 8441).
inline constexpr uint32_t kH2PseudoFieldsMax = 6;

const char* h2_library_version();  // nghttp2's, "1.52.0"

// The first bytes of every client (RFC 9113 3.4).
inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// A stream as its owner attaches it to a session: a base or a member of the owner's own object.
// Must stay where it is until the session has told kClosed, detach() was called, or the session is
// destroyed.
class H2Stream {
 public:
  explicit H2Stream(BlockPool& pool) : queue_(pool), kept_(pool) {}
  H2Stream(const H2Stream&) = delete;
  H2Stream& operator=(const H2Stream&) = delete;

  int32_t stream_id() const { return id_; }  // 0: not attached yet
  // False once the session has closed it: what is sent to it then goes nowhere.
  bool attached() const { return attached_; }
  // Body bytes that were given to send() and are not in frames yet: for a slow peer, or because it
  // grants no window.
  size_t queued() const { return queue_.size(); }
  // Nothing waits to be put in frames: neither body bytes nor, behind them, the end.
  bool all_framed() const { return queue_.empty() && ended_ == end_framed_; }
  // Body bytes in frames so far.
  uint64_t framed_bytes() const { return framed_bytes_; }

 protected:
  ~H2Stream() = default;

 private:
  friend class H2Session;
  friend struct H2Callbacks;
  Buffer queue_;
  Arena kept_;                      // trailers wait here for the end of the body
  HeaderList* trailers_ = nullptr;  // in kept_
  uint64_t framed_bytes_ = 0;
  int32_t id_ = 0;
  bool attached_ = false;
  bool ended_ = false;    // send_end() was called
  bool starved_ = false;  // nghttp2 asked for bytes and there were none
  bool watched_ = false;  // wants kDrained
  bool end_framed_ = false;
  ListHook hook_;
};

struct H2Event {
  enum class Kind : uint8_t {
    kHeaders,   // `fields`: of a request, an answer (interim ones too), or trailers
    kData,      // `data`, not empty. Give it back by consumed(), at any time
    kEnd,       // the peer sends no more on this stream
    kClosed,    // the session has forgotten the stream: its last event. `code`: how it ended
    kDrained,   // of a watched stream: all that was given to send() is in frames, and so is the
                // end if send_end() was called
    kGoaway,    // the peer takes no new streams; those above last_stream are closed as refused
    kSettings,  // the peer's settings have changed
    kPong,      // the answer to ping()
  };
  Kind kind = Kind::kHeaders;
  bool opens = false;             // kHeaders: of a stream that the peer has just opened
  bool last = false;              // kHeaders: kEnd follows at once
  const char* refused = nullptr;  // kHeaders: the limit that was reached; `fields` is not whole
  H2Code code = H2Code::kNoError;
  int32_t id = 0;                // 0: of the connection
  H2Stream* stream = nullptr;    // null: of none, or not attached when it came (see find())
  HeaderList* fields = nullptr;  // in the session's memory: until clear_events(). Not judged yet
  std::string_view data = {};    // a view of the bytes given to receive()
};

struct H2Settings {
  uint32_t streams_max = 128;                 // that the peer may have open at once
  uint32_t stream_window_bytes = 256 * 1024;  // of a body, that may be on its way unasked
  uint32_t connection_window_bytes = 1 << 20;
  uint32_t header_bytes_max = 32 * 1024;  // of one block, decoded: names, values, 4 for each
  uint32_t headers_max = 100;
  bool connect_protocol = false;  // server: RFC 8441
};

class H2Session {
 public:
  enum class Role : uint8_t { kServer, kClient };

  // The first frames (preface, SETTINGS, the connection's window) are queued: serialise() soon.
  H2Session(Role role, const H2Settings& settings, BlockPool& pool);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  // ---- bytes in ----

  // Takes bytes from the front of `bytes`, at most 16 KiB, and fills events(). Call, read the
  // events, clear_events(), and again until `bytes` is empty. `now_ms`: for the bounds on floods.
  // False: the connection is lost (see failure()): serialise() what is queued, and close.
  bool receive(std::string_view& bytes, uint64_t now_ms);
  // Valid until clear_events(). serialise() may add kDrained and kClosed at the end.
  const std::vector<H2Event>& events() const { return events_; }
  void clear_events();
  // Looks up an attached stream; null: closed, or of nobody.
  H2Stream* find(int32_t id) const;
  // The stream whose head has begun and is not complete; 0: none.
  int32_t head_under_way() const { return block_ == nullptr ? 0 : block_id_; }

  // Body bytes of kData are dealt with. `hold`: only the connection's window opens again, the
  // stream's stays (its reader is slow; say the rest by open_window()).
  void consumed(int32_t id, size_t bytes, bool hold);
  void open_window(int32_t id, size_t bytes);

  // ---- streams ----

  // Server: `stream` answers for the request `id`. False: that one is closed already.
  bool attach(int32_t id, H2Stream& stream);
  // The owner of `stream` leaves: no event of it comes any more. It is reset if it is still open.
  void detach(H2Stream& stream, H2Code code);

  // A field of the head or trailers to come: text that stays until the next submit below.
  // Not `indexed`: a value that the table, which all streams share, is not to keep.
  void add_field(std::string_view name, std::string_view value, bool indexed = true);
  // Client: opens a stream with the fields so far. REQUIRES can_open(). `end`: no body follows.
  bool submit_request(H2Stream& stream, bool end);
  // Server: interim or final head from the fields so far.
  void submit_informational(H2Stream& stream);
  void submit_response(H2Stream& stream, bool end);
  // Body bytes: copied, and framed by serialise() as windows allow. After a head.
  void send(H2Stream& stream, std::string_view bytes);
  // No more bytes; trailers are the fields so far, if there are any.
  void send_end(H2Stream& stream);
  // Tell kDrained, once. False: there is nothing to wait for.
  bool watch(H2Stream& stream) {
    stream.watched_ = stream.attached_ && !stream.end_framed_;
    return stream.watched_;
  }
  // The peer's windows keep back what is queued of the stream.
  bool window_closed(const H2Stream& stream) const;
  // RST_STREAM; what is queued of the stream is dropped. kClosed follows from serialise().
  void reset(int32_t id, H2Code code);
  // Server: RFC 9218, from the request's own field.
  void set_priority(int32_t id, uint32_t urgency, bool incremental);

  // ---- the connection ----

  // Client: the peer takes one more stream now.
  bool can_open() const;
  // Client: streams that the peer allows at once, as it said last.
  uint32_t streams_allowed() const;
  size_t streams_open() const { return streams_open_; }
  bool peer_allows_connect() const;  // client: RFC 8441
  void ping();
  // The first step of leaving: new streams are still taken (RFC 9113 6.8).
  void announce_shutdown();
  // The second: of the streams that the peer opens, the last one that is served is the returned
  // one. Until the frame has left, younger ones may still be told: reset() them.
  int32_t go_away(H2Code code);
  // Ends the connection once what is queued is written.
  void terminate(H2Code code);
  // Near the end of the stream ids: time to leave.
  bool ids_nearly_used() const;

  // Appends frames to `out` until there are no more, or `out` holds `full_bytes`.
  void serialise(Buffer& out, size_t full_bytes);
  bool wants_write() const;
  // Nothing more to read and nothing to write: close.
  bool done() const;
  // Why the connection failed: a word of a closed list, for logs and the `reason` label; empty
  // when it did not.
  const char* failure() const { return failure_; }
  H2Code failure_code() const { return failure_code_; }

 private:
  friend struct H2Callbacks;
  void fail(H2Code code, const char* reason);
  bool take(H2Flood kind);
  H2Stream* queued_request(int32_t id);
  void keep_open_block();
  void forget_block(int32_t id);
  void forget(H2Stream& stream);
  void note_drained(H2Stream& stream);
  void wake(H2Stream& stream);
  void write_frames(size_t full_bytes);

  struct Deleter {
    void operator()(nghttp2_session* session) const;
  };
  std::unique_ptr<nghttp2_session, Deleter> session_;
  const H2Settings settings_;
  const Role role_;
  std::vector<H2Event> events_;
  // Heads that events point to. Two take turns: a head under way moves to the other one.
  Arena fields_arenas_[2];
  Arena* fields_arena_ = &fields_arenas_[0];
  H2FloodGuard floods_;
  // The header block that is being decoded.
  HeaderList* block_ = nullptr;  // null: none
  int32_t block_id_ = 0;
  uint32_t block_bytes_ = 0;
  const char* block_refused_ = nullptr;

  IntrusiveList<H2Stream, &H2Stream::hook_> streams_;  // attached
  uint64_t now_ms_ = 0;
  int64_t idle_bytes_ = 0;  // of frames since the last event, without those that floods_ counts
  size_t streams_open_ = 0;
  int32_t last_id_ = 0;    // the newest stream of either side
  Buffer* out_ = nullptr;  // inside serialise()
  size_t out_full_ = 0;
  const char* failure_ = "";
  H2Code failure_code_ = H2Code::kNoError;
};

}  // namespace weir::http
