#include "upstream/h2_call.h"

#include <utility>

#include "base/limits.h"
#include "http/h2_rules.h"
#include "http/h2_writer.h"
#include "http/websocket.h"
#include "net/worker.h"
#include "upstream/h2_conn.h"
#include "upstream/pool.h"

namespace weir::upstream {

namespace {

constexpr http::HeadLimits kResponseLimits = {.header_size_bytes = limits::kUpstreamHeadBytes,
                                              .headers = limits::kUpstreamHeaders};

}  // namespace

H2Call::H2Call(H2Conn& conn, ConnUser& user, const UpstreamTimeouts& timeouts)
    : H2Stream(conn.pool_.worker().blocks()),
      conn_(&conn),
      user_(&user),
      timer_(conn.pool_.worker().timers(), this, &net::Timer::call<H2Call, &H2Call::on_timeout>),
      timeouts_(timeouts) {}

// ---- the request ----

bool H2Call::takes_upgrade() const { return conn_->session_->peer_allows_connect(); }

void H2Call::send_head(const OutgoingHead& request) {
  const http::RequestHead& head = request.head;
  http::H2Session& session = *conn_->session_;
  method_ = head.method;
  upgrade_ = head.upgrade;
  if (!upgrade_.empty()) {
    if (const http::Header* key = head.headers.find("Sec-WebSocket-Key")) {
      accept_ = http::websocket_accept(key->value, head.headers.arena());
    }
  }
  // HTTP/1.0 knows requests without one, HTTP/2 does not (RFC 9113 8.3.1).
  const std::string_view authority =
      head.authority.empty() ? own_host(conn_->pool_.state().server) : head.authority;
  http::add_h2_request(head, conn_->scheme(), authority, request.skip_mask, request.extras,
                       request.extras_count, session);
  const bool end = head.framing == http::Framing::kNone && upgrade_.empty();
  head_sent_ = session.submit_request(*this, end);
  if (!head_sent_) timer_.arm_ms(1);  // no stream is left: told in a later turn
  conn_->flush_soon();
  conn_->look_for_room();
}

void H2Call::send_body(std::string_view piece) {
  conn_->session_->send(*this, piece);
  conn_->flush_soon();
  if (congested_ || queued() < limits::kH2QueueBytes) return;
  congested_ = true;
  conn_->session_->watch(*this);
  if (tunnel_) return;  // has no time but its user's
  sent_mark_ = framed_bytes();
  timer_.arm_ms(timeouts_.send_ms);
}

void H2Call::send_end(const http::HeaderList* trailers) {
  if (!upgrade_.empty()) {  // its body is the tunnel
    arm_read();
    return;
  }
  http::add_h2_trailers(trailers, *conn_->session_);
  conn_->session_->send_end(*this);
  conn_->flush_soon();
  request_sent_ = true;
  arm_read();
}

void H2Call::shutdown_tunnel() {
  conn_->session_->send_end(*this);
  if (attached()) {
    ending_ = true;
    conn_->session_->watch(*this);
  }
  conn_->flush_soon();
}

// The end of a tunnel counts: it has to be said, or the stream would be reset.
size_t H2Call::unsent() const { return attached() ? queued() + (ending_ ? 1 : 0) : 0; }

void H2Call::on_queue_empty() {
  if (tunnel_) ending_ = false;
  congested_ = false;
  timer_.cancel();
  arm_read();
  user_->on_conn_drained();
}

// ---- the answer's flow ----

void H2Call::pause() {
  paused_ = true;
  // The client is slow, not the server: its silence does not count.
  if (!congested_) timer_.cancel();
}

void H2Call::resume() {
  if (!paused_) return;
  paused_ = false;
  if (const size_t bytes = std::exchange(held_window_bytes_, 0); bytes > 0 && attached()) {
    conn_->session_->open_window(stream_id(), bytes);
    conn_->flush_soon();
  }
  arm_read();
}

void H2Call::arm_read() {
  const bool awaits = request_sent_ || !upgrade_.empty();
  if (awaits && !paused_ && !congested_ && !tunnel_ && !message_done_) {
    timer_.arm_ms(timeouts_.read_ms);
  }
}

void H2Call::on_head(const http::H2Event& event, bool ends) {
  if (event.refused != nullptr) {
    fail(ErrorKind::kTooLarge, Retry::kNever, event.refused);
    return;
  }
  got_bytes_ = true;
  if (head_done_) {
    on_trailers(*event.fields, ends);
    return;
  }
  arm_read();
  http::ResponseHead& head = user_->next_response_head();
  if (const http::Refusal refusal =
          http::read_h2_response(*event.fields, ends, method_, kResponseLimits, head)) {
    fail_malformed(refusal.reason);
    return;
  }
  if (head.status < 200) {
    if (ends) {
      fail_malformed("end_before_answer");
    } else {
      user_->on_informational();
    }
    return;
  }
  head_done_ = true;
  if (!upgrade_.empty() && head.status < 300) {
    become_tunnel(head);
    return;
  }
  body_allowed_ = head.framing != http::Framing::kNone;
  length_known_ = head.framing == http::Framing::kLength;
  length_left_ = head.content_length;
  user_->on_response_head();
}

// RFC 8441 5.1: what a 101 is over HTTP/1.1.
void H2Call::become_tunnel(http::ResponseHead& head) {
  tunnel_ = true;
  timer_.cancel();
  head.status = 101;
  head.upgrade = upgrade_;
  head.framing = http::Framing::kNone;
  head.headers.remove(http::HeaderId::kContentLength);
  if (!accept_.empty()) head.headers.set("Sec-WebSocket-Accept", accept_);
  user_->on_upgraded();
}

void H2Call::on_trailers(const http::HeaderList& fields, bool ends) {
  if (!ends) {
    fail_malformed("trailers_without_end");
  } else if (const http::Refusal refusal =
                 http::read_h2_trailers(fields, user_->response_trailers())) {
    fail_malformed(refusal.reason);
  }
}

void H2Call::on_data(std::string_view data) {
  if (tunnel_) {
    user_->on_tunnel_bytes(data);
    return;
  }
  arm_read();
  if (!head_done_) {
    fail_malformed("body_before_head");
  } else if (!body_allowed_) {
    fail_malformed("body_unexpected");
  } else if (length_known_ && data.size() > length_left_) {
    fail_malformed("body_too_long");
  } else {
    length_left_ -= length_known_ ? data.size() : 0;
    user_->on_response_body(data);
  }
}

void H2Call::on_message_end() {
  if (tunnel_) {
    user_->on_tunnel_eof();
  } else if (!head_done_) {
    fail_malformed("end_before_answer");
  } else if (length_known_ && length_left_ > 0) {
    fail_malformed("body_too_short");
  } else {
    message_done_ = true;
    timer_.cancel();
    user_->on_response_end();
  }
}

// ---- the end ----

void H2Call::on_closed(http::H2Code code) {
  if (user_ == nullptr) {
    end(http::H2Code::kNoError);
    return;
  }
  reused_ = false;  // the server speaks of this request, not of a connection that was left
  if (code == http::H2Code::kRefusedStream && !got_bytes_) {
    fail(ErrorKind::kReset, Retry::kNothingSent, "stream refused");
  } else if (code == http::H2Code::kNoError) {
    fail(ErrorKind::kReset, retry_now(), "stream closed in the answer");
  } else {
    fail(ErrorKind::kReset, retry_now(), http::h2_code_word(code));
  }
}

void H2Call::release() {
  user_ = nullptr;
  timer_.cancel();
  // What the server did not take of the body it does not want. Else its last frames are under way.
  if (!attached() || queued() > 0) end(http::H2Code::kCancel);
}

void H2Call::abandon() { end(http::H2Code::kCancel); }

Retry H2Call::retry_now() const {
  if (!head_sent_) return Retry::kNothingSent;
  return got_bytes_ ? Retry::kNever : Retry::kIfIdempotent;
}

void H2Call::on_timeout() {
  if (!head_sent_) {
    fail(ErrorKind::kReset, Retry::kNothingSent, "no stream is left");
  } else if (!congested_) {
    fail(ErrorKind::kTimeout, Retry::kNever, "read timeout");
  } else if (framed_bytes() == sent_mark_) {
    fail(ErrorKind::kTimeout, Retry::kNever, "send timeout");
  } else {
    sent_mark_ = framed_bytes();
    timer_.arm_ms(timeouts_.send_ms);
  }
}

void H2Call::fail_malformed(const char* reason) {
  fail(ErrorKind::kMalformed, Retry::kNever, reason);
}

void H2Call::fail(ErrorKind kind, Retry retry, const char* detail) {
  fail({Source::kUpstream, kind, retry, detail});
}

void H2Call::fail(const Error& error) {
  ConnUser* user = std::exchange(user_, nullptr);
  end(error.kind == ErrorKind::kMalformed ? http::H2Code::kProtocolError : http::H2Code::kCancel);
  if (user != nullptr) user->on_conn_failed(error);
}

void H2Call::end(http::H2Code code) {
  if (over_) return;
  over_ = true;
  user_ = nullptr;
  timer_.cancel();
  hook_.unlink();
  conn_->forget(*this, code);
}

}  // namespace weir::upstream
