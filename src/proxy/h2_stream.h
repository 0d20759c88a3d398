// One request of a client that speaks HTTP/2, and its answer: a stream of an H2Connection, between
// the session's events and the exchange.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/buffer.h"
#include "base/intrusive_list.h"
#include "base/pooled.h"
#include "http/h2_rules.h"
#include "http/h2_session.h"
#include "net/mortal.h"
#include "net/timer_wheel.h"
#include "proxy/client_side.h"
#include "proxy/exchange.h"
#include "proxy/pace.h"

namespace weir::proxy {

class H2Connection;

// Owner: its H2Connection, until the session has closed the stream (then the worker's graves). The
// exchange may end before that: what it sent is still on its way. Thread: the worker's.
class H2ClientStream final : public net::Mortal,
                             public ClientSide,
                             public http::H2Stream,
                             public Pooled<H2ClientStream> {
 public:
  explicit H2ClientStream(H2Connection& connection);
  ~H2ClientStream() override = default;

  // From the connection: what the session told of this stream.
  void begin(const http::H2Event& head);
  void on_trailers(const http::H2Event& trailers);
  void on_data(std::string_view piece);
  void on_request_end();
  void on_drained();
  // Nobody calls this stream again: the client left it, or its connection is over.
  void end(const char* why);

  // Something of it was queued in this iteration and may not have left with the flush.
  void look_after_flush();
  // The client has shut its side of the connection, or takes nothing from it.
  void on_client_eof();
  void on_client_slow(const char* why);

 private:
  friend class H2Connection;  // its list

  // ClientSide
  const http::Address& peer() const override;
  http::ConnectionEnds ends() const override;
  uint32_t listener_slot() const override;
  std::string_view scheme() const override;
  const net::Tls* tls() const override;
  bool must_close() const override { return false; }  // the connection says so by GOAWAY
  void send_informational(const http::ResponseHead& head) override;
  void send_head(const http::ResponseHead& head, const http::ResponseFraming& framing,
                 std::string_view upgrade) override;
  void send_body(std::span<const std::string_view> pieces) override;
  void send_end(const http::HeaderList* trailers) override;
  bool congested() const override;
  size_t unsent() const override { return queued(); }
  uint64_t bytes_out() const override { return bytes_out_; }
  void pause_body() override;
  void resume_body() override;
  uint64_t body_left() const override { return 0; }  // costs no connection: it is reset
  void start_tunnel() override;
  void send_tunnel(std::string_view bytes) override;
  void shutdown_tunnel() override;
  void exchange_over(bool cut) override;

  void credit_body(size_t bytes);
  void refuse(const http::H2Refusal& refusal);
  void add_websocket_key(http::RequestHead& request);
  void fail_malformed(const char* reason);
  void finish_with_request_open();
  void await_rest();
  void drop_rest();
  void on_body_timeout();
  void on_send_timeout();
  const ListenerConfig& config() const;

  H2Connection& connection_;
  ListHook live_;     // of the connection
  ListHook written_;  // of the connection: look_after_flush() is due
  std::unique_ptr<Exchange> exchange_;
  Buffer early_;  // of a tunnel, before the server agreed to it
  net::Timer body_timer_;
  net::Timer send_timer_;
  SendPace pace_;
  uint64_t bytes_in_ = 0;  // of the request's body
  uint64_t bytes_out_ = 0;
  uint64_t rest_until_ = UINT64_MAX;  // what bytes_in_ will be at its end, if that is known
  size_t withheld_bytes_ = 0;         // of the stream's window, while the body is paused
  http::H2Code reset_code_ = http::H2Code::kInternalError;
  bool request_ended_ = false;
  bool body_paused_ = false;
  bool muted_ = false;  // malformed: reset instead of answered
  bool tunnel_ = false;
  bool over_ = false;
};

}  // namespace weir::proxy
