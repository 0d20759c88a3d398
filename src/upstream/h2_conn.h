// One HTTP/2 connection to a server (RFC 9113), used by many requests at once: each is an H2Call.
// Requests wait until the server has told its settings; what is more than it takes goes to another
// connection. A server that does not answer a PING while requests are open is dead.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "http/h2_session.h"
#include "upstream/h2_call.h"
#include "upstream/server_conn.h"

namespace weir::upstream {

// Owner: its Pool. Owns its calls. Ends as a ServerConn does.
class H2Conn final : public ServerConn {
 public:
  H2Conn(Pool& pool, Target& target, const UpstreamTimeouts& timeouts);

  ServerSide& lend(ConnUser& user, const UpstreamTimeouts& timeouts) override;

 private:
  friend class H2Call;
  friend class Pool;
  friend struct Target;
  enum class Phase : uint8_t {
    kGreeting,  // until the server's SETTINGS
    kOpen,
    kLeaving,  // takes no new requests: GOAWAY, or it has served as many as it may
  };

  void on_dialled() override;
  void on_dial_failed(const Error& error) override;
  void on_deadline() override;
  void on_lost(int uv_error) override;
  void on_idle(uint64_t timeout_ms) override;
  void on_end() override;
  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_drained() override;
  void on_flush_due() override;

  void take_events();
  void take_event(const http::H2Event& event, bool ends);
  void become_h1();
  void on_settings();
  void on_goaway(http::H2Code code);
  void start(H2Call& call);
  void take_over(H2Call& call);
  bool has_room() const;
  bool has_room_for_waiting() const;
  void look_for_room();
  void check_alive();
  // The connection is lost: all calls fail, then it ends. `error.retry` is for those that have sent
  // nothing.
  void fail(const Error& error);
  void fail_lost(const char* detail);
  // After anything that may have changed whether somebody uses it.
  void settle();
  void forget(H2Call& call, http::H2Code code);
  void flush_soon() { stream_->flush_soon(); }
  std::string_view scheme() const;

  std::unique_ptr<http::H2Session> session_;       // from on_dialled() on
  IntrusiveList<H2Call, &H2Call::hook_> waiting_;  // for the settings
  IntrusiveList<H2Call, &H2Call::hook_> calls_;    // have a stream
  ListHook open_;                                  // of its target: has room
  uint64_t last_read_ms_ = 0;
  uint64_t pinged_ms_ = 0;    // 0: never
  uint32_t requests_ = 0;     // streams so far
  uint32_t calls_count_ = 0;  // those that wait included
  Phase phase_ = Phase::kGreeting;
  bool ping_out_ = false;  // nothing has come since the PING
  bool heard_ = true;      // something of an answer has come since the PING
  bool busy_ = false;      // amid events: settle() later
};

}  // namespace weir::upstream
