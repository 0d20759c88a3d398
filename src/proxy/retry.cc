// Another try at another server: which failures and answers ask for one, whether the request may be
// repeated, and what becomes of an answer that was not good enough.
#include <algorithm>

#include "base/limits.h"
#include "base/strings.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/files/look_up.h"
#include "proxy/hedge.h"
#include "proxy/proxy_worker.h"
#include "proxy/tries.h"

namespace weir::proxy {

Tries& Exchange::tries() {
  if (tries_ == nullptr) {
    tries_ = arena_.make<Tries>(worker_.net().timers(), this,
                                &net::Timer::call<Exchange, &Exchange::on_retry_timer>,
                                worker_.net().blocks());
  }
  return *tries_;
}

// The first try of a request that counts for its upstream's budget.
void Exchange::count_and_hedge() {
  upstream::ClusterState& state = *cluster_->state;
  state.retries.note_request(worker_.net().now_ms());
  const upstream::HedgeConfig& hedge = cluster_->hedge;
  const http::Method method = request_.method;
  if (!hedge.on || (method != http::Method::kGet && method != http::Method::kHead) ||
      request_.framing != http::Framing::kNone || !request_.upgrade.empty() || !may_repeat() ||
      grpc_) {
    return;
  }
  hedge_ = arena_.make<HedgeTry>(*this);
  const uint64_t after_us = hedge.after_ms != 0 ? hedge.after_ms * 1000 : state.latency.p95_us();
  if (after_us != 0) hedge_->start_after_us(after_us);
}

bool Exchange::hedge_under_way() const { return hedge_ != nullptr && hedge_->under_way(); }

// ---- may it be? ----

// Though a server has had it.
bool Exchange::may_repeat() const {
  return (cluster_->retry.methods & http::bit(request_.method)) != 0;
}

// Of what a server gets of the body, so much is kept for the next one. What is above the usual only
// as long as there is memory for it.
bool Exchange::may_keep_for_replay(size_t bytes) const {
  const uint64_t configured = cluster_->retry.body_bytes;
  const uint64_t usual = worker_.hold_bytes();
  if (bytes > (configured == UINT64_MAX ? usual : configured)) return false;
  return bytes <= usual || !BlockBudget::exhausted();
}

// `unread`: given back by a server that is well. `stale`: sent on a connection that the server may
// have closed before. Neither is a try that failed: they are made good whatever is configured, and
// are none of retry.attempts.
bool Exchange::may_retry(const Error& error, bool stale) {
  if (committed_ || local_ || replay_lost_ || response_begun_) return false;
  const upstream::RetryConfig& retry = cluster_->retry;
  const bool unread = error.retry == Retry::kNothingSent && error.kind == ErrorKind::kReset;
  if (unread) return excused_ + 1 < std::max(retry.attempts, limits::kAttemptsUnread);
  // No answer has come in time, or something that is none: only the configuration knows whether
  // that is worth another try.
  const bool no_answer =
      (error.kind == ErrorKind::kTimeout || error.kind == ErrorKind::kMalformed) &&
      step_ == Step::kAwait && informational_ == 0;
  if (error.retry == Retry::kNever && !no_answer) return false;
  const bool sent = error.retry != Retry::kNothingSent;
  if (sent && !may_repeat()) return false;
  if (stale) return excused_ + 1 < std::max(retry.attempts, limits::kAttempts);
  const bool any_left = counted_tries() < retry.attempts;
  if (!any_left || !retry.covers(error) || !has_time_for_retry()) return false;
  return !sent || take_of_budget();  // nothing sent: nobody has worked on it
}

bool Exchange::has_time_for_retry() const {
  return !deadline_.armed() ||
         deadline_.left_ms() > cluster_->retry.backoff_max_ms(counted_tries());
}

bool Exchange::take_of_budget() {
  const upstream::RetryConfig& retry = cluster_->retry;
  if (!retry.budgeted) return true;
  if (cluster_->state->retries.take(worker_.net().now_ms(), retry.budget)) return true;
  rare_counters().add("weir_upstream_retries_denied_total", {{"upstream", cluster_->name}});
  return false;
}

// ---- the next try ----

// A try is over whose outcome is not the request's.
void Exchange::tell_try(const upstream::EndpointState& server, std::string_view outcome,
                        uint64_t us) {
  tries().told = told_with(server, outcome, us);
  ++tries_->told_count;
}

// What was told, and this; in the arena.
std::string_view Exchange::told_with(const upstream::EndpointState& server,
                                     std::string_view outcome, uint64_t us) {
  char ms[20];
  const std::string_view whole(ms, format_u64(us / 1000, ms));
  const char tenths[] = {'.', static_cast<char>('0' + us % 1000 / 100), 'm', 's'};
  const std::string_view before = tries_ == nullptr ? std::string_view() : tries_->told;
  return arena_.concat({before, before.empty() ? "" : ", ", server.server, " ", outcome, " ", whole,
                        std::string_view(tenths, sizeof(tenths))});
}

// REQUIRES: may_retry(), or the like of it, said yes. `excused`: it failed for no fault of a
// server.
void Exchange::try_again(std::string_view reason, bool keep_connection, bool excused) {
  rare_counters().add("weir_upstream_retries_total",
                      {{"upstream", last_server_->upstream}, {"reason", std::string(reason)}});
  if (excused) {
    note_excused();
  } else {
    tries().servers.add(*server_);
  }
  settle_attempt(keep_connection);
  tell_try(*last_server_, reason, upstream_us_);
  ++epoch_;
  head_sent_ = request_ended_ = false;
  informational_ = 0;
  replay_.take(held_request_);  // first what the failed server got, then what nobody got
  held_request_.swap(replay_);
  step_ = Step::kPick;
  const uint64_t wait_ms = excused ? 0 : backoff_ms();
  if (wait_ms == 0) {
    advance();
  } else {
    tries_->timer.arm_ms(wait_ms);
  }
}

// Who is bound to the server has its session there: it is asked once more, on a fresh connection.
// Others have a second server at hand that is surely there.
void Exchange::note_excused() {
  if (++excused_ == 1 && is_bound_here()) return;
  tries().servers.add_excused(*server_);
}

// By lot between half of the most and the most: clients that failed together shall not come back
// together.
uint64_t Exchange::backoff_ms() {
  const uint64_t max_ms = cluster_->retry.backoff_max_ms(counted_tries());
  if (max_ms == 0) return 0;
  uint32_t random = 0;
  worker_.random_bytes(reinterpret_cast<uint8_t*>(&random), sizeof(random));
  return max_ms - random % (max_ms / 2 + 1);
}

void Exchange::on_retry_timer() {
  if (over()) return;
  if (step_ == Step::kPick) {
    advance();
  } else if (step_ == Step::kAwait && !retry_answer()) {
    pass_answer_on();
  }
}

// Whatever the exchange waits for between two tries.
void Exchange::stop_waiting() {
  if (waiter_ != nullptr) waiter_->leave();
  if (hedge_ != nullptr) hedge_->stop();
  if (tries_ != nullptr) tries_->timer.cancel();
  if (look_up_ != nullptr) look_up_->stop();
}

// ---- an answer whose status asks for another try ----

// True: it stays in kAwait until it is whole, so that its connection can be kept and the answer,
// too: for the client, if nobody has a better one. What is large is not worth that: it is passed
// on, or thrown away where a hedge is out.
bool Exchange::may_be_unwanted() {
  const upstream::RetryConfig& retry = cluster_->retry;
  if (!retry.lists(response_->status)) return false;
  if (counted_tries() >= retry.attempts && !hedge_under_way()) return false;
  if (local_ || replay_lost_ || !may_repeat() || !has_time_for_retry()) return false;
  const bool large = response_->framing == http::Framing::kLength &&
                     response_->content_length > limits::kUnwantedAnswerBytes;
  if (large && !hedge_under_way()) return false;
  tries().timer.arm_ms(limits::kUnwantedAnswerMs);
  return true;
}

bool Exchange::awaits_rest_of_answer() const {
  return step_ == Step::kAwait && tries_ != nullptr && tries_->timer.armed();
}

// REQUIRES: awaits_rest_of_answer(). False: it is the client's after all.
bool Exchange::retry_answer() {
  tries_->timer.cancel();
  const bool hedged = hedge_under_way();
  const bool any_left = counted_tries() < cluster_->retry.attempts;
  const bool more = !replay_lost_ && any_left && has_time_for_retry();
  if (!hedged && (!more || !take_of_budget())) return false;
  if (response_done_) {
    tries_->answer = response_;
    tries_->answer_trailers = response_trailers_;
    tries_->answer_body.clear();
    tries_->answer_body.swap(held_response_);
  }
  held_response_.clear();
  const bool whole = std::exchange(response_done_, false);
  response_trailers_ = nullptr;
  const std::string_view reason = status_text(response_->status);
  if (hedged) {
    hedge_->take_over(reason, whole);
  } else {
    try_again(reason, whole, false);
  }
  return true;
}

void Exchange::pass_answer_on() {
  tries_->timer.cancel();
  accept_answer();
  advance();
}

void Exchange::accept_answer() {
  if (hedge_ != nullptr) hedge_->stop();
  if (bond_ != nullptr) make_bond_cookie();
  if (!replay_.empty()) {  // no other server gets it
    replay_lost_ = true;
    replay_.clear();
  }
  step_ = Step::kResponse;
}

bool Exchange::has_spare_answer() const { return tries_ != nullptr && tries_->answer != nullptr; }

// No further try is possible: the last answer of a server, as it came.
Step Exchange::use_spare_answer() {
  ++epoch_;
  if (in_flight_ != nullptr) settle_attempt(false);
  stop_waiting();
  forget_answer();
  response_ = std::exchange(tries_->answer, nullptr);
  response_trailers_ = tries_->answer_trailers;
  held_response_.clear();
  held_response_.swap(tries_->answer_body);
  tries_->answer_used = true;
  response_done_ = discard_body_ = true;
  return Step::kResponse;
}

std::string_view Exchange::status_text(int status) {
  char digits[20];
  return arena_.copy({digits, format_u64(static_cast<uint64_t>(status), digits)});
}

uint32_t Exchange::tries_made() const {
  return attempts_ + (hedge_ != nullptr && hedge_->made_a_try() ? 1 : 0);
}

// For the log, at the end; empty where one try was enough.
std::string_view Exchange::told_tries() {
  if (tries_ == nullptr || tries_->told_count == 0) return {};
  if (tries_->told_count == tries_made()) return tries_->told;
  std::string_view outcome;
  if (!committed_ && error_.source == Source::kClient) {
    outcome = "left";
  } else if (!committed_ || local_ || tries_->answer_used) {  // cut, or not the server's answer
    outcome = kind_word(error_.kind);
  } else {
    outcome = status_text(response_->status);
  }
  return told_with(*last_server_, outcome, upstream_us_);
}

}  // namespace weir::proxy
