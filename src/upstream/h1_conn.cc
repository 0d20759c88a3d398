#include "upstream/h1_conn.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "http/rules.h"
#include "net/uv_error.h"
#include "net/worker.h"
#include "upstream/pool.h"

namespace weir::upstream {

namespace {

constexpr http::HeadLimits kResponseLimits = {.header_size_bytes = limits::kUpstreamHeadBytes,
                                              .headers = limits::kUpstreamHeaders};

// A server that says "timeout=5" closes at 5 s by its own clock: leave before that.
uint64_t idle_before_server_ms(uint32_t timeout_s) {
  if (timeout_s == 0) return 0;
  constexpr uint64_t kMarginMs = 500;
  return uint64_t{timeout_s} * 1000 - kMarginMs;
}

}  // namespace

H1Conn::H1Conn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts, ConnUser& user)
    : ServerConn(pool, target, timeouts), user_(&user) {
  count_user();
  dial();
}

H1Conn::H1Conn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts, ConnUser& user,
               std::unique_ptr<net::Stream> stream)
    : ServerConn(pool, target, timeouts, std::move(stream)), user_(&user) {
  count_user();
}

ServerSide& H1Conn::lend(ConnUser& user, const UpstreamTimeouts& timeouts) {
  WEIR_ASSERT(state_ == State::kIdle && user_ == nullptr);
  pool_.let_go_of_idle(*this);
  user_ = &user;
  timeouts_ = timeouts;
  state_ = State::kActive;
  begin_request();
  timer_.cancel();
  ++requests_;
  count_user();
  return *this;
}

void H1Conn::on_dialled() {
  begin_request();
  user_->on_conn_ready(*this);
}

void H1Conn::begin_request() {
  got_bytes_ = head_done_ = message_done_ = request_sent_ = keep_ = false;
  sent_before_ = stream_->sent_bytes();
}

void H1Conn::on_dial_failed(const Error& error) { fail(error); }

void H1Conn::send_head(const OutgoingHead& request) {
  const http::RequestHead& head = request.head;
  method_ = head.method;
  chunked_ = head.framing == http::Framing::kChunked;
  http::write_request_head(head, head.authority, request.skip_mask, request.extras,
                           request.extras_count, head.upgrade, stream_->out());
  stream_->flush_soon();
}

void H1Conn::send_body(std::string_view piece) {
  if (!chunked_) {
    write(piece);
    return;
  }
  char size[20];
  stream_->out().append({size, http::format_chunk_size(piece.size(), size)});
  write(piece);
  write("\r\n");
}

void H1Conn::write(std::string_view bytes) {
  stream_->write(bytes);
  if (!stream_->congested() || timer_.armed()) return;
  sent_mark_ = stream_->sent_bytes();
  timer_.arm_ms(timeouts_.send_ms);
}

void H1Conn::send_end(const http::HeaderList* trailers) {
  if (chunked_) {
    http::write_last_chunk(trailers, stream_->out());
    stream_->flush_soon();
  }
  request_sent_ = true;
  if (!paused_) timer_.arm_ms(timeouts_.read_ms);
}

void H1Conn::pause() {
  paused_ = true;
  stream_->stop_reading();
  // The client is slow, not the server: its silence does not count.
  if (!stream_->congested()) timer_.cancel();
}

void H1Conn::resume() {
  if (!paused_) return;
  paused_ = false;
  stream_->start_reading();
  if (request_sent_ && state_ == State::kActive) timer_.arm_ms(timeouts_.read_ms);
}

void H1Conn::on_bytes(std::string_view bytes) {
  switch (state_) {
    case State::kTunnel: user_->on_tunnel_bytes(bytes); return;
    case State::kActive:
      if (got_bytes_ || !nothing_sent()) break;
      fail_lost("spoke before it was asked");  // of an earlier request, or none: of no stranger's
      return;
    default:
      end();  // bytes that nobody asked for: the next answer could not be trusted
      return;
  }
  // A head has that time as a whole: a server that drips it is no better than one that is silent.
  if (request_sent_ && head_done_) timer_.arm_ms(timeouts_.read_ms);
  got_bytes_ = true;
  while (!bytes.empty() && !head_done_) {
    if (!take_head(bytes)) return;
  }
  if (state_ == State::kTunnel) {
    if (!bytes.empty()) user_->on_tunnel_bytes(bytes);
    return;
  }
  if (head_done_) take_body(bytes);
}

// Finds the end of a head, copies the head into the user's memory and parses it there.
bool H1Conn::take_head(std::string_view& bytes) {
  const bool in_pieces = !partial_.empty();
  const size_t held = partial_.size();
  if (in_pieces) partial_.append(bytes);
  const std::string_view input = in_pieces ? std::string_view(partial_) : bytes;
  const http::HeadScan scan =
      http::scan_head(input, in_pieces ? scanned_ : 0, false, kResponseLimits);
  if (scan.refusal) {
    fail(scan.refusal.status == 431 ? ErrorKind::kTooLarge : ErrorKind::kMalformed, Retry::kNever,
         scan.refusal.reason);
    return false;
  }
  if (scan.end == 0) {
    if (!in_pieces) partial_.assign(bytes);
    scanned_ = scan.resume;
    bytes = {};
    return true;
  }
  if (request_sent_) timer_.arm_ms(timeouts_.read_ms);
  head_ = &user_->next_response_head();
  const std::string_view text =
      head_->headers.arena().copy(input.substr(scan.begin, scan.end - scan.begin));
  bytes.remove_prefix(scan.end - held);
  if (in_pieces) std::string().swap(partial_);
  scanned_ = 0;
  if (const http::Refusal refusal =
          parser_.parse_response(text, method_, kResponseLimits, *head_)) {
    fail(ErrorKind::kMalformed, Retry::kNever, refusal.reason);
    return false;
  }
  return deliver_head(*head_);
}

bool H1Conn::deliver_head(http::ResponseHead& head) {
  if (head.status == 101) {
    state_ = State::kTunnel;
    head_done_ = true;
    timer_.cancel();
    stream_->detect_dead_peer(0);  // timeouts.send is not for tunnels
    user_->on_upgraded();
    return user_ != nullptr;
  }
  if (head.status < 200) {
    user_->on_informational();
    return user_ != nullptr;
  }
  head_done_ = true;
  keep_ = head.keep_alive;
  server_idle_ms_ = idle_before_server_ms(head.keep_alive_timeout_s);
  user_->on_response_head();
  return user_ != nullptr;
}

bool H1Conn::take_body(std::string_view& bytes) {
  for (;;) {
    std::string_view piece;
    switch (parser_.next(bytes, piece, user_->response_trailers())) {
      case http::H1Parser::Body::kPiece:
        user_->on_response_body(piece);
        if (user_ == nullptr) return false;
        break;
      case http::H1Parser::Body::kNeed: return true;
      case http::H1Parser::Body::kDone:
        message_done_ = true;
        timer_.cancel();
        if (!bytes.empty()) keep_ = false;  // more than one answer: not to be trusted again
        user_->on_response_end();
        return false;
      case http::H1Parser::Body::kBad:
        fail(ErrorKind::kMalformed, Retry::kNever, parser_.error_reason());
        return false;
    }
  }
}

void H1Conn::on_eof() {
  if (state_ == State::kTunnel) {
    user_->on_tunnel_eof();
  } else if (state_ == State::kActive && head_done_ && !message_done_ &&
             parser_.finish_on_close()) {
    message_done_ = true;
    keep_ = false;
    timer_.cancel();
    user_->on_response_end();
  } else if (user_ != nullptr) {
    fail_lost(got_bytes_ ? "closed in the answer" : "closed");
  } else {
    end();
  }
}

void H1Conn::on_lost(int uv_error) {
  if (user_ == nullptr) {
    end();
  } else {
    fail_lost(net::error_name(uv_error));
  }
}

void H1Conn::on_drained() {
  if (user_ == nullptr) return;
  if (state_ == State::kActive && request_sent_ && !paused_) {
    timer_.arm_ms(timeouts_.read_ms);
  } else {
    timer_.cancel();
  }
  user_->on_conn_drained();
}

void H1Conn::on_deadline() {
  if (state_ == State::kIdle) {
    end();
  } else if (stream_->congested()) {
    // libuv tells only when all is written: progress in between is as good.
    if (stream_->sent_bytes() == sent_mark_) {
      fail(ErrorKind::kTimeout, Retry::kNever, "send timeout");
      return;
    }
    sent_mark_ = stream_->sent_bytes();
    timer_.arm_ms(timeouts_.send_ms);
  } else {
    fail(ErrorKind::kTimeout, Retry::kNever, "read timeout");
  }
}

void H1Conn::release() {
  user_ = nullptr;
  head_ = nullptr;
  const bool good = state_ == State::kActive && message_done_ && keep_ && request_sent_ &&
                    stream_->unsent() == 0 && pool_.may_keep(*this, requests_);
  if (!good) {
    end();
    return;
  }
  if (paused_) {
    paused_ = false;
    stream_->start_reading();
  }
  discount_user();
  pool_.remember(*this, server_idle_ms_);
}

void H1Conn::on_idle(uint64_t timeout_ms) {
  state_ = State::kIdle;
  timer_.arm_ms(timeout_ms);
}

void H1Conn::abandon() {
  user_ = nullptr;
  end();
}

void H1Conn::fail_lost(const char* detail) {
  if (got_bytes_) {
    fail(ErrorKind::kReset, Retry::kNever, detail);
  } else if (!nothing_sent()) {
    fail(ErrorKind::kReset, Retry::kIfIdempotent, detail);
  } else {
    // A new connection that was of no use is a failure to connect.
    fail(reused() ? ErrorKind::kReset : ErrorKind::kConnect, Retry::kNothingSent, detail);
  }
}

void H1Conn::fail(ErrorKind kind, Retry retry, const char* detail) {
  fail({Source::kUpstream, kind, retry, detail});
}

void H1Conn::fail(const Error& error) {
  ConnUser* user = std::exchange(user_, nullptr);
  end();
  user->on_conn_failed(error);
}

// What is queued of a request must not leave once its attempt is over: another server may have it.
void H1Conn::on_end() {
  if (state_ == State::kActive) stream_->drop_queued();
  user_ = nullptr;
}

}  // namespace weir::upstream
