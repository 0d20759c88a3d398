#include "http/h2_callbacks.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace weir::http {
namespace {

// Decoded bytes of one block beyond its limit that are still worth an answer. More: the peer is no
// client that has too many cookies.
constexpr uint32_t kBombBytes = 256 * 1024;

constexpr uint32_t kFrameHeadBytes = 9;

H2Session& session_of(void* user) { return *static_cast<H2Session*>(user); }

H2Stream* stream_of(nghttp2_session* raw, int32_t id) {
  return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(raw, id));
}

std::string_view text_of(const uint8_t* bytes, size_t length) {
  return {reinterpret_cast<const char*>(bytes), length};
}

// Stream errors of nghttp2's own making: they cost as much as the resets of a peer.
bool is_blame(uint32_t code) {
  return code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
         code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_REFUSED_STREAM;
}

H2Flood kind_of(const nghttp2_frame_hd& head) {
  switch (head.type) {
    case NGHTTP2_DATA: {
      const bool counts = head.length == 0 && (head.flags & NGHTTP2_FLAG_END_STREAM) == 0;
      return counts ? H2Flood::kEmptyFrame : H2Flood::kCount;
    }
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_PUSH_PROMISE:
    case NGHTTP2_GOAWAY: return H2Flood::kCount;
    case NGHTTP2_PRIORITY:
    case NGHTTP2_PRIORITY_UPDATE: return H2Flood::kPriority;
    case NGHTTP2_RST_STREAM: return H2Flood::kReset;
    case NGHTTP2_SETTINGS: return H2Flood::kSettings;
    case NGHTTP2_PING: return H2Flood::kPing;
    case NGHTTP2_WINDOW_UPDATE: return H2Flood::kWindowUpdate;
    default: return H2Flood::kEmptyFrame;
  }
}

}  // namespace

std::vector<nghttp2_nv>& h2_field_scratch() {
  static thread_local std::vector<nghttp2_nv> fields;
  return fields;
}

const nghttp2_session_callbacks* H2Callbacks::table() {
  static const nghttp2_session_callbacks* made = [] {
    nghttp2_session_callbacks* table = nullptr;
    WEIR_CHECK(nghttp2_session_callbacks_new(&table) == 0);
    nghttp2_session_callbacks_set_on_begin_frame_callback(table, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(table, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(table, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(table, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(table, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(table, on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(table, on_not_sent);
    nghttp2_session_callbacks_set_send_data_callback(table, send_body);
    return table;
  }();
  return made;
}

nghttp2_data_provider H2Callbacks::body_of(H2Stream& stream) {
  nghttp2_data_provider provider = {};
  provider.source.ptr = &stream;
  provider.read_callback = read_body;
  return provider;
}

// ---- frames in ----

int H2Callbacks::on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head,
                                void* user) noexcept {
  H2Session& session = session_of(user);
  if (head->type != NGHTTP2_CONTINUATION) session.block_ = nullptr;  // one before has ended
  const H2Flood kind = kind_of(*head);
  if (kind == H2Flood::kCount) return 0;
  // Its own bucket is what bounds it.
  if (kind != H2Flood::kEmptyFrame) session.idle_bytes_ -= kFrameHeadBytes + int64_t(head->length);
  if (session.take(kind)) return 0;
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int H2Callbacks::on_begin_headers(nghttp2_session*, const nghttp2_frame* frame,
                                  void* user) noexcept {
  H2Session& session = session_of(user);
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    ++session.streams_open_;
    session.last_id_ = std::max(session.last_id_, frame->hd.stream_id);
  }
  session.block_ = session.fields_arena_->make<HeaderList>(*session.fields_arena_);
  session.block_id_ = frame->hd.stream_id;
  session.block_bytes_ = 0;
  session.block_refused_ = nullptr;
  return 0;
}

int H2Callbacks::on_header(nghttp2_session*, const nghttp2_frame*, const uint8_t* name,
                           size_t name_length, const uint8_t* value, size_t value_length,
                           uint8_t flags, void* user) noexcept {
  constexpr size_t kAroundField = 4;  // ": " and CRLF
  H2Session& session = session_of(user);
  if (session.block_ == nullptr) return 0;
  session.block_bytes_ += static_cast<uint32_t>(name_length + value_length + kAroundField);
  if (session.block_bytes_ > session.settings_.header_bytes_max) {
    session.block_refused_ = "head_too_large";
    if (session.block_bytes_ > session.settings_.header_bytes_max + kBombBytes) {
      session.fail(H2Code::kEnhanceYourCalm, "header_bomb");
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
  }
  if (session.block_->size() == session.settings_.headers_max + kH2PseudoFieldsMax) {
    session.block_refused_ = "too_many_headers";
    return 0;
  }
  // As a line, which is copied and written as a whole from here on.
  auto* const line = static_cast<char*>(
      session.fields_arena_->allocate(name_length + value_length + kAroundField, 1));
  char* const at = line + name_length + 2;
  std::memcpy(line, name, name_length);
  std::memcpy(line + name_length, ": ", 2);
  std::memcpy(at, value, value_length);
  std::memcpy(at + value_length, "\r\n", 2);
  const std::string_view field_name(line, name_length);
  session.block_->add(field_name, {at, value_length}, classify(field_name), true,
                      (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0);
  return 0;
}

void H2Callbacks::on_head(nghttp2_session* raw, const nghttp2_frame& frame, H2Session& session) {
  HeaderList* const fields = std::exchange(session.block_, nullptr);
  if (fields == nullptr) return;
  H2Event event = {.kind = H2Event::Kind::kHeaders};
  event.id = frame.hd.stream_id;
  event.stream = stream_of(raw, event.id);
  event.fields = fields;
  event.opens = frame.headers.cat == NGHTTP2_HCAT_REQUEST;
  event.last = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  event.refused = session.block_refused_;
  session.events_.push_back(event);
}

int H2Callbacks::on_frame(nghttp2_session* raw, const nghttp2_frame* frame, void* user) noexcept {
  H2Session& session = session_of(user);
  H2Event event = {.kind = H2Event::Kind::kEnd};
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS: on_head(raw, *frame, session); [[fallthrough]];
    case NGHTTP2_DATA:
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
      event.id = frame->hd.stream_id;
      event.stream = stream_of(raw, event.id);
      break;
    case NGHTTP2_SETTINGS:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) return 0;
      event.kind = H2Event::Kind::kSettings;
      break;
    case NGHTTP2_PING:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) return 0;
      event.kind = H2Event::Kind::kPong;
      break;
    case NGHTTP2_GOAWAY:
      event.kind = H2Event::Kind::kGoaway;
      event.code = static_cast<H2Code>(frame->goaway.error_code);
      break;
    default: return 0;
  }
  session.events_.push_back(event);
  return 0;
}

int H2Callbacks::on_data(nghttp2_session* raw, uint8_t, int32_t id, const uint8_t* data,
                         size_t length, void* user) noexcept {
  H2Session& session = session_of(user);
  session.floods_.earn_by_data();
  H2Event event = {.kind = H2Event::Kind::kData};
  event.id = id;
  event.stream = stream_of(raw, id);
  event.data = text_of(data, length);
  session.events_.push_back(event);
  return 0;
}

int H2Callbacks::on_close(nghttp2_session* raw, int32_t id, uint32_t code, void* user) noexcept {
  H2Session& session = session_of(user);
  session.forget_block(id);
  --session.streams_open_;
  H2Event event = {.kind = H2Event::Kind::kClosed};
  event.id = id;
  event.code = static_cast<H2Code>(code);
  event.stream = stream_of(raw, id);
  if (event.stream != nullptr) session.forget(*event.stream);
  session.events_.push_back(event);
  return 0;
}

// ---- frames out ----

int H2Callbacks::on_sent(nghttp2_session* raw, const nghttp2_frame* frame, void* user) noexcept {
  H2Session& session = session_of(user);
  switch (frame->hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS: {
      if (frame->hd.type == NGHTTP2_DATA) session.floods_.earn_by_data();
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) break;
      session.floods_.earn_by_answer();
      if (H2Stream* stream = stream_of(raw, frame->hd.stream_id)) {
        stream->end_framed_ = true;
        session.note_drained(*stream);
      }
      break;
    }
    case NGHTTP2_RST_STREAM:
      if (is_blame(frame->rst_stream.error_code)) session.take(H2Flood::kReset);
      break;
    case NGHTTP2_GOAWAY:
      // nghttp2's own verdict on what the peer sent.
      if (frame->goaway.error_code != NGHTTP2_NO_ERROR && *session.failure_ == '\0') {
        session.failure_code_ = static_cast<H2Code>(frame->goaway.error_code);
        session.failure_ = h2_code_word(session.failure_code_);
      }
      break;
    default: break;
  }
  return 0;
}

// A request that never left: the peer takes no more.
int H2Callbacks::on_not_sent(nghttp2_session* raw, const nghttp2_frame* frame, int,
                             void* user) noexcept {
  H2Session& session = session_of(user);
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  if (nghttp2_session_get_stream_local_close(raw, frame->hd.stream_id) != -1) return 0;
  --session.streams_open_;
  H2Event event = {.kind = H2Event::Kind::kClosed};
  event.id = frame->hd.stream_id;
  event.code = H2Code::kRefusedStream;
  event.stream = session.queued_request(event.id);
  if (event.stream != nullptr) session.forget(*event.stream);
  session.events_.push_back(event);
  return 0;
}

// Says how much of the body the next DATA frame takes; send_body() writes it.
ssize_t H2Callbacks::read_body(nghttp2_session* raw, int32_t id, uint8_t*, size_t length,
                               uint32_t* flags, nghttp2_data_source*, void* user) noexcept {
  if (session_of(user).out_->size() >= session_of(user).out_full_) return NGHTTP2_ERR_PAUSE;
  H2Stream* const stream = stream_of(raw, id);
  if (stream == nullptr) return NGHTTP2_ERR_DEFERRED;  // its reset is queued
  const size_t part = std::min(length, stream->queue_.size());
  if (part == 0 && !stream->ended_) {
    stream->starved_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (!stream->ended_ || part < stream->queue_.size()) return static_cast<ssize_t>(part);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (stream->trailers_ != nullptr) {
    std::vector<nghttp2_nv>& fields = h2_field_scratch();
    fields.clear();
    for (const Header& header : *stream->trailers_) {
      fields.push_back(h2_field(header.name, header.value, !header.never_indexed));
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(raw, id, fields.data(), fields.size()) != 0) {
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    fields.clear();
  }
  return static_cast<ssize_t>(part);
}

int H2Callbacks::send_body(nghttp2_session* raw, nghttp2_frame* frame, const uint8_t* head,
                           size_t length, nghttp2_data_source*, void* user) noexcept {
  H2Session& session = session_of(user);
  H2Stream* const stream = stream_of(raw, frame->hd.stream_id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  session.out_->append(text_of(head, kFrameHeadBytes));
  stream->framed_bytes_ += length;
  while (length > 0) {
    const std::string_view front = stream->queue_.front().substr(0, length);
    session.out_->append(front);
    length -= front.size();
    stream->queue_.consume(front.size());
  }
  if (stream->queue_.empty() && !stream->ended_) session.note_drained(*stream);
  return 0;
}

}  // namespace weir::http
