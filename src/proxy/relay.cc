// The flow of bodies, both ways. Pieces go straight from one socket's read buffer to the other's;
// what the other side does not take is copied once, and the reader pauses until it has drained.
#include "base/check.h"
#include "base/limits.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

// ---- request: client → server ----

void Exchange::on_request_body(std::string_view piece) {
  bytes_in_ += piece.size();
  if (discard_body_ || over()) return;
  if (bytes_in_ > body_limit_) {
    fail({Source::kClient, ErrorKind::kTooLarge, Retry::kNever, "body too large"});
    return;
  }
  if (head_sent_ && held_request_.empty()) {
    send_piece(piece);
  } else {
    held_request_.append(piece);
  }
  if (shadow_.generation != 0) take_shadow_body(piece);
  const bool congested = head_sent_ && conn_ != nullptr && conn_->congested();
  if (congested || holds_enough(held_request_)) {
    body_waits_ = true;
    client_.pause_body();
  }
}

// Whoever feeds `held` is read no further: it has its share of the memory, or none is left.
bool Exchange::holds_enough(const Buffer& held) const {
  if (held.empty()) return false;
  return held.size() >= worker_.hold_bytes() || BlockBudget::exhausted();
}

// The server has said nothing yet, has what came so far of the body, and would take more. (A gRPC
// call may be open for as long as it likes.)
bool Exchange::awaits_client() const {
  return !grpc_ && step_ == Step::kAwait && !judged_ && !request_done_ && !body_waits_ &&
         held_request_.empty();
}

std::optional<std::string> Exchange::whole_body() {
  if (!request_done_) {
    tell_to_go_on();
    return std::nullopt;
  }
  return held_request_.text();
}

void Exchange::on_request_end() {
  request_done_ = true;
  if (discard_body_ || over()) return;
  if (request_trailers_ != nullptr) drop_reserved_fields(*request_trailers_);
  if (shadow_.generation != 0) end_shadow_body();
  if (head_sent_ && held_request_.empty()) finish_request_body();
}

http::HeaderList& Exchange::request_trailers() {
  if (request_trailers_ == nullptr) request_trailers_ = arena_.make<http::HeaderList>(arena_);
  return *request_trailers_;
}

// Sends what was held while there was no server; called when a head has been sent or a server
// drained.
void Exchange::pump_request() {
  while (!held_request_.empty() && !conn_->congested()) {
    const std::string_view front = held_request_.front();
    send_piece(front);
    held_request_.consume(front.size());
  }
  if (!held_request_.empty()) return;
  if (request_done_ && !request_ended_) finish_request_body();
  if (body_waits_ && !conn_->congested()) {
    body_waits_ = false;
    client_.resume_body();
  }
}

void Exchange::send_piece(std::string_view piece) {
  conn_->send_body(piece);
  if (replay_lost_) return;
  // Kept for a second server, as long as it is small and the method may be repeated.
  if ((!may_repeat() && !conn_->may_come_back()) ||
      !may_keep_for_replay(replay_.size() + piece.size())) {
    replay_lost_ = true;
    replay_.clear();
  } else {
    replay_.append(piece);
  }
}

void Exchange::finish_request_body() {
  request_ended_ = true;
  answer_due_us_ = worker_.net().now_us();
  conn_->send_end(request_trailers_);
}

void Exchange::on_conn_drained() {
  if (step_ == Step::kTunnel) {
    body_waits_ = false;
    client_.resume_body();
    leave_tunnel_if_done();
  } else if (head_sent_) {
    pump_request();
  }
}

// ---- response: server → client ----

void Exchange::on_response_body(std::string_view piece) {
  if (recorder_ != nullptr) {
    record_piece(piece);
    return;
  }
  if (source_ != nullptr && !source_tail_) return;  // of an answer that another one has replaced
  if (committed_ && held_response_.empty()) {
    relay_piece(piece);
    return;
  }
  held_response_.append(piece);  // response filters are not done yet
  if (step_ == Step::kAwait && held_response_.size() > limits::kUnwantedAnswerBytes) {
    if (!hedge_under_way() || !retry_answer()) pass_answer_on();
    return;
  }
  if (holds_enough(held_response_) && !awaits_whole_) conn_->pause();
}

void Exchange::relay_piece(std::string_view piece) {
  if (framing_.framing == http::Framing::kNone)
    return;  // HEAD and the like: nothing follows a head
  if (stage_ == nullptr) {
    client_.send_body(piece);
  } else {
    stage_piece(piece);
  }
  if (client_.congested() && conn_ != nullptr && source_ == nullptr) {
    conn_->pause();
    conn_->read_less();
  }
}

http::HeaderList& Exchange::response_trailers() {
  if (response_trailers_ == nullptr) response_trailers_ = arena_.make<http::HeaderList>(arena_);
  return *response_trailers_;
}

void Exchange::on_response_end() {
  response_done_ = true;
  if (step_ == Step::kAwait) {
    if (retry_answer()) return;
    accept_answer();
  }
  if (recorder_ != nullptr) {
    recorder_->complete();
    recorder_ = nullptr;
  }
  if (!request_ended_) discard_body_ = true;  // the server has answered without waiting for it
  // The server may take another request now: its connection waits for no filter and no slow client.
  settle_attempt(true);
  advance();
}

void Exchange::on_client_drained() {
  if (step_ == Step::kTunnel) {
    if (conn_ != nullptr) conn_->resume();
    leave_tunnel_if_done();
  } else if (step_ == Step::kRelay) {
    if (source_ != nullptr) {
      advance();
    } else if (conn_ != nullptr) {
      conn_->resume();
    }
  }
}

Step Exchange::relay() {
  if (local_) {
    relay_piece(local_body_);
    return Step::kFinish;
  }
  if (source_ != nullptr) return pump_source();
  while (!held_response_.empty()) {
    const std::string_view front = held_response_.front();
    relay_piece(front);
    held_response_.consume(front.size());
  }
  if (response_done_) return Step::kFinish;
  if (conn_ != nullptr && !client_.congested()) conn_->resume();
  return Step::kWait;
}

// RFC 9112 6.3, seen from our side of the connection.
http::ResponseFraming Exchange::framing_for_client() const {
  http::ResponseFraming framing;
  const int status = response_->status;
  if (request_.method == http::Method::kHead || status == 204 || status == 304) {
    framing.keep_content_length = status != 204;
    return framing;
  }
  const bool length_known =
      response_->framing == http::Framing::kLength || response_->framing == http::Framing::kNone;
  if (length_known && stage_ == nullptr) {
    framing.framing = http::Framing::kLength;
    framing.content_length = response_->content_length;
    // An HTTP/2 server that has not ended with its head may send trailers behind a body of nothing.
    framing.end_follows =
        response_->version == http::Version::kHttp2 && response_->framing == http::Framing::kLength;
  } else if (request_.version != http::Version::kHttp10) {
    framing.framing = http::Framing::kChunked;
  } else {
    framing.framing = http::Framing::kUntilClose;
  }
  return framing;
}

}  // namespace weir::proxy
