// Upstreams whose load is limited: a place among all of their requests, then a server, and a queue
// for those that find none. Where places are given back, for all upstreams alike.
#include "base/check.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "proxy/tries.h"
#include "upstream/health.h"

namespace weir::proxy {

namespace {

struct RefusalWords {
  const char* reason;  // label of weir_upstream_refused_total
  const char* detail;  // in the access log
};

RefusalWords words_of(upstream::Refusal why) {
  switch (why) {
    case upstream::Refusal::kQueueFull: return {"queue_full", "the queue for servers is full"};
    case upstream::Refusal::kPendingTimeout:
      return {"pending_timeout", "waited too long for a server"};
    case upstream::Refusal::kShed: return {"shed", "shed from a standing queue"};
  }
  return {"", ""};
}

}  // namespace

// Nobody overtakes: while others wait, on whatever worker, only who was called tries, and a retry,
// which had its place before them.
Step Exchange::pick_in_turn() {
  upstream::Gate& gate = cluster_->state->gate;
  const bool queued = waiter_ != nullptr && waiter_->waiting();
  if (queued && !waiter_->on_turn()) return Step::kWait;
  const bool again = attempts_ > 0;
  if (!queued && !again && gate.anybody_waits()) return wait_for_place(false);
  if (queued &&
      waiter_->since_us() + upstream::StandingDelay::kIntervalUs <= worker_.net().now_us()) {
    if (tries_ != nullptr)
      tries_->servers.clear();  // by now it may be well again, and the others are busy
  }
  if (!gate.has_room()) return queued ? Step::kWait : wait_for_place(again);
  const upstream::Pick pick = choose_server();
  if (pick.server == nullptr) {
    if (pick.full) return queued ? Step::kWait : wait_for_place(again);
    return refuse_without_server(false);
  }
  if (!gate.enter()) {
    // Another worker was faster; what was taken of the server meanwhile somebody may have missed.
    upstream::Balancer::release(*pick.server);
    if (pick.trial) upstream::note_nothing(*pick.server, worker_.net().now_ms());
    gate.wake();
    return queued ? Step::kWait : wait_for_place(again);
  }
  gate_ = &gate;
  if (queued) waiter_->leave();
  return begin_attempt(pick);
}

Step Exchange::wait_for_place(bool again) {
  if (!cluster_->state->gate.may_wait()) return refuse_without_server(true);
  if (waiter_ == nullptr) waiter_ = arena_.make<upstream::Waiter>(*this);
  if (worker_.waiting_room().join(*cluster_, *waiter_, again)) return Step::kWait;
  return refuse_waiting(upstream::Refusal::kQueueFull);
}

Step Exchange::refuse_waiting(upstream::Refusal why) {
  const RefusalWords words = words_of(why);
  rare_counters().add("weir_upstream_refused_total",
                      {{"upstream", cluster_->name}, {"reason", words.reason}});
  return reply_error(503, {Source::kUpstream, ErrorKind::kOverload, Retry::kNever, words.detail});
}

void Exchange::on_turn() {
  if (over()) return;
  WEIR_ASSERT(step_ == Step::kPick);
  advance();
}

void Exchange::on_refused(upstream::Refusal why) {
  if (over()) return;
  step_ = refuse_waiting(why);
  advance();
}

// Every in-flight count of a try goes back here: who waits for the place hears of it.
void Exchange::give_back_place() {
  in_flight_->in_flight.fetch_sub(1, std::memory_order_relaxed);
  in_flight_ = nullptr;
  if (gate_ == nullptr) return;
  if (in_tunnel()) gate_->tunnel_ended();
  std::exchange(gate_, nullptr)->leave();
}

// For concurrency: adaptive. From the moment that the server had the whole request: a client that
// sends slowly is no latency of the server's. A fast 5xx would praise a server that refuses.
void Exchange::note_latency() {
  if (!gate_->adaptive() || !request_ended_ || response_->status >= 500) return;
  const uint64_t now_us = worker_.net().now_us();
  gate_->note_answer(now_us, now_us - answer_due_us_, false);
}

}  // namespace weir::proxy
