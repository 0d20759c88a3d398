// One request on an HTTP/2 connection: a stream, from the moment that its user asks for one until
// both sides have ended it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/intrusive_list.h"
#include "base/pooled.h"
#include "http/h2_session.h"
#include "http/message.h"
#include "net/mortal.h"
#include "net/timer_wheel.h"
#include "upstream/cluster.h"
#include "upstream/server_side.h"

namespace weir::upstream {

class H2Conn;

// Owner: its H2Conn, until it ends (then the worker's graves). A slow user holds its own stream's
// window shut and nobody else's.
class H2Call final : public net::Mortal,
                     public http::H2Stream,
                     public ServerSide,
                     public Pooled<H2Call> {
 public:
  H2Call(H2Conn& conn, ConnUser& user, const UpstreamTimeouts& timeouts);

  bool ready() const override { return ready_; }
  bool reused() const override { return reused_; }
  bool may_come_back() const override { return true; }
  bool takes_upgrade() const override;
  void send_head(const OutgoingHead& request) override;
  void send_body(std::string_view piece) override;
  void send_end(const http::HeaderList* trailers) override;
  bool congested() const override { return congested_; }
  void hand_to(ConnUser& user) override { user_ = &user; }
  void pause() override;
  void resume() override;
  void read_less() override {}  // the window of its stream is what it may bring
  void send_tunnel(std::string_view bytes) override { send_body(bytes); }
  void shutdown_tunnel() override;
  size_t unsent() const override;
  const UpstreamTimeouts& timeouts() const { return timeouts_; }
  void release() override;
  void abandon() override;

 private:
  friend class H2Conn;

  // What the session tells. `ends`: no body and no trailers follow the head.
  void on_head(const http::H2Event& event, bool ends);
  void on_data(std::string_view data);
  void on_message_end();
  void on_closed(http::H2Code code);
  void on_queue_empty();

  void on_trailers(const http::HeaderList& fields, bool ends);
  void become_tunnel(http::ResponseHead& head);
  void on_timeout();
  void arm_read();
  Retry retry_now() const;
  // Its stream, if it has one, is reset.
  void fail(const Error& error);
  void fail(ErrorKind kind, Retry retry, const char* detail);
  void fail_malformed(const char* reason);
  void end(http::H2Code code);

  H2Conn* conn_;
  ConnUser* user_;
  ListHook hook_;  // of conn_'s calls
  net::Timer timer_;
  UpstreamTimeouts timeouts_;
  std::string_view upgrade_;      // what the request asks for, and the answer that its client waits
  std::string_view accept_;       // for: both in the user's memory
  uint64_t length_left_ = 0;      // of the answer's body, if length_known_
  uint64_t sent_mark_ = 0;        // progress of a congested body at the last look
  size_t held_window_bytes_ = 0;  // that a paused user was given, and made no room for
  http::Method method_ = http::Method::kGet;
  bool ready_ = false;
  bool reused_ = false;
  bool head_sent_ = false;
  bool request_sent_ = false;
  bool congested_ = false;
  bool paused_ = false;
  bool got_bytes_ = false;
  bool head_done_ = false;
  bool body_allowed_ = false;
  bool length_known_ = false;
  bool message_done_ = false;
  bool tunnel_ = false;
  bool ending_ = false;  // the end of a tunnel is not in a frame yet
  bool over_ = false;
};

}  // namespace weir::upstream
