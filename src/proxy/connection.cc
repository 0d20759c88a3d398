// The way in of a client's connection: bytes, heads and bodies, and how it ends; the way out is in
// connection_out.cc.
#include "proxy/connection.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "http/rules.h"
#include "net/uv_error.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

Connection::Connection(ProxyWorker& worker, Client&& client)
    : ClientConnection(worker, std::move(client)),
      timer_(worker.net().timers(), this, &net::Timer::call<Connection, &Connection::on_timeout>),
      send_timer_(worker.net().timers(), this,
                  &net::Timer::call<Connection, &Connection::on_send_timeout>),
      born_ms_(worker.net().now_ms()) {
  client_.stream->start_reading();
  timer_.arm_ms(config().timeouts.header_ms);
}

const ListenerConfig& Connection::config() const { return worker_.listener_config(client_.slot); }

// ---- bytes in ----

void Connection::on_bytes(std::string_view bytes) {
  switch (state_) {
    case State::kTunnel: exchange_->on_client_tunnel_bytes(bytes); return;
    case State::kLinger:
      lingered_bytes_ += static_cast<uint32_t>(bytes.size());
      if (lingered_bytes_ > limits::kLingerBytes) end();
      return;
    case State::kClosing: return;
    default: break;
  }
  if (held_ == nullptr) {
    process(bytes);
    return;
  }
  held_->append(bytes);
  if (state_ == State::kWait) {
    if (held_->size() > worker_.hold_bytes()) client_.stream->stop_reading();
    return;
  }
  if (state_ == State::kHead) {  // in place: a head that comes byte by byte is not copied each time
    const http::HeadScan scan = http::scan_head(*held_, scanned_, true, config().limits);
    if (!scan.refusal && scan.end == 0) {
      scanned_ = static_cast<uint32_t>(scan.resume);
      credit(bytes.size(), head_until_ms_ - std::min(head_until_ms_, worker_.net().now_ms()));
      return;
    }
    scanned_ = 0;
  }
  process_held();
}

// Takes requests from `bytes` one after the other, as far as they go. What cannot be taken yet is
// held.
void Connection::process(std::string_view bytes) {
  WEIR_ASSERT(!processing_);
  processing_ = true;
  breather_ = false;
  const uint32_t row_ends = requests_ + limits::kRequestsInARow;
  // A body is looked at once more when its last byte is taken: only then its end is seen.
  for (bool go_on = true; go_on && (!bytes.empty() || in_body());) {
    switch (state_) {
      case State::kIdle:
      case State::kHead:
        if (client_.stream->congested()) {  // no next answer before the last one is read
          hold(bytes);
          client_.stream->stop_reading();
          timer_.cancel();  // go_idle() begins anew
          watch_if_congested();
          go_on = false;
        } else if (requests_ == row_ends) {
          take_a_breath(bytes);
          go_on = false;
        } else {
          go_on = take_head(bytes);
        }
        break;
      case State::kBody:
      case State::kDebt: go_on = take_body(bytes); break;
      case State::kWait:
        hold(bytes);
        go_on = false;
        break;
      case State::kTunnel:
        exchange_->on_client_tunnel_bytes(bytes);
        go_on = false;
        break;
      default:
        go_on = false;  // closing: the rest is not wanted
        break;
    }
  }
  processing_ = false;
  more_input_ = false;
  if ((state_ == State::kIdle && no_more_requests()) || (state_ == State::kHead && eof_)) {
    close_when_sent(false);
  }
}

// A half-closed client that has its answers can ask nothing more; a draining worker takes nothing.
bool Connection::no_more_requests() const {
  return held_ == nullptr && kept_bytes_ == 0 && (eof_ || leaving());
}

bool Connection::leaving() const { return worker_.must_leave(*this); }

// The held bytes stay where they are while requests are taken from them.
void Connection::process_held() {
  std::unique_ptr<BudgetedText> input = std::move(held_);
  held_source_ = *input;
  process(*input);
  held_source_ = {};
  if (kept_bytes_ == 0) return;
  input->erase(0, input->size() - kept_bytes_);
  kept_bytes_ = 0;
  if (!over()) held_ = std::move(input);
}

// `bytes` cannot be taken yet: the end of what was read, or of what was held before.
void Connection::hold(std::string_view bytes) {
  if (held_source_.empty()) {
    held_ = std::make_unique<BudgetedText>(bytes);
  } else {
    kept_bytes_ = bytes.size();
  }
  // A head under way is bounded by its own limit, and nobody would start reading again.
  if (state_ != State::kHead && bytes.size() > worker_.hold_bytes()) client_.stream->stop_reading();
}

void Connection::take_a_breath(std::string_view bytes) {
  hold(bytes);
  client_.stream->stop_reading();
  breather_ = true;
  timer_.arm_ms(1);
}

// False when `bytes` holds no complete head (they are kept then).
bool Connection::take_head(std::string_view& bytes) {
  // Bytes that end with a blank line hold a head or what is refused: an exchange in any case.
  const bool whole = bytes.ends_with("\r\n\r\n") && bytes.front() != '\r';
  if (whole && take_plain_head(bytes)) return !over();
  const http::HeadScan scan = http::scan_head(bytes, 0, true, config().limits);
  if (scan.refusal) {
    refuse(scan.refusal);
    return false;
  }
  if (scan.end == 0) {
    WEIR_ASSERT(!whole);
    // Blank lines alone begin nothing (RFC 9112 2.2): some clients end a body with one.
    if (state_ == State::kIdle && scan.begin == bytes.size()) return false;
    if (state_ == State::kIdle) begin_head();
    hold(bytes);
    scanned_ = static_cast<uint32_t>(scan.resume);
    return false;
  }
  const std::string_view head = bytes.substr(scan.begin, scan.end - scan.begin);
  bytes.remove_prefix(scan.end);
  more_input_ = !bytes.empty();
  open_exchange();
  start_exchange(
      parser_.parse_request(exchange_->arena().copy(head), config().limits, exchange_->request()));
  return !over();
}

bool Connection::take_plain_head(std::string_view& bytes) {
  open_exchange();
  size_t taken = 0;
  const http::Refusal refusal =
      parser_.parse_plain_request(bytes, config().limits, exchange_->request(), taken);
  if (taken == 0) return false;
  bytes.remove_prefix(taken);
  more_input_ = !bytes.empty();
  start_exchange(refusal);
  return true;
}

void Connection::begin_head() {
  const ListenerTimeouts& timeouts = config().timeouts;
  state_ = State::kHead;
  head_until_ms_ = worker_.net().now_ms() + timeouts.header_ms;
  timer_.arm_ms(timeouts.min_rate_bytes_per_s == 0 ? timeouts.header_ms : timeouts.header_ms / 2);
}

// Not armed: the client was to wait for a 100.
void Connection::credit(size_t bytes, uint64_t longest_ms) {
  const uint64_t left_ms = timer_.armed() ? timer_.left_ms() : longest_ms;
  timer_.arm_ms(credited_ms(config().timeouts, left_ms, bytes, longest_ms));
}

void Connection::open_exchange() {
  if (exchange_ != nullptr) return;
  exchange_ = std::make_unique<Exchange>(worker_, *this);
  bytes_out_ = 0;
}

void Connection::start_exchange(const http::Refusal& refusal) {
  ++requests_;
  if (refusal) {
    refuse_exchange(refusal);
    return;
  }
  const http::RequestHead& request = exchange_->request();
  if (!request.keep_alive) close_ = client_closes_ = true;
  // What comes behind it may be meant for the tunnel that it does not get.
  if (request.method == http::Method::kConnect) close_ = true;
  if (request.framing == http::Framing::kNone) {
    state_ = State::kWait;
    timer_.cancel();
  } else {
    state_ = State::kBody;
    body_paused_ = false;
    timer_.cancel();
    // Who waits to be told to go on is not late: see send_informational().
    if (!request.expect_continue) timer_.arm_ms(config().timeouts.body_ms);
  }
  exchange_->start(request.framing == http::Framing::kNone);
}

// The bytes are not a head that could be parsed: an exchange of its own answers, logs and counts
// it.
void Connection::refuse(const http::Refusal& refusal) {
  open_exchange();
  refuse_exchange(refusal);
}

void Connection::refuse_exchange(const http::Refusal& refusal) {
  close_ = true;
  client_closes_ = false;  // more bytes may be on their way: linger
  state_ = State::kWait;
  timer_.cancel();
  exchange_->refuse(refusal);
}

// False when nothing more can be taken now.
bool Connection::take_body(std::string_view& bytes) {
  if (state_ == State::kDebt) return drop_body(bytes);
  if (trailers_ == nullptr) trailers_ = &exchange_->request_trailers();
  std::string_view piece;
  switch (parser_.next(bytes, piece, *trailers_)) {
    case http::H1Parser::Body::kPiece:
      if (!body_paused_) credit(piece.size(), config().timeouts.body_ms);
      exchange_->on_request_body(piece);
      return true;
    case http::H1Parser::Body::kNeed: return false;
    case http::H1Parser::Body::kDone: body_complete(); return true;
    case http::H1Parser::Body::kBad:
      close_ = true;
      client_closes_ = false;
      exchange_->on_client_failed(ErrorKind::kMalformed, parser_.error_reason());
      return false;
  }
  return false;
}

void Connection::body_complete() {
  timer_.cancel();
  state_ = State::kWait;
  exchange_->on_request_end();
}

// The answer is out already: what is left of a body of known length is read and thrown away.
bool Connection::drop_body(std::string_view& bytes) {
  Arena arena(worker_.net().blocks());
  http::HeaderList no_trailers(arena);
  std::string_view piece;
  switch (parser_.next(bytes, piece, no_trailers)) {
    case http::H1Parser::Body::kPiece: return true;
    case http::H1Parser::Body::kDone: go_idle(); return true;
    default: return false;
  }
}

// ---- ends ----

void Connection::on_eof() {
  eof_ = true;
  switch (state_) {
    case State::kWait: exchange_->on_client_eof(); return;  // the answer may still go out
    case State::kTunnel: exchange_->on_client_tunnel_eof(); return;
    case State::kBody:
      close_ = true;
      exchange_->on_client_failed(ErrorKind::kReset, "client closed in the request body");
      return;
    case State::kClosing: return;
    case State::kLinger: end(); return;
    default: close_when_sent(false);
  }
}

void Connection::on_broken(int uv_error) {
  if (exchange_ != nullptr) {
    Exchange& exchange = *exchange_;
    close_ = true;
    eof_ = true;
    exchange.on_client_failed(ErrorKind::kReset, net::error_name(uv_error));
  }
  end(true);
}

void Connection::on_timeout() {
  switch (state_) {
    case State::kHead:
      refuse({408, worker_.net().now_ms() < head_until_ms_ ? "min_rate" : "header_timeout"});
      return;
    case State::kBody:
      if (body_paused_) return;  // it is weir that does not read
      close_ = true;
      exchange_->on_client_failed(ErrorKind::kTimeout, "request body timeout");
      return;
    case State::kWait:
    case State::kTunnel: return;  // a timer of before: the exchange keeps its own time
    case State::kIdle:
      if (breather_) {
        go_idle();
        return;
      }
      [[fallthrough]];
    default: end();
  }
}

void Connection::drain() {
  if (state_ == State::kIdle && held_ == nullptr) {
    // A client that has just connected has a request on its way: it gets its answer.
    if (requests_ == 0 && !eof_) {
      timer_.arm_ms(limits::kLastRequestMs);
    } else {
      close_when_sent(false);
    }
  }
  if (state_ == State::kDebt) close_when_sent(true);
}

void Connection::end(bool reset) {
  if (state_ == State::kOver) return;
  state_ = State::kOver;
  timer_.cancel();
  send_timer_.cancel();
  if (exchange_ != nullptr) exchange_->on_client_failed(ErrorKind::kReset, "connection ended");
  client_.stream->end(reset);
  worker_.net().bury(std::move(client_.stream));
  worker_.forget(*this);
}

}  // namespace weir::proxy
