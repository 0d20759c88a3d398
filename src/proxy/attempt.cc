// Tries at servers: choosing one, getting a connection, sending the head, and what a failure means.
#include "base/limits.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/hedge.h"
#include "proxy/proxy_worker.h"
#include "proxy/tries.h"
#include "upstream/hash_key.h"
#include "upstream/health.h"
#include "upstream/outlier.h"

namespace weir::proxy {

Step Exchange::pick_endpoint() {
  if (cluster_->breaker.on) return pick_in_turn();
  const upstream::Pick pick = choose_server();
  return pick.server == nullptr ? refuse_without_server(pick.full) : begin_attempt(pick);
}

upstream::Pick Exchange::choose_server(bool no_trial) {
  const upstream::Cluster& cluster = *cluster_;
  upstream::Wish wish;
  if (tries_ != nullptr) wish.tried = tries_->servers.all();
  wish.hash = request_hash(cluster);
  if (cluster.sticky != nullptr) wish.bound = bound_server();
  wish.no_trial = no_trial;
  return worker_.balancer().pick(cluster, worker_.net().now_ms(), wish);
}

std::optional<uint64_t> Exchange::request_hash(const upstream::Cluster& cluster) const {
  if (cluster.balance != upstream::Balance::kHash) return std::nullopt;
  return upstream::hash_of_request(cluster.hash_key, request_, identity_.client, path_);
}

Step Exchange::begin_attempt(const upstream::Pick& pick) {
  server_ = pick.server;
  in_flight_ = server_->state.get();
  last_server_ = in_flight_;
  judged_ = false;
  trial_ = pick.trial;
  if (++attempts_ == 1 && cluster_->retry.budgeted) count_and_hedge();
  attempt_started_us_ = worker_.net().now_us();
  return Step::kConnect;
}

Step Exchange::refuse_without_server(bool full) {
  server_ = nullptr;
  if (!full) {
    return reply_error(503, {Source::kUpstream, ErrorKind::kNoServer, Retry::kNever, "no server"});
  }
  rare_counters().add("weir_upstream_refused_total",
                      {{"upstream", cluster_->name}, {"reason", "max_connections"}});
  return reply_error(
      503, {Source::kUpstream, ErrorKind::kOverload, Retry::kNever, "all servers are full"});
}

Step Exchange::lease_connection() {
  const upstream::Cluster& cluster = *cluster_;
  conn_ = &worker_.pools().of(*server_).lease(cluster, *server_, *this, fresh_);
  return conn_->ready() ? Step::kSend : Step::kWait;
}

void Exchange::on_conn_ready(upstream::ServerSide& side) {
  conn_ = &side;
  step_ = Step::kSend;
  advance();
}

Step Exchange::send_head() {
  if (!request_.upgrade.empty() && !conn_->takes_upgrade()) {
    return reply_error(502, {Source::kUpstream, ErrorKind::kRefused, Retry::kNever,
                             "the server takes no WebSockets over HTTP/2"});
  }
  // weir takes the body whatever the server thinks of it: no need to ask the server first.
  tell_to_go_on();
  write_upstream_head(*conn_, *server_);
  head_sent_ = true;
  pump_request();
  return Step::kAwait;
}

// RFC 9110 10.1.1. The client's time for the body begins with it.
void Exchange::tell_to_go_on() {
  if (!request_.expect_continue || continue_sent_ || bytes_in_ > 0 || request_done_) return;
  continue_sent_ = true;
  http::ResponseHead go_on(arena_);
  go_on.status = 100;
  client_.send_informational(go_on);
}

http::ResponseHead& Exchange::next_response_head() {
  response_ = arena_.make<http::ResponseHead>(arena_);
  return *response_;
}

void Exchange::on_informational() {
  if (++informational_ > limits::kInformationalMax) {
    const Error error = {Source::kUpstream, ErrorKind::kMalformed, Retry::kNever,
                         "too many interim answers"};
    note_attempt_failure(error);
    fail(error);
    return;
  }
  // The server's own 100 was asked for by nobody: weir answered the client's Expect itself.
  const bool pass = response_->status != 100 && request_.version != http::Version::kHttp10;
  if (pass) client_.send_informational(*response_);
}

void Exchange::on_response_head() {
  count_upstream_answer();
  if (server_ != nullptr) {
    upstream::note_success(*server_);
    upstream::note_answer(*cluster_, *server_, response_->status,
                          worker_.net().now_us() - attempt_started_us_);
  }
  if (gate_ != nullptr) note_latency();
  if (hedge_ != nullptr) {
    cluster_->state->latency.note(worker_.net().now_us() - attempt_started_us_);
  }
  judged_ = true;
  if (asks_for_tunnel() && response_->status < 300) {  // an upgrade has a way of its own
    fail({Source::kUpstream, ErrorKind::kRefused, Retry::kNever, "no upgrade"});
    return;
  }
  if (may_be_unwanted()) return;
  accept_answer();
  advance();
}

void Exchange::count_upstream_answer() {
  worker_.metrics().upstream_requests.add(
      Metrics::upstream_key(last_server_->index, response_->status));
}

void Exchange::on_conn_failed(const Error& error) {
  // A connection that the server closed while it was idle says nothing about the server's health,
  // nor does a request that it gave back unread; a connection closed inside an answer does.
  const bool stale =
      error.kind == ErrorKind::kReset && (error.retry == Retry::kNothingSent ||
                                          (error.retry == Retry::kIfIdempotent && conn_->reused()));
  fresh_ = fresh_ || conn_->reused();
  conn_ = nullptr;
  if (!stale) note_attempt_failure(error);
  if (step_ == Step::kTunnel) {
    if (!error_) error_ = error;
    end(true);
    return;
  }
  if (source_ != nullptr && !committed_ &&
      recorder_ == nullptr) {  // of an answer that was replaced
    settle_attempt(false);
    advance();
  } else if (hedge_under_way()) {
    hedge_->take_over(kind_word(error.kind), false);
  } else if (awaits_rest_of_answer()) {  // which was not wanted anyway
    if (!retry_answer()) fail(error);
  } else if (may_retry(error, stale)) {
    try_again(kind_word(error.kind), false, stale);
  } else {
    fail(error);
  }
}

void Exchange::note_attempt_failure(const Error& error) {
  if (error.source != Source::kUpstream || server_ == nullptr) return;
  judged_ = true;
  upstream::note_failure(*server_, worker_.net().now_ms());
  upstream::note_answer(*cluster_, *server_, 0, worker_.net().now_us() - attempt_started_us_);
  if (gate_ != nullptr && error.kind == ErrorKind::kTimeout) {
    gate_->note_answer(worker_.net().now_us(), 0, true);
  }
  rare_counters().add("weir_upstream_failures_total", {{"upstream", last_server_->upstream},
                                                       {"server", last_server_->server},
                                                       {"reason", kind_word(error.kind)}});
}

// At the end of the total time. A client could use most of it up by sending slowly, or choose it
// (grpc-timeout): that a server had too little of it is no failure of the server.
bool Exchange::server_is_late() const {
  if (total_ms_ == 0 || conn_ == nullptr || !request_ended_ || judged_) return false;
  const uint64_t waited_us = worker_.net().now_us() - answer_due_us_;
  return waited_us >= total_ms_ * 1000 / 2;
}

// The present try is over: its in-flight count and its connection go back.
void Exchange::settle_attempt(bool keep_connection) {
  upstream_us_ = worker_.net().now_us() - attempt_started_us_;
  if (conn_ != nullptr) {
    upstream::ServerSide* conn = std::exchange(conn_, nullptr);
    if (keep_connection && request_ended_) {
      conn->release();
    } else {
      conn->abandon();
    }
  }
  if (in_flight_ == nullptr) return;
  give_back_place();
  if (server_ != nullptr) {
    if (trial_ && !judged_) upstream::note_nothing(*server_, worker_.net().now_ms());
    worker_.metrics().upstream_duration.at(cluster_->index).observe_us(upstream_us_);
  }
  server_ = nullptr;
}

}  // namespace weir::proxy
