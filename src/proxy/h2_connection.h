// One client connection that speaks HTTP/2: a session, its streams, and the connection's own time:
// idleness, age, floods, and leaving in two steps (RFC 9113 6.8).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/intrusive_list.h"
#include "base/pooled.h"
#include "http/forwarded.h"
#include "http/h2_session.h"
#include "net/timer_wheel.h"
#include "proxy/client_connection.h"
#include "proxy/h2_stream.h"
#include "proxy/pace.h"

namespace weir::proxy {

// Owner, thread and end as every ClientConnection; its streams are ended first.
class H2Connection final : public ClientConnection, public Pooled<H2Connection> {
 public:
  // The client's first bytes, preface included, follow by on_bytes().
  H2Connection(ProxyWorker& worker, Client&& client);
  ~H2Connection() override;

  void drain() override;
  void end(bool reset = false) override;
  void on_bytes(std::string_view bytes) override;
  bool over() const { return state_ == State::kOver; }

  // For its streams.
  ProxyWorker& worker() { return worker_; }
  http::H2Session& session() { return session_; }
  const ListenerConfig& config() const;
  const http::Address& peer() const { return client_.peer; }
  uint32_t slot() const { return client_.slot; }
  const net::Tls* tls() const { return client_.stream->tls(); }
  void flush_soon() { client_.stream->flush_soon(); }
  // `stream` has queued something: it looks at what is left of it after the flush.
  void written(H2ClientStream& stream);

 private:
  //             reads           timer                 left by
  //   kOpen     yes             see arm()             the client, a failure, close_when_sent()
  //   kClosing  no matter       send                  on_drained(): kLinger or end()
  //   kLinger   and throws away kLingerMs             the client's FIN, the cap, the timer
  enum class State : uint8_t { kOpen, kClosing, kLinger, kOver };
  // Of a connection that takes no more requests: the client is told, and a round trip later it is
  // told where it ends, so that no request is lost that was on its way.
  enum class Leaving : uint8_t { kNo, kAnnounced, kToldLast };

  // net::Stream::Owner
  void on_eof() override;
  void on_broken(int uv_error) override;
  void on_drained() override;
  void on_flush_due() override;

  void dispatch();
  void dispatch(const http::H2Event& event);
  void open_stream(const http::H2Event& head);
  void close_stream(H2ClientStream& stream);
  void begin_leaving();
  void tell_last();
  void arm();
  void on_timeout();
  void on_send_timeout();
  void close_if_done();
  void note_failure();
  void close_when_sent();
  void close_after_flush();
  void end_streams(const char* why);

  http::H2Session session_;
  IntrusiveList<H2ClientStream, &H2ClientStream::live_> streams_;
  IntrusiveList<H2ClientStream, &H2ClientStream::written_> written_;
  net::Timer timer_;
  net::Timer send_timer_;  // armed while the client does not take what was written
  SendPace pace_;
  const uint64_t born_ms_;
  uint32_t requests_ = 0;
  uint32_t lingered_bytes_ = 0;
  int32_t timed_head_ = 0;  // the timer is that of this stream's head, which is under way
  State state_ = State::kOpen;
  Leaving leaving_ = Leaving::kNo;
  int32_t last_id_ = 0;  // of kToldLast: the youngest stream that is served
  bool ping_due_ = false;
  bool greeted_ = false;  // the client's SETTINGS have come
  bool eof_ = false;      // the client has shut its side
};

}  // namespace weir::proxy
