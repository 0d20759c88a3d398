#include "proxy/hedge.h"

#include <utility>

#include "base/limits.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "proxy/tries.h"
#include "upstream/health.h"
#include "upstream/outlier.h"

namespace weir::proxy {

HedgeTry::HedgeTry(Exchange& exchange)
    : exchange_(exchange),
      timer_(exchange.worker_.net().timers(), this,
             &net::Timer::call<HedgeTry, &HedgeTry::on_time>) {}

void HedgeTry::start_after_us(uint64_t us) { timer_.arm_ms((us + 999) / 1000); }

// ---- the try ----

void HedgeTry::on_time() {
  Exchange& exchange = exchange_;
  // Nothing but waiting for a first sign of the server: an interim answer is one.
  const bool waits = exchange.step_ == Step::kConnect || exchange.step_ == Step::kAwait;
  const bool quiet = exchange.informational_ == 0 && !exchange.awaits_rest_of_answer();
  if (!waits || !quiet || exchange.attempts_ != 1 || exchange.is_bound_here() || !take_place()) {
    state_ = State::kOver;
    return;
  }
  state_ = State::kUnderWay;
  started_us_ = exchange.worker_.net().now_us();
  conn_ = &exchange.worker_.pools().of(*server_).lease(*exchange.cluster_, *server_, *this, false);
  if (conn_->ready()) send();
}

// A server that is not the first one's, and only if it is up and free at once: who waits for a
// place needs it more. A trial's outcome would hang on what the first try does.
bool HedgeTry::take_place() {
  const upstream::Cluster& cluster = *exchange_.cluster_;
  upstream::Gate* gate = cluster.breaker.on ? &cluster.state->gate : nullptr;
  if (gate != nullptr && (gate->anybody_waits() || !gate->has_room())) return false;
  exchange_.tries().servers.add(*exchange_.server_);
  const upstream::Pick pick = exchange_.choose_server(true);
  exchange_.tries().servers.clear();
  if (pick.server == nullptr) return false;
  server_ = pick.server;
  const bool entered = gate == nullptr || gate->enter();
  if (entered) gate_ = gate;
  const bool of_use = server_ != exchange_.server_ && !pick.is_last_resort();
  if (entered && of_use && exchange_.take_of_budget()) return true;
  give_back_place();
  if (!entered) gate->wake();
  return false;
}

void HedgeTry::give_back_place() {
  upstream::Balancer::release(*server_);
  if (gate_ != nullptr) std::exchange(gate_, nullptr)->leave();
}

void HedgeTry::send() {
  exchange_.write_upstream_head(*conn_, *server_);
  conn_->send_end(nullptr);
  sent_ = true;
  sent_us_ = exchange_.worker_.net().now_us();
}

// Of an unwanted answer that the other try had begun nothing stays.
void HedgeTry::take_over(std::string_view outcome, bool keep_connection) {
  Exchange& exchange = exchange_;
  if (exchange.tries_ != nullptr) exchange.tries_->timer.cancel();
  exchange.held_response_.clear();
  exchange.response_trailers_ = nullptr;
  exchange.informational_ = informational_;
  rare_counters().add("weir_upstream_hedges_total",
                      {{"upstream", server_->state->upstream}, {"result", "won"}});
  exchange.tries().servers.add(*exchange.server_);
  exchange.settle_attempt(keep_connection);
  exchange.tell_try(*exchange.last_server_, outcome, exchange.upstream_us_);
  ++exchange.epoch_;
  exchange.server_ = server_;
  exchange.in_flight_ = server_->state.get();
  exchange.last_server_ = exchange.in_flight_;
  exchange.gate_ = std::exchange(gate_, nullptr);
  exchange.conn_ = conn_;
  exchange.trial_ = false;
  exchange.judged_ = false;
  exchange.attempt_started_us_ = started_us_;
  exchange.answer_due_us_ = sent_us_;
  exchange.head_sent_ = exchange.request_ended_ = sent_;
  exchange.step_ = sent_ ? Step::kAwait : Step::kConnect;
  made_a_try_ = true;
  state_ = State::kPassesOn;
}

void HedgeTry::stop() {
  timer_.cancel();
  if (state_ != State::kUnderWay) return;
  conn_->abandon();
  lose("dropped", "lost");
}

// REQUIRES: the connection is gone. `result`: of weir_upstream_hedges_total.
void HedgeTry::lose(std::string_view outcome, const char* result) {
  const uint64_t took_us = exchange_.worker_.net().now_us() - started_us_;
  exchange_.tell_try(*server_->state, outcome, took_us);
  exchange_.worker_.metrics().upstream_duration.at(exchange_.cluster_->index).observe_us(took_us);
  rare_counters().add("weir_upstream_hedges_total",
                      {{"upstream", server_->state->upstream}, {"result", result}});
  give_back_place();
  conn_ = nullptr;
  made_a_try_ = true;
  state_ = State::kOver;
}

// The exchange's own try is what is left; the next one goes to a third server.
void HedgeTry::fail(std::string_view outcome) {
  exchange_.tries().servers.add(*server_);
  lose(outcome, "failed");
}

void HedgeTry::note_failure(ErrorKind kind) {
  const uint64_t now_us = exchange_.worker_.net().now_us();
  upstream::note_failure(*server_, exchange_.worker_.net().now_ms());
  upstream::note_answer(*exchange_.cluster_, *server_, 0, now_us - started_us_);
  if (gate_ != nullptr && kind == ErrorKind::kTimeout) gate_->note_answer(now_us, 0, true);
  rare_counters().add("weir_upstream_failures_total", {{"upstream", server_->state->upstream},
                                                       {"server", server_->state->server},
                                                       {"reason", kind_word(kind)}});
}

// ---- what its connection tells ----

void HedgeTry::write_preface(Buffer& out) { exchange_.write_preface(out); }

void HedgeTry::on_conn_ready(upstream::ServerSide& side) {
  if (state_ == State::kPassesOn) {
    exchange_.on_conn_ready(side);
    return;
  }
  conn_ = &side;
  send();
}

void HedgeTry::on_conn_failed(const Error& error) {
  if (state_ == State::kPassesOn) {
    exchange_.on_conn_failed(error);
    return;
  }
  const bool stale =
      error.kind == ErrorKind::kReset && (error.retry == Retry::kNothingSent ||
                                          (error.retry == Retry::kIfIdempotent && conn_->reused()));
  if (!stale && error.source == Source::kUpstream) note_failure(error.kind);
  fail(kind_word(error.kind));
}

http::ResponseHead& HedgeTry::next_response_head() {
  if (state_ == State::kPassesOn) return exchange_.next_response_head();
  head_ = exchange_.arena_.make<http::ResponseHead>(exchange_.arena_);
  return *head_;
}

// The first head wins, unless its status asks for another try: that one is under way.
void HedgeTry::on_response_head() {
  Exchange& exchange = exchange_;
  if (state_ == State::kPassesOn) {
    exchange.on_response_head();
    return;
  }
  if (exchange.cluster_->retry.lists(head_->status)) {
    on_refused_answer();
    return;
  }
  exchange.cluster_->state->latency.note(exchange.worker_.net().now_us() -
                                         exchange.attempt_started_us_);
  if (!exchange.judged_) judge_given_up();
  const bool unwanted = exchange.awaits_rest_of_answer();
  take_over(unwanted ? exchange.status_text(exchange.response_->status) : "dropped", false);
  exchange.response_ = head_;
  exchange.on_response_head();
}

// The exchange's own try is given up. Without the hedge a server that hangs would have failed it
// some time, and a trial that brought no answer in time does not ask for the next one at once.
void HedgeTry::judge_given_up() {
  Exchange& exchange = exchange_;
  const upstream::UpstreamTimeouts& timeouts = exchange.cluster_->timeouts;
  const uint64_t patience_ms = exchange.head_sent_ ? timeouts.read_ms : timeouts.connect_ms;
  const uint64_t waited_us = exchange.worker_.net().now_us() - exchange.attempt_started_us_;
  exchange.trial_ = false;
  if (upstream::note_given_up(*exchange.server_, exchange.worker_.net().now_ms(), patience_ms)) {
    exchange.note_attempt_failure(
        {Source::kUpstream, ErrorKind::kTimeout, Retry::kNever, "answers nothing"});
  } else {
    upstream::note_late(*exchange.cluster_, *exchange.server_, waited_us);
  }
}

void HedgeTry::on_refused_answer() {
  exchange_.worker_.metrics().upstream_requests.add(
      Metrics::upstream_key(server_->state->index, head_->status));
  upstream::note_success(*server_);
  upstream::note_answer(*exchange_.cluster_, *server_, head_->status,
                        exchange_.worker_.net().now_us() - started_us_);
  conn_->abandon();
  fail(exchange_.status_text(head_->status));
}

// Of an answer that may not be the client's nobody needs interim ones.
void HedgeTry::on_informational() {
  if (state_ == State::kPassesOn) {
    exchange_.on_informational();
  } else if (++informational_ > limits::kInformationalMax) {
    on_malformed();
  }
}

void HedgeTry::on_upgraded() {
  if (state_ == State::kPassesOn) {
    exchange_.on_upgraded();
    return;
  }
  on_malformed();  // nobody has asked for it
}

void HedgeTry::on_malformed() {
  note_failure(ErrorKind::kMalformed);
  conn_->abandon();
  fail(kind_word(ErrorKind::kMalformed));
}

// What follows comes only behind a head that has won.
void HedgeTry::on_conn_drained() {
  if (state_ == State::kPassesOn) exchange_.on_conn_drained();
}

void HedgeTry::on_response_body(std::string_view piece) { exchange_.on_response_body(piece); }

void HedgeTry::on_response_end() { exchange_.on_response_end(); }

http::HeaderList& HedgeTry::response_trailers() { return exchange_.response_trailers(); }

void HedgeTry::on_tunnel_bytes(std::string_view bytes) { exchange_.on_tunnel_bytes(bytes); }

void HedgeTry::on_tunnel_eof() { exchange_.on_tunnel_eof(); }

}  // namespace weir::proxy
