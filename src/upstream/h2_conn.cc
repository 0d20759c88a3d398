#include "upstream/h2_conn.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "net/tls.h"
#include "net/uv_error.h"
#include "net/worker.h"
#include "upstream/h1_conn.h"
#include "upstream/pool.h"

namespace weir::upstream {

namespace {

// What is put into frames before the socket is asked to take it.
constexpr size_t kFullBytes = 64 * 1024;

constexpr http::H2Settings kSettings = {.header_bytes_max = limits::kUpstreamHeadBytes,
                                        .headers_max = limits::kUpstreamHeaders};

}  // namespace

H2Conn::H2Conn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts)
    : ServerConn(pool, target, timeouts) {
  dial();
}

// ---- who uses it ----

ServerSide& H2Conn::lend(ConnUser& user, const UpstreamTimeouts& timeouts) {
  if (is_idle()) {
    pool_.let_go_of_idle(*this);
    last_read_ms_ = pool_.worker().now_ms();
    timer_.arm_ms(limits::kH2PingAfterMs);
  }
  auto* call = new H2Call(*this, user, timeouts);
  ++calls_count_;
  count_user();
  if (phase_ == Phase::kGreeting) {
    waiting_.push_back(*call);
    look_for_room();
  } else {
    start(*call);
  }
  return *call;
}

void H2Conn::start(H2Call& call) {
  call.hook_.unlink();
  calls_.push_back(call);
  call.ready_ = true;
  call.reused_ = requests_++ > 0;
}

// A call that waited at another connection, which has no room for it.
void H2Conn::take_over(H2Call& call) {
  call.hook_.unlink();
  --call.conn_->calls_count_;
  call.conn_->discount_user();
  call.conn_ = this;
  ++calls_count_;
  count_user();
  waiting_.push_back(call);
  look_for_room();
}

bool H2Conn::has_room() const {
  switch (phase_) {
    case Phase::kGreeting: return calls_count_ < target_->streams_expected;
    case Phase::kOpen:
      return session_->can_open() && !session_->ids_nearly_used() &&
             pool_.may_keep(*this, requests_);
    case Phase::kLeaving: break;
  }
  return false;
}

// Where no more is wanted (a drain, another address) another connection would be wanted no more
// than this one: who waits is served here.
bool H2Conn::has_room_for_waiting() const {
  return session_->can_open() && pool_.may_serve(requests_);
}

void H2Conn::look_for_room() {
  if (!has_room()) {
    open_.unlink();
  } else if (!open_.linked()) {
    target_->open.push_back(*this);
  }
}

void H2Conn::forget(H2Call& call, http::H2Code code) {
  if (call.attached()) {
    session_->detach(call, code);
    flush_soon();
  }
  --calls_count_;
  discount_user();
  pool_.worker().bury(std::unique_ptr<net::Mortal>(&call));
  settle();
}

void H2Conn::settle() {
  if (over() || busy_) return;
  look_for_room();
  if (calls_count_ > 0) return;
  if (!has_room() || phase_ == Phase::kGreeting) {  // perhaps since it became idle
    end();
  } else if (!is_idle()) {
    pool_.remember(*this, 0);
  }
}

void H2Conn::on_idle(uint64_t timeout_ms) { timer_.arm_ms(timeout_ms); }

// ---- the connection ----

void H2Conn::on_dialled() {
  if (const net::Tls* tls = stream_->tls(); tls != nullptr && tls->protocol() != "h2") {
    become_h1();
    return;
  }
  stream_->fill_before_flush();
  session_ = std::make_unique<http::H2Session>(http::H2Session::Role::kClient, kSettings,
                                               pool_.worker().blocks());
  timer_.arm_ms(timeouts_.connect_ms);
  flush_soon();
}

std::string_view H2Conn::scheme() const { return stream_->tls() == nullptr ? "http" : "https"; }

// By ALPN the server has chosen HTTP/1.1: the first that waits has this connection, the others get
// one each.
void H2Conn::become_h1() {
  busy_ = true;
  target_->streams_expected = 1;
  phase_ = Phase::kLeaving;
  open_.unlink();
  H2Call* first = waiting_.front();
  ConnUser* user = first->user_;
  H1Conn& conn = pool_.continue_as_h1(*target_, timeouts_, take_stream(), *user);
  first->end(http::H2Code::kNoError);
  while (H2Call* call = waiting_.front()) pool_.place(*call, *target_);
  end();
  user->on_conn_ready(conn);
}

void H2Conn::on_settings() {
  if (phase_ != Phase::kGreeting) return;
  phase_ = Phase::kOpen;
  if (!session_->can_open()) {  // nor would the next connection
    fail({Source::kUpstream, ErrorKind::kConnect, Retry::kNothingSent, "takes no streams"});
    return;
  }
  target_->streams_expected = std::min(session_->streams_allowed(), limits::kH2StreamsMax);
  timer_.arm_ms(limits::kH2PingAfterMs);
  while (H2Call* call = waiting_.front()) {
    if (!has_room_for_waiting()) break;
    start(*call);
    call->user_->on_conn_ready(*call);
  }
  open_.unlink();
  while (H2Call* call = waiting_.front()) pool_.place(*call, *target_);
}

void H2Conn::on_goaway(http::H2Code code) {
  if (code != http::H2Code::kNoError) {
    static LogThrottle throttle(10'000);
    log_warn_once_per(throttle, "upstream {}: server {} ends a connection: GOAWAY {}",
                      pool_.state().upstream, pool_.state().server, http::h2_code_word(code));
  }
  phase_ = Phase::kLeaving;
  open_.unlink();
  while (H2Call* call = waiting_.front()) pool_.place(*call, *target_);
}

void H2Conn::on_bytes(std::string_view bytes) {
  last_read_ms_ = pool_.worker().now_ms();
  ping_out_ = false;
  while (!bytes.empty()) {
    const bool fine = session_->receive(bytes, last_read_ms_);
    take_events();
    if (over()) return;
    if (!fine) {
      fail_lost(session_->failure());
      return;
    }
  }
  if (session_->wants_write()) flush_soon();
  settle();
}

void H2Conn::take_events() {
  busy_ = true;
  const std::vector<http::H2Event>& events = session_->events();
  for (size_t i = 0; i < events.size() && !over(); ++i) {
    const bool ends = i + 1 < events.size() && events[i + 1].id == events[i].id &&
                      events[i + 1].kind == http::H2Event::Kind::kEnd;
    take_event(events[i], ends);
  }
  session_->clear_events();
  busy_ = false;
}

void H2Conn::take_event(const http::H2Event& event, bool ends) {
  using Kind = http::H2Event::Kind;
  auto* call = static_cast<H2Call*>(event.stream);
  if (call != nullptr && (call->over_ || (call->user_ == nullptr && event.kind != Kind::kClosed))) {
    call = nullptr;  // its user has left
  }
  switch (event.kind) {
    case Kind::kHeaders:
      heard_ = true;
      if (call != nullptr) call->on_head(event, ends);
      break;
    case Kind::kData: {
      heard_ = true;
      if (call != nullptr) call->on_data(event.data);
      if (over()) return;
      const bool hold = call != nullptr && !call->over_ && call->paused_;
      if (hold) call->held_window_bytes_ += event.data.size();
      session_->consumed(event.id, event.data.size(), hold);
      break;
    }
    case Kind::kEnd:
      if (call != nullptr) call->on_message_end();
      break;
    case Kind::kClosed:
      if (call != nullptr) call->on_closed(event.code);
      break;
    case Kind::kDrained:
      if (call != nullptr) call->on_queue_empty();
      break;
    case Kind::kSettings: on_settings(); break;
    case Kind::kGoaway: on_goaway(event.code); break;
    case Kind::kPong: break;
  }
}

void H2Conn::on_flush_due() {
  while (!stream_->congested() && session_->wants_write()) {
    session_->serialise(stream_->out(), kFullBytes);
    take_events();
    if (over()) return;
    if (session_->failure()[0] != '\0') {  // nghttp2's verdict, which it writes as a GOAWAY
      fail_lost(session_->failure());
      return;
    }
    if (stream_->out().size() < kFullBytes) break;
    stream_->flush();
    if (!stream_->out().empty()) break;  // the socket takes no more, or is broken
  }
  settle();
}

void H2Conn::on_drained() { flush_soon(); }

// ---- its end ----

void H2Conn::on_deadline() {
  if (phase_ == Phase::kGreeting) {
    fail({Source::kUpstream, ErrorKind::kTimeout, Retry::kNothingSent, "no HTTP/2 settings"});
  } else if (is_idle()) {
    end();
  } else {
    check_alive();
  }
}

// A server's host may be well and the server hang: only an answer to a PING shows.
void H2Conn::check_alive() {
  const uint64_t now_ms = pool_.worker().now_ms();
  if (ping_out_) {
    fail({Source::kUpstream, ErrorKind::kTimeout, Retry::kNothingSent, "PING not answered"});
    return;
  }
  const uint64_t silent_ms = now_ms - last_read_ms_;
  const bool may_ping = heard_ || now_ms - pinged_ms_ >= limits::kH2PingAgainMs;
  if (silent_ms < limits::kH2PingAfterMs || !may_ping) {
    timer_.arm_ms(limits::kH2PingAfterMs - std::min(silent_ms, limits::kH2PingAfterMs - 1));
    return;
  }
  ping_out_ = true;
  heard_ = false;
  pinged_ms_ = now_ms;
  session_->ping();
  flush_soon();
  timer_.arm_ms(limits::kH2PongMs);
}

void H2Conn::on_dial_failed(const Error& error) { fail(error); }

void H2Conn::on_eof() { fail_lost("closed"); }

void H2Conn::on_lost(int uv_error) { fail_lost(net::error_name(uv_error)); }

void H2Conn::fail_lost(const char* detail) {
  if (phase_ == Phase::kGreeting) {  // it is no HTTP/2 server, or none that works
    fail({Source::kUpstream, ErrorKind::kConnect, Retry::kNothingSent, detail});
    return;
  }
  const bool broken_rules = session_->failure()[0] != '\0';
  fail({Source::kUpstream, broken_rules ? ErrorKind::kMalformed : ErrorKind::kReset,
        Retry::kNothingSent, detail});
}

void H2Conn::fail(const Error& error) {
  busy_ = true;  // until its end below
  phase_ = Phase::kLeaving;
  open_.unlink();
  while (H2Call* call = waiting_.front()) call->fail(error);
  while (H2Call* call = calls_.front()) {
    Error of_call = error;
    of_call.retry = call->retry_now();
    call->fail(of_call);
  }
  end();
}

void H2Conn::on_end() {
  busy_ = true;
  open_.unlink();
  while (H2Call* call = waiting_.front()) call->end(http::H2Code::kCancel);
  while (H2Call* call = calls_.front()) call->end(http::H2Code::kCancel);
  if (session_ == nullptr || stream_ == nullptr) return;
  session_->go_away(http::H2Code::kNoError);  // nothing more, if it has failed
  session_->serialise(stream_->out(), kFullBytes);
}

}  // namespace weir::upstream
