#include "proxy/h2_connection.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {
namespace {

// As much is serialised before the socket is offered it.
constexpr size_t kWriteBytes = 64 * 1024;

http::H2Settings settings_of(const ListenerConfig& listener, const MemoryConfig& memory) {
  constexpr uint64_t kWindowMin = 65'535;  // what a client may send before it has our settings
  constexpr uint64_t kWindowMax = 256 * 1024;
  constexpr uint32_t kConnectionWindows = 4;
  // A cookie may come in crumbs, which count as one once they are joined.
  constexpr uint32_t kCrumbs = 4;
  http::H2Settings settings;
  settings.streams_max = listener.h2_streams;
  settings.stream_window_bytes =
      static_cast<uint32_t>(std::clamp(memory.per_connection_bytes / 4, kWindowMin, kWindowMax));
  settings.connection_window_bytes = settings.stream_window_bytes * kConnectionWindows;
  settings.header_bytes_max = listener.limits.header_size_bytes;
  settings.headers_max = listener.limits.headers * kCrumbs;
  settings.connect_protocol = true;
  return settings;
}

}  // namespace

H2Connection::H2Connection(ProxyWorker& worker, Client&& client)
    : ClientConnection(worker, std::move(client)),
      session_(http::H2Session::Role::kServer, settings_of(config(), worker.snapshot().memory),
               worker.net().blocks()),
      timer_(worker.net().timers(), this,
             &net::Timer::call<H2Connection, &H2Connection::on_timeout>),
      send_timer_(worker.net().timers(), this,
                  &net::Timer::call<H2Connection, &H2Connection::on_send_timeout>),
      born_ms_(worker.net().now_ms()) {
  client_.stream->fill_before_flush();
  client_.stream->start_reading();
  client_.stream->flush_soon();
  timer_.arm_ms(config().timeouts.header_ms);
}

H2Connection::~H2Connection() = default;

const ListenerConfig& H2Connection::config() const { return worker_.listener_config(client_.slot); }

// ---- bytes in ----

void H2Connection::on_bytes(std::string_view bytes) {
  if (state_ == State::kLinger) {
    lingered_bytes_ += static_cast<uint32_t>(bytes.size());
    if (lingered_bytes_ > limits::kLingerBytes) end();
    return;
  }
  while (state_ == State::kOpen && !bytes.empty()) {
    const bool sound = session_.receive(bytes, worker_.net().now_ms());
    dispatch();
    if (!sound) break;
  }
  if (state_ != State::kOpen) return;
  if (timed_head_ != session_.head_under_way()) arm();
  flush_soon();
}

void H2Connection::dispatch() {
  for (size_t i = 0; i < session_.events().size() && !over(); ++i) {
    const http::H2Event event = session_.events()[i];  // by value: the list may grow
    dispatch(event);
  }
  session_.clear_events();
}

void H2Connection::dispatch(const http::H2Event& event) {
  using Kind = http::H2Event::Kind;
  if (event.opens) {
    open_stream(event);
    return;
  }
  http::H2Stream* const known = event.stream != nullptr ? event.stream : session_.find(event.id);
  auto* const stream = static_cast<H2ClientStream*>(known);
  switch (event.kind) {
    case Kind::kHeaders:
      if (stream != nullptr) stream->on_trailers(event);
      break;
    case Kind::kData:
      if (stream != nullptr) {
        stream->on_data(event.data);
      } else {
        session_.consumed(event.id, event.data.size(), true);
      }
      break;
    case Kind::kEnd:
      if (stream != nullptr) stream->on_request_end();
      break;
    case Kind::kDrained:
      if (stream != nullptr) stream->on_drained();
      break;
    case Kind::kClosed:
      if (stream != nullptr) close_stream(*stream);
      break;
    case Kind::kSettings:
      if (!std::exchange(greeted_, true) && streams_.empty()) arm();
      break;
    case Kind::kPong:
      if (leaving_ == Leaving::kAnnounced) tell_last();
      break;
    case Kind::kGoaway: begin_leaving(); break;
  }
}

void H2Connection::open_stream(const http::H2Event& head) {
  if (leaving_ == Leaving::kToldLast && head.id > last_id_) {  // RFC 9113 6.8: not processed
    session_.reset(head.id, http::H2Code::kRefusedStream);
    return;
  }
  auto made = std::make_unique<H2ClientStream>(*this);
  if (!session_.attach(head.id, *made)) {  // opened and left in one go: nobody waits for an answer
    rare_counters().add("weir_protocol_errors_total",
                        {{"protocol", "h2"}, {"reason", "reset_at_once"}});
    return;
  }
  const bool first = streams_.empty();
  H2ClientStream& stream = *made.release();
  streams_.push_back(stream);
  ++requests_;
  if (first) arm();
  stream.begin(head);
  if (requests_ >= config().connection_requests || session_.ids_nearly_used()) begin_leaving();
}

void H2Connection::close_stream(H2ClientStream& stream) {
  stream.end("reset by client");
  stream.live_.unlink();
  stream.written_.unlink();
  worker_.net().bury(std::unique_ptr<net::Mortal>(&stream));
  if (streams_.empty()) arm();
}

// ---- frames out ----

void H2Connection::written(H2ClientStream& stream) {
  if (!stream.written_.linked()) written_.push_back(stream);
  flush_soon();
}

// Once per iteration of the loop: frames for all that happened in it.
void H2Connection::on_flush_due() {
  net::Stream& stream = *client_.stream;
  while (state_ == State::kOpen && !stream.congested()) {
    session_.serialise(stream.out(), kWriteBytes);
    const bool full = stream.out().size() >= kWriteBytes;
    const bool more = !session_.events().empty();
    dispatch();
    if (over()) return;
    if (full) stream.flush();
    if (!full && !more) break;
    if (full && !stream.out().empty()) break;  // the socket takes no more, or is broken
  }
  if (std::exchange(ping_due_, false)) {  // behind the announcement: its answer shows it was read
    session_.ping();
    session_.serialise(stream.out(), kWriteBytes + stream.out().size());
  }
  while (H2ClientStream* lately = written_.pop_front()) lately->look_after_flush();
  if (state_ == State::kOpen) close_if_done();
  if (over()) return;
  stream.flush();
  if (!over() && stream.congested() && !send_timer_.armed()) {
    send_timer_.arm_ms(pace_.begin_ms(config().timeouts));
  }
}

void H2Connection::on_drained() {
  send_timer_.cancel();
  if (state_ == State::kClosing) {
    close_after_flush();
  } else if (state_ == State::kOpen) {
    flush_soon();
  }
}

void H2Connection::on_send_timeout() {
  if (!client_.stream->congested()) return;
  uint64_t again_ms = 0;
  const char* slow = pace_.judge(client_.stream->delivered_bytes(), config().timeouts, again_ms);
  if (slow == nullptr) {
    send_timer_.arm_ms(again_ms);
    return;
  }
  streams_.for_each([slow](H2ClientStream& stream) { stream.on_client_slow(slow); });
  end(true);
}

// ---- time ----

// What the timer is for: a head that does not end, a connection without a request, its age.
void H2Connection::arm() {
  if (state_ != State::kOpen || leaving_ == Leaving::kAnnounced) return;
  const ListenerConfig& listener = config();
  const int32_t before = std::exchange(timed_head_, session_.head_under_way());
  if (timed_head_ != 0) {  // what other streams do buys it no time
    if (timed_head_ != before) timer_.arm_ms(listener.timeouts.header_ms);
    return;
  }
  if (!greeted_ && streams_.empty()) return;  // timeouts.header, from the start
  const uint64_t age_ms = worker_.net().now_ms() - born_ms_;
  uint64_t left_ms = listener.connection_age_ms - std::min(age_ms, listener.connection_age_ms);
  if (streams_.empty()) left_ms = std::min(left_ms, listener.timeouts.keepalive_ms);
  if (left_ms < UINT64_MAX / 2) {
    timer_.arm_ms(std::max(left_ms, limits::kAgedConnectionIdleMs));
  } else {
    timer_.cancel();
  }
}

void H2Connection::on_timeout() {
  if (state_ != State::kOpen) {
    end();
  } else if (leaving_ == Leaving::kAnnounced) {
    tell_last();
  } else if (greeted_ && timed_head_ != session_.head_under_way()) {
    arm();  // its stream has been reset
  } else if (timed_head_ != 0 || !greeted_) {
    rare_counters().add("weir_protocol_errors_total",
                        {{"protocol", "h2"}, {"reason", "header_timeout"}});
    session_.terminate(http::H2Code::kNoError);
    flush_soon();
  } else {
    begin_leaving();
  }
}

// ---- ends ----

void H2Connection::drain() { begin_leaving(); }

void H2Connection::begin_leaving() {
  if (leaving_ != Leaving::kNo || state_ != State::kOpen) return;
  leaving_ = Leaving::kAnnounced;
  session_.announce_shutdown();
  ping_due_ = true;
  timer_.arm_ms(limits::kLastRequestMs);  // for a client that answers no ping
  flush_soon();
}

void H2Connection::tell_last() {
  leaving_ = Leaving::kToldLast;
  timer_.cancel();
  timed_head_ = 0;
  arm();  // a head under way has not been timed since the announcement
  last_id_ = session_.go_away(http::H2Code::kNoError);
  flush_soon();
}

// Nothing is left to read for, nor to write; or the session has failed and has said so.
void H2Connection::close_if_done() {
  if (*session_.failure() != '\0') {
    note_failure();
    // The last word leaves even where the client takes nothing more at present.
    net::Stream& stream = *client_.stream;
    session_.serialise(stream.out(), kWriteBytes + stream.out().size());
    end_streams("connection error");
    close_when_sent();
  } else if (session_.done() || (eof_ && streams_.empty() && !session_.wants_write())) {
    end_streams("connection ended");
    close_when_sent();
  }
}

void H2Connection::note_failure() {
  rare_counters().add("weir_protocol_errors_total",
                      {{"protocol", "h2"}, {"reason", session_.failure()}});
  static LogThrottle throttle(1000);
  char peer[46];
  log_warn_once_per(throttle, "listener {}: HTTP/2 connection of {} ends with {}: {}",
                    config().name, std::string_view(peer, client_.peer.format(peer)),
                    http::h2_code_word(session_.failure_code()), session_.failure());
}

void H2Connection::close_when_sent() {
  state_ = State::kClosing;
  timer_.cancel();
  close_after_flush();
}

void H2Connection::close_after_flush() {
  client_.stream->flush();
  if (over() || client_.stream->unsent() > 0) return;  // on_drained(), or the send timer
  if (eof_) {
    end();
    return;
  }
  // A close while the client still sends would reset the connection under the last frames.
  state_ = State::kLinger;
  client_.stream->shutdown_when_flushed();
  timer_.arm_ms(limits::kLingerMs);
}

void H2Connection::on_eof() {
  eof_ = true;
  if (state_ == State::kLinger) {
    end();
    return;
  }
  if (state_ != State::kOpen) return;
  streams_.for_each([](H2ClientStream& stream) { stream.on_client_eof(); });
  flush_soon();  // close_if_done()
}

void H2Connection::on_broken(int) { end(true); }

void H2Connection::end_streams(const char* why) {
  while (H2ClientStream* stream = streams_.pop_front()) {
    stream->written_.unlink();
    stream->end(why);
    worker_.net().bury(std::unique_ptr<net::Mortal>(stream));
  }
}

void H2Connection::end(bool reset) {
  if (over()) return;
  state_ = State::kOver;
  timer_.cancel();
  send_timer_.cancel();
  end_streams("connection ended");
  client_.stream->end(reset);
  worker_.net().bury(std::move(client_.stream));
  worker_.forget(*this);
}

}  // namespace weir::proxy
