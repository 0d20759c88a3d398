// One client connection that speaks HTTP/1.x: bytes in, requests to exchanges, answers out. One
// exchange at a time; requests that come early wait in order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/blocks.h"
#include "base/pooled.h"
#include "http/forwarded.h"
#include "http/h1_parser.h"
#include "net/timer_wheel.h"
#include "proxy/client_connection.h"
#include "proxy/client_side.h"
#include "proxy/exchange.h"
#include "proxy/pace.h"

namespace weir::proxy {

// Owner, thread and end as every ClientConnection; the exchange is ended first.
class Connection final : public ClientConnection, public ClientSide, public Pooled<Connection> {
 public:
  Connection(ProxyWorker& worker, Client&& client);
  ~Connection() override = default;

  void drain() override;
  void end(bool reset = false) override;
  void on_bytes(std::string_view bytes) override;
  bool over() const { return state_ == State::kOver; }

 private:
  // Who moves on from a state: the client's bytes (read), the timer, or the exchange.
  //
  //            reads           timer             left by
  //   kIdle    yes             keepalive, age    the next head's first byte; drain; breather_
  //   kHead    yes             header, min_rate  the end of the head, a refusal
  //   kBody    unless paused   body, min_rate    the last byte: kWait; an answer: kDebt, kClosing
  //   kWait    to hold()       none              exchange_over()
  //   kDebt    yes             body              the last byte: kIdle
  //   kTunnel  yes             the exchange's    exchange_over()
  //   kClosing no matter       none              on_drained(): kLinger or end()
  //   kLinger  and throws away kLingerMs         the client's FIN, the cap, the timer
  //
  // Beside it send_timer_ runs whenever the client does not take what was written, but in tunnels.
  // The timer of a paused body is off: then it is the server who is slow.
  enum class State : uint8_t {
    kIdle,     // between requests: not a byte of the next one has come
    kHead,     // a head has begun
    kBody,     // the exchange lives, its request body is arriving
    kWait,     // the request is complete, its answer is not
    kDebt,     // answered; the rest of the request body is read and thrown away
    kTunnel,   // bytes go through unread
    kClosing,  // the answer is on its way out, then the connection closes
    kLinger,   // our side is shut: what the client still sends is thrown away
    kOver,
  };

  // net::Stream::Owner
  void on_eof() override;
  void on_broken(int uv_error) override;
  void on_drained() override;

  // ClientSide
  const http::Address& peer() const override { return client_.peer; }
  http::ConnectionEnds ends() const override { return ClientConnection::ends(); }
  uint32_t listener_slot() const override { return client_.slot; }
  std::string_view scheme() const override { return tls() == nullptr ? "http" : "https"; }
  const net::Tls* tls() const override { return client_.stream->tls(); }
  bool must_close() const override;
  void send_informational(const http::ResponseHead& head) override;
  void send_head(const http::ResponseHead& head, const http::ResponseFraming& framing,
                 std::string_view upgrade) override;
  void send_body(std::span<const std::string_view> pieces) override;
  size_t offer_body(std::span<const std::string_view> pieces) override;
  bool takes_files() const override;
  size_t send_file(int file, uint64_t offset_bytes, size_t bytes) override;
  void send_end(const http::HeaderList* trailers) override;
  bool congested() const override { return client_.stream->congested(); }
  size_t unsent() const override { return client_.stream->unsent(); }
  uint64_t bytes_out() const override { return bytes_out_; }
  void pause_body() override;
  void resume_body() override;
  uint64_t body_left() const override;
  void start_tunnel() override;
  void send_tunnel(std::string_view bytes) override;
  void shutdown_tunnel() override { client_.stream->shutdown_when_flushed(); }
  void exchange_over(bool cut) override;

  void process(std::string_view bytes);
  bool in_body() const { return state_ == State::kBody || state_ == State::kDebt; }
  bool take_head(std::string_view& bytes);
  void begin_head();
  void credit(size_t bytes, uint64_t longest_ms);
  bool take_body(std::string_view& bytes);
  bool drop_body(std::string_view& bytes);
  bool take_plain_head(std::string_view& bytes);
  void open_exchange();
  void start_exchange(const http::Refusal& refusal);
  void refuse(const http::Refusal& refusal);
  void refuse_exchange(const http::Refusal& refusal);
  void process_held();
  void hold(std::string_view bytes);
  void take_a_breath(std::string_view bytes);
  void body_complete();
  void go_idle();
  bool no_more_requests() const;
  bool leaving() const;
  void close_when_sent(bool then_linger);
  void close_after_answer();
  void linger();
  void on_timeout();
  void on_congested() override;
  void watch_if_congested();
  void watch_sending();
  void on_send_timeout();
  bool judge_drained();
  void give_up_sending(const char* why);
  uint64_t age_ms() const;
  const ListenerConfig& config() const;

  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<BudgetedText> held_;  // a head in pieces, or pipelined requests
  std::string_view held_source_;        // held bytes that process() is at
  size_t kept_bytes_ = 0;               // of their end, that hold() wants kept
  net::Timer timer_;
  net::Timer send_timer_;  // the client does not take what was written
  http::H1Parser parser_;
  http::HeaderList* trailers_ = nullptr;  // of the present request, in its arena
  SendPace pace_;                         // while a write is congested
  uint64_t congested_at_ms_ = 0;          // the present wait for the client to read; 0 = none
  uint64_t congested_ms_ = 0;             // of the waits before it, not judged yet
  uint64_t congested_from_bytes_ = 0;     // what had left when the first of these began
  uint64_t head_until_ms_ = 0;            // the end of timeouts.header, in kHead
  const uint64_t born_ms_;
  uint64_t bytes_out_ = 0;  // of the present answer
  uint32_t scanned_ = 0;    // of held_, in kHead
  uint32_t requests_ = 0;
  uint32_t lingered_bytes_ = 0;
  State state_ = State::kIdle;
  http::Framing framing_ = http::Framing::kNone;  // of the present answer
  bool close_ = false;                            // after the present answer
  bool client_closes_ = false;                    // the client asked for that
  bool linger_ = false;                           // in kClosing
  bool processing_ = false;  // process() is on the stack: it goes on with the next request
  bool body_paused_ = false;
  bool more_input_ = false;  // behind the request that process() is at
  bool breather_ = false;    // in kIdle: held_ is gone on with when the timer fires
  bool reset_ = false;       // the client takes nothing: nothing of the answer may stay queued
  bool eof_ = false;         // the client has shut its side: answer what was asked, then close
};

}  // namespace weir::proxy
