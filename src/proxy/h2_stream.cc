#include "proxy/h2_stream.h"

#include <utility>

#include "base/limits.h"
#include "http/h2_writer.h"
#include "net/worker.h"
#include "proxy/h2_connection.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

H2ClientStream::H2ClientStream(H2Connection& connection)
    : http::H2Stream(connection.worker().net().blocks()),
      connection_(connection),
      early_(connection.worker().net().blocks()),
      body_timer_(connection.worker().net().timers(), this,
                  &net::Timer::call<H2ClientStream, &H2ClientStream::on_body_timeout>),
      send_timer_(connection.worker().net().timers(), this,
                  &net::Timer::call<H2ClientStream, &H2ClientStream::on_send_timeout>) {}

const ListenerConfig& H2ClientStream::config() const { return connection_.config(); }
const http::Address& H2ClientStream::peer() const { return connection_.peer(); }
http::ConnectionEnds H2ClientStream::ends() const { return connection_.ends(); }
uint32_t H2ClientStream::listener_slot() const { return connection_.slot(); }
const net::Tls* H2ClientStream::tls() const { return connection_.tls(); }
std::string_view H2ClientStream::scheme() const {
  return connection_.tls() == nullptr ? "http" : "https";
}

// ---- the request ----

void H2ClientStream::begin(const http::H2Event& head) {
  ProxyWorker& worker = connection_.worker();
  request_ended_ = head.last;
  exchange_ = std::make_unique<Exchange>(worker, *this);
  http::RequestHead& request = exchange_->request();
  http::H2Refusal refusal =
      http::read_h2_request(*head.fields, head.last, true, config().limits, request);
  if (head.refused != nullptr) refusal = {{431, head.refused}, false};
  if (refusal) {
    refuse(refusal);
    return;
  }
  if (const http::Header* priority = request.headers.find("priority")) {
    const http::H2Priority wanted = http::read_h2_priority(priority->value);
    connection_.session().set_priority(stream_id(), wanted.urgency, wanted.incremental);
  }
  if (!request.upgrade.empty()) {
    add_websocket_key(request);
  } else if (!request_ended_ && !request.expect_continue) {
    body_timer_.arm_ms(config().timeouts.body_ms);
  }
  exchange_->start(request_ended_ || !request.upgrade.empty());  // a tunnel's bytes are no body
}

// RFC 8441 5.1: the client sends none; the server asks for one (RFC 6455 4.1).
void H2ClientStream::add_websocket_key(http::RequestHead& request) {
  uint8_t key[http::kWebsocketKeyBytes];
  connection_.worker().random_bytes(key, sizeof(key));
  request.headers.remove("sec-websocket-key");
  request.headers.add("Sec-WebSocket-Key", http::websocket_key(key, exchange_->arena()));
}

void H2ClientStream::refuse(const http::H2Refusal& refusal) {
  if (refusal.malformed) {
    muted_ = true;
    reset_code_ = http::H2Code::kProtocolError;
  }
  exchange_->refuse(refusal);
}

void H2ClientStream::on_trailers(const http::H2Event& trailers) {
  if (exchange_ == nullptr || request_ended_) return;
  if (!trailers.last) {
    fail_malformed("trailers_without_end");
  } else if (trailers.refused != nullptr) {
    fail_malformed(trailers.refused);
  } else if (tunnel_ || !exchange_->request().upgrade.empty()) {
    fail_malformed("trailers_in_tunnel");
  } else if (const http::H2Refusal refusal =
                 http::read_h2_trailers(*trailers.fields, exchange_->request_trailers())) {
    fail_malformed(refusal.reason);
  }
}

void H2ClientStream::on_data(std::string_view piece) {
  http::H2Session& session = connection_.session();
  if (exchange_ == nullptr || request_ended_) {
    session.consumed(stream_id(), piece.size(), request_ended_);
    bytes_in_ += piece.size();
    return;
  }
  bytes_in_ += piece.size();
  const http::RequestHead& request = exchange_->request();
  const bool waits_for_tunnel = !tunnel_ && !request.upgrade.empty();
  const bool hold = body_paused_ || waits_for_tunnel;
  if (hold) withheld_bytes_ += piece.size();
  session.consumed(stream_id(), piece.size(), hold);
  if (tunnel_) {
    exchange_->on_client_tunnel_bytes(piece);
  } else if (waits_for_tunnel) {
    early_.append(piece);  // no more than a window
  } else if (request.framing == http::Framing::kLength && bytes_in_ > request.content_length) {
    fail_malformed("content_length_exceeded");
  } else {
    if (!body_paused_) credit_body(piece.size());
    exchange_->on_request_body(piece);
  }
}

void H2ClientStream::credit_body(size_t bytes) {
  const ListenerTimeouts& timeouts = config().timeouts;
  const uint64_t left_ms = body_timer_.armed() ? body_timer_.left_ms() : timeouts.body_ms;
  body_timer_.arm_ms(credited_ms(timeouts, left_ms, bytes, timeouts.body_ms));
}

void H2ClientStream::on_request_end() {
  if (request_ended_) return;
  request_ended_ = true;
  body_timer_.cancel();
  if (exchange_ == nullptr) return;
  const http::RequestHead& request = exchange_->request();
  if (tunnel_) {
    exchange_->on_client_tunnel_eof();
  } else if (!request.upgrade.empty()) {
    return;  // start_tunnel() tells
  } else if (request.framing == http::Framing::kLength && bytes_in_ != request.content_length) {
    fail_malformed("content_length_not_reached");
  } else {
    exchange_->on_request_end();
  }
}

// RFC 9113 8.1.1, of a request that has begun.
void H2ClientStream::fail_malformed(const char* reason) {
  muted_ = true;
  reset_code_ = http::H2Code::kProtocolError;
  exchange_->on_client_failed(ErrorKind::kMalformed, reason);
}

void H2ClientStream::on_body_timeout() {
  if (exchange_ == nullptr) {
    drop_rest();
    return;
  }
  if (body_paused_) return;
  reset_code_ = http::H2Code::kCancel;
  exchange_->on_client_failed(ErrorKind::kTimeout, "request body timeout");
}

void H2ClientStream::on_client_eof() {
  if (exchange_ == nullptr) return;
  if (request_ended_) {
    exchange_->on_client_eof();
    return;
  }
  exchange_->on_client_failed(ErrorKind::kReset, "client closed in the request body");
}

void H2ClientStream::on_client_slow(const char* why) {
  reset_code_ = http::H2Code::kCancel;
  if (exchange_ != nullptr) exchange_->on_client_failed(ErrorKind::kTimeout, why);
}

void H2ClientStream::pause_body() {
  body_paused_ = true;
  body_timer_.cancel();  // the server is slow, not the client
}

void H2ClientStream::resume_body() {
  if (!body_paused_ || over_) return;
  body_paused_ = false;
  connection_.session().open_window(stream_id(), std::exchange(withheld_bytes_, 0));
  connection_.flush_soon();
  if (!request_ended_ && !tunnel_) body_timer_.arm_ms(config().timeouts.body_ms);
}

// ---- the answer ----

void H2ClientStream::send_informational(const http::ResponseHead& head) {
  if (muted_) return;
  bytes_out_ += http::add_h2_response(head, false, {}, {}, connection_.session());
  connection_.session().submit_informational(*this);
  connection_.flush_soon();
  if (head.status == 100 && !request_ended_ && !body_paused_) {
    body_timer_.arm_ms(config().timeouts.body_ms);
  }
}

void H2ClientStream::send_head(const http::ResponseHead& head, const http::ResponseFraming& framing,
                               std::string_view upgrade) {
  if (muted_) return;
  const bool to_tunnel = !upgrade.empty();
  const bool empty = framing.framing == http::Framing::kLength && framing.content_length == 0;
  const bool no_body = framing.framing == http::Framing::kNone || (empty && !framing.end_follows);
  bytes_out_ += http::add_h2_response(head, to_tunnel, framing, connection_.worker().date(),
                                      connection_.session());
  connection_.session().submit_response(*this, no_body && !to_tunnel);
  connection_.flush_soon();
}

void H2ClientStream::send_body(std::span<const std::string_view> pieces) {
  if (muted_) return;
  for (const std::string_view piece : pieces) {
    bytes_out_ += piece.size();
    connection_.session().send(*this, piece);
  }
  if (congested()) connection_.session().watch(*this);
  connection_.written(*this);
}

void H2ClientStream::send_end(const http::HeaderList* trailers) {
  if (muted_) return;
  bytes_out_ += http::add_h2_trailers(trailers, connection_.session());
  connection_.session().send_end(*this);
  connection_.written(*this);
}

bool H2ClientStream::congested() const { return queued() >= connection_.worker().hold_bytes(); }

// Everything is in frames.
void H2ClientStream::on_drained() {
  if (exchange_ != nullptr) {
    exchange_->on_client_drained();
  } else if (!request_ended_) {
    await_rest();
  }
}

void H2ClientStream::start_tunnel() {
  tunnel_ = true;
  reset_code_ = http::H2Code::kCancel;  // RFC 8441 5: what a TCP reset is
  while (!early_.empty() && exchange_ != nullptr) {
    const std::string_view front = early_.front();
    exchange_->on_client_tunnel_bytes(front);
    early_.consume(front.size());
  }
  if (!body_paused_) {
    connection_.session().open_window(stream_id(), std::exchange(withheld_bytes_, 0));
    connection_.flush_soon();
  }
  if (request_ended_ && exchange_ != nullptr) exchange_->on_client_tunnel_eof();
}

void H2ClientStream::send_tunnel(std::string_view bytes) {
  bytes_out_ += bytes.size();
  connection_.session().send(*this, bytes);
  connection_.session().watch(*this);
  connection_.written(*this);
}

void H2ClientStream::shutdown_tunnel() {
  connection_.session().send_end(*this);
  connection_.session().watch(*this);
  connection_.written(*this);
}

// ---- ends ----

void H2ClientStream::exchange_over(bool cut) {
  const http::RequestHead& request = exchange_->request();
  if (request.framing == http::Framing::kLength) rest_until_ = request.content_length;
  connection_.worker().net().bury(std::move(exchange_));
  body_timer_.cancel();
  if (over_ || !attached()) return;
  if (cut || muted_) {
    connection_.session().reset(stream_id(), reset_code_);
    connection_.flush_soon();
  } else if (!request_ended_) {
    finish_with_request_open();
  }
}

void H2ClientStream::finish_with_request_open() {
  if (!connection_.session().watch(*this)) await_rest();  // else on_drained() does
}

// RFC 9113 8.1: the answer is complete, the rest of the request is not wanted. One that is known to
// be small is on its way and thrown away: curl 7.88 takes a reset for a failure of the answer.
// Where nobody knows, the reset follows the answer at once: gRPC takes a later one for a failure.
void H2ClientStream::await_rest() {
  if (rest_until_ - bytes_in_ > limits::kBodyDebtBytes) {
    drop_rest();
    return;
  }
  if (withheld_bytes_ > 0) {
    connection_.session().open_window(stream_id(), std::exchange(withheld_bytes_, 0));
    connection_.flush_soon();
  }
  body_timer_.arm_ms(limits::kLingerMs);
}

void H2ClientStream::drop_rest() {
  body_timer_.cancel();
  connection_.session().reset(stream_id(), http::H2Code::kNoError);
  connection_.flush_soon();
}

// What the flush left behind, be it only the end, waits for the client to read, or to open a
// window.
void H2ClientStream::look_after_flush() {
  if (all_framed()) {
    send_timer_.cancel();
  } else if (!send_timer_.armed()) {
    send_timer_.arm_ms(pace_.begin_ms(config().timeouts));
  }
}

void H2ClientStream::on_send_timeout() {
  if (over_ || all_framed()) return;
  uint64_t again_ms = 0;
  // Where the socket is full, or others go first, it is the connection that is judged.
  const bool by_client = connection_.session().window_closed(*this);
  const char* slow = pace_.judge(framed_bytes(), config().timeouts, again_ms);
  if (slow == nullptr || !by_client) {
    send_timer_.arm_ms(slow == nullptr ? again_ms : pace_.begin_ms(config().timeouts));
    return;
  }
  on_client_slow(slow);
  connection_.session().reset(stream_id(), http::H2Code::kCancel);
  connection_.flush_soon();
}

void H2ClientStream::end(const char* why) {
  if (over_) return;
  over_ = true;
  body_timer_.cancel();
  send_timer_.cancel();
  if (exchange_ != nullptr) exchange_->on_client_failed(ErrorKind::kReset, why);
}

}  // namespace weir::proxy
