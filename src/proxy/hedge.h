// A second try beside the first: where an answer is slow in coming another server is asked for it,
// too, and the client gets what comes first.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "net/timer_wheel.h"
#include "upstream/balancer.h"
#include "upstream/server_side.h"

namespace weir::proxy {

class Exchange;

// Owner: its exchange, in whose arena it is; made with the first try of a request that may be
// hedged. Thread: its worker's. It waits, then is under way, until the exchange's own try has an
// answer (stop()), its own try fails, or it takes over: from then on it only passes on what its
// connection tells, and whatever it held (the server's place, the connection) is the exchange's.
class HedgeTry final : public upstream::ConnUser {
 public:
  explicit HedgeTry(Exchange& exchange);

  void start_after_us(uint64_t us);  // to one tick of the timers
  // It has asked a server, and nothing has come of it yet.
  bool under_way() const { return state_ == State::kUnderWay; }
  bool made_a_try() const { return state_ == State::kUnderWay || made_a_try_; }
  // The exchange's own try has ended with that outcome: this one is its try now. REQUIRES:
  // under_way().
  void take_over(std::string_view outcome, bool keep_connection);
  // Nobody needs it. No failure of its server's.
  void stop();

 private:
  enum class State : uint8_t { kWaiting, kUnderWay, kPassesOn, kOver };

  void on_time();
  bool take_place();
  void give_back_place();
  void send();
  void lose(std::string_view outcome, const char* result);
  void fail(std::string_view outcome);
  void note_failure(ErrorKind kind);
  void judge_given_up();
  void on_refused_answer();
  void on_malformed();

  // ConnUser.
  void write_preface(Buffer& out) override;
  void on_conn_ready(upstream::ServerSide& side) override;
  void on_conn_failed(const Error& error) override;
  void on_conn_drained() override;
  http::ResponseHead& next_response_head() override;
  void on_informational() override;
  void on_upgraded() override;
  void on_response_head() override;
  void on_response_body(std::string_view piece) override;
  void on_response_end() override;
  http::HeaderList& response_trailers() override;
  void on_tunnel_bytes(std::string_view bytes) override;
  void on_tunnel_eof() override;

  Exchange& exchange_;
  net::Timer timer_;
  State state_ = State::kWaiting;
  bool made_a_try_ = false;
  bool sent_ = false;
  const upstream::Server* server_ = nullptr;  // while under way, as the next two
  upstream::Gate* gate_ = nullptr;
  upstream::ServerSide* conn_ = nullptr;
  http::ResponseHead* head_ = nullptr;
  uint32_t informational_ = 0;
  uint64_t started_us_ = 0;
  uint64_t sent_us_ = 0;
};

}  // namespace weir::proxy
