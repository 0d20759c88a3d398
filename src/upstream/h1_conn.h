// One HTTP/1.1 connection to a server: dialling, idle in its pool, or lent to one user.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/h1_parser.h"
#include "http/message.h"
#include "upstream/server_conn.h"

namespace weir::upstream {

class H1Conn final : public ServerConn, public ServerSide {
 public:
  // Dials.
  H1Conn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts, ConnUser& user);
  // On a stream that is open.
  H1Conn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts, ConnUser& user,
         std::unique_ptr<net::Stream> stream);

  bool ready() const override { return !dialling(); }
  bool reused() const override { return requests_ > 1; }
  bool may_come_back() const override { return nothing_sent(); }
  bool takes_upgrade() const override { return true; }
  void send_head(const OutgoingHead& request) override;
  void send_body(std::string_view piece) override;
  void send_end(const http::HeaderList* trailers) override;
  bool congested() const override { return stream_->congested(); }
  void hand_to(ConnUser& user) override { user_ = &user; }
  void pause() override;
  void resume() override;
  void read_less() override { stream_->read_less(); }
  void send_tunnel(std::string_view bytes) override { stream_->write(bytes); }
  void shutdown_tunnel() override { stream_->shutdown_when_flushed(); }
  size_t unsent() const override { return stream_->unsent(); }
  void release() override;
  void abandon() override;

  ServerSide& lend(ConnUser& user, const UpstreamTimeouts& timeouts) override;

 private:
  enum class State : uint8_t { kIdle, kActive, kTunnel };

  void write_preface(Buffer& out) override { user_->write_preface(out); }
  void on_dialled() override;
  void on_dial_failed(const Error& error) override;
  void on_deadline() override;
  void on_lost(int uv_error) override;
  void on_idle(uint64_t timeout_ms) override;
  void on_end() override;
  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_drained() override;

  void begin_request();
  void write(std::string_view bytes);
  // Both return false when the user has let go of the connection.
  bool take_head(std::string_view& bytes);
  bool take_body(std::string_view& bytes);
  bool deliver_head(http::ResponseHead& head);
  void fail(const Error& error);
  void fail(ErrorKind kind, Retry retry, const char* detail);
  void fail_lost(const char* detail);
  bool nothing_sent() const { return stream_->sent_bytes() == sent_before_; }

  ConnUser* user_;
  http::H1Parser parser_;
  http::ResponseHead* head_ = nullptr;
  std::string partial_;          // a head that came in pieces
  size_t scanned_ = 0;           // of partial_
  uint64_t sent_before_ = 0;     // by the stream, when the present request began
  uint64_t sent_mark_ = 0;       // progress of a congested write at the last look
  uint64_t server_idle_ms_ = 0;  // from "Keep-Alive: timeout"
  uint32_t requests_ = 1;
  http::Method method_ = http::Method::kGet;
  State state_ = State::kActive;
  bool got_bytes_ = false;  // of the present answer
  bool head_done_ = false;
  bool message_done_ = false;
  bool request_sent_ = false;
  bool chunked_ = false;  // the request body
  bool keep_ = false;     // the server and the framing allow another request
  bool paused_ = false;
};

}  // namespace weir::upstream
