#include "proxy/shadow.h"

#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "http/h1_writer.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"
#include "upstream/health.h"
#include "upstream/outlier.h"

namespace weir::proxy {

const char* mirror_result_word(MirrorResult result) {
  switch (result) {
    case MirrorResult::kSame: return "same";
    case MirrorResult::kDifferent: return "different";
    case MirrorResult::kFailed: return "failed";
    case MirrorResult::kSkipped: return "skipped";
    case MirrorResult::kUncompared: return "uncompared";
  }
  return "";
}

Shadow::Shadow(Shadows& shadows, const Route& route, Epoch& epoch)
    : shadows_(shadows),
      worker_(shadows.worker_),
      epoch_(epoch),
      route_(route),
      arena_(worker_.net().blocks()),
      head_(arena_),
      body_(worker_.net().blocks()),
      sent_(worker_.net().blocks()),
      deadline_(worker_.net().timers(), this, &net::Timer::call<Shadow, &Shadow::on_deadline>) {
  ++epoch_.pins;
}

Shadow::~Shadow() = default;

const Mirror& Shadow::mirror() const { return *route_.mirror; }

// ---- what the exchange tells ----

void Shadow::take_head(const upstream::OutgoingHead& sent, std::optional<uint64_t> request_hash,
                       std::string_view preface) {
  const http::RequestHead& from = sent.head;
  head_.method = from.method;
  head_.version = from.version;
  head_.framing = from.framing;
  head_.content_length = from.content_length;
  head_.method_text = arena_.copy(from.method_text);
  head_.target = arena_.copy(from.target);
  head_.path = arena_.copy(from.path);
  head_.query = arena_.copy(from.query);
  head_.authority = arena_.copy(from.authority);
  head_.host = arena_.copy(from.host);
  for (const http::Header& field : from.headers) {
    if ((http::bit(field.id) & sent.skip_mask) != 0) continue;
    head_.headers.add_copy(field);
  }
  const size_t bytes = (sent.extras_count + 1) * sizeof(http::ExtraField);
  extras_ = static_cast<http::ExtraField*>(arena_.allocate(bytes, alignof(http::ExtraField)));
  for (size_t i = 0; i < sent.extras_count; ++i) {
    const http::ExtraField& field = sent.extras[i];
    new (extras_ + extras_count_++)
        http::ExtraField{arena_.copy(field.name), arena_.copy(field.value)};
  }
  new (extras_ + extras_count_++) http::ExtraField{kMirrorMark, "1"};
  hash_ = request_hash;
  preface_ = arena_.copy(preface);
}

// Where memory becomes scarce, real requests need it more.
bool Shadow::reserve(size_t bytes) {
  const bool fits = held_bytes_ + bytes <= mirror().max_body_bytes &&
                    shadows_.held_bytes_ + bytes <= limits::kShadowBytesMax;
  if (!fits || BlockBudget::scarce()) {
    conclude(MirrorResult::kSkipped);
    return false;
  }
  held_bytes_ += bytes;
  shadows_.held_bytes_ += bytes;
  return true;
}

void Shadow::take_body(std::string_view piece) {
  if (reserve(piece.size())) body_.append(piece);
}

void Shadow::take_body(const Buffer& held) {
  if (reserve(held.size())) body_.append(held);
}

void Shadow::complete(const http::HeaderList* trailers) {
  if (trailers != nullptr) {
    trailers_ = arena_.make<http::HeaderList>(arena_);
    for (const http::Header& field : *trailers) trailers_->add_copy(field);
  }
  phase_ = Phase::kReady;
  shadows_.queue(*this);
}

void Shadow::note_real_status(int status) {
  real_status_ = status;
  if (phase_ == Phase::kAnswered) compare();
}

// A request whose end never came is no request; one that is complete goes on without its client.
void Shadow::on_exchange_over() {
  exchange_over_ = true;
  if (phase_ == Phase::kCollecting) {
    conclude(MirrorResult::kSkipped);
  } else if (phase_ == Phase::kAnswered) {
    compare();
  }
}

// ---- the try ----

void Shadow::start() {
  if (!take_place()) {
    conclude(MirrorResult::kSkipped);
    return;
  }
  phase_ = Phase::kUnderWay;
  started_us_ = worker_.net().now_us();
  deadline_.arm_ms(mirror().timeout_ms);
  lease();
}

// At once or not at all: a shadow in a queue would be a request that somebody else waits behind.
// Nor is a server asked that is down, as clients have it for want of another one: a dead mirror
// costs one connection per fail_timeout, not one per request.
bool Shadow::take_place() {
  upstream::Gate* const gate = cluster().breaker.on ? &cluster().state->gate : nullptr;
  if (gate != nullptr && (gate->anybody_waits() || !gate->has_room())) return false;
  const uint64_t now_ms = worker_.net().now_ms();
  const upstream::Pick pick = worker_.balancer().pick(cluster(), now_ms, {.hash = hash_});
  if (pick.server == nullptr) return false;
  if (pick.is_last_resort() || (gate != nullptr && !gate->enter())) {
    upstream::Balancer::release(*pick.server);
    if (pick.trial) upstream::note_nothing(*pick.server, now_ms);
    if (gate != nullptr) gate->wake();  // meanwhile somebody may have found the server full
    return false;
  }
  gate_ = gate;
  server_ = pick.server;
  trial_ = pick.trial;
  return true;
}

void Shadow::give_back_place() {
  const upstream::Server& server = *std::exchange(server_, nullptr);
  server.state->in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (gate_ != nullptr) std::exchange(gate_, nullptr)->leave();
  if (trial_ && !judged_) upstream::note_nothing(server, worker_.net().now_ms());
  worker_.metrics()
      .upstream_duration.at(cluster().index)
      .observe_us(worker_.net().now_us() - started_us_);
}

void Shadow::lease() {
  conn_ = &worker_.pools().of(*server_).lease(cluster(), *server_, *this, fresh_);
  if (conn_->ready()) send();
}

void Shadow::on_conn_ready(upstream::ServerSide& side) {
  conn_ = &side;
  send();
}

void Shadow::send() {
  sent_all_ = false;
  conn_->send_head({head_, 0, extras_, extras_count_});
  pump();
}

// A block at a time moves over to sent_: the body is held once.
void Shadow::pump() {
  while (!body_.empty() && !conn_->congested()) {
    const std::string_view front = body_.front();
    conn_->send_body(front);
    Buffer rest(worker_.net().blocks());
    body_.split_tail(front.size(), rest);
    sent_.take(body_);
    body_.swap(rest);
  }
  if (!body_.empty() || sent_all_) return;
  sent_all_ = true;
  answer_due_us_ = worker_.net().now_us();
  conn_->send_end(trailers_);
}

void Shadow::on_conn_drained() { pump(); }

// As Exchange::on_conn_failed(), but the only retry is one for a connection that the server had
// left while it was idle: else nearly every pause in the traffic would be a failure.
void Shadow::on_conn_failed(const Error& error) {
  const bool reused = conn_->reused();
  conn_ = nullptr;
  const bool unread = error.retry == Retry::kNothingSent;
  const bool repeatable =
      unread || (error.retry == Retry::kIfIdempotent && http::is_idempotent(head_.method));
  const bool stale = error.kind == ErrorKind::kReset &&
                     (unread || (error.retry == Retry::kIfIdempotent && reused));
  if (!stale || !repeatable || fresh_) {
    fail(error, !stale);
    return;
  }
  fresh_ = true;
  sent_.take(body_);
  body_.swap(sent_);
  lease();
}

void Shadow::fail(const Error& error, bool of_the_server) {
  if (of_the_server && error.source == Source::kUpstream) note_failure(error);
  conclude(MirrorResult::kFailed);
}

void Shadow::note_failure(const Error& error) {
  judged_ = true;
  const uint64_t now_us = worker_.net().now_us();
  upstream::note_failure(*server_, worker_.net().now_ms());
  upstream::note_answer(cluster(), *server_, 0, now_us - started_us_);
  if (gate_ != nullptr && error.kind == ErrorKind::kTimeout) gate_->note_answer(now_us, 0, true);
  const upstream::EndpointState& state = *server_->state;
  rare_counters().add(
      "weir_upstream_failures_total",
      {{"upstream", state.upstream}, {"server", state.server}, {"reason", kind_word(error.kind)}});
}

void Shadow::on_deadline() {
  if (status_ != 0) {
    finish_answer(false);  // what its body says is of no interest
    return;
  }
  fail({Source::kUpstream, ErrorKind::kTimeout, Retry::kNever, "mirror timeout"}, true);
}

// ---- the answer ----

http::ResponseHead& Shadow::next_response_head() {
  response_ = arena_.make<http::ResponseHead>(arena_);
  return *response_;
}

void Shadow::on_informational() {
  if (++informational_ <= limits::kInformationalMax) return;
  fail({Source::kUpstream, ErrorKind::kMalformed, Retry::kNever, "too many interim answers"}, true);
}

void Shadow::on_upgraded() {
  fail({Source::kUpstream, ErrorKind::kMalformed, Retry::kNever, "101 that nobody asked for"},
       true);
}

void Shadow::on_response_head() {
  status_ = response_->status;
  judged_ = true;
  const uint64_t now_us = worker_.net().now_us();
  worker_.metrics().upstream_requests.add(Metrics::upstream_key(server_->state->index, status_));
  upstream::note_success(*server_);
  upstream::note_answer(cluster(), *server_, status_, now_us - started_us_);
  if (gate_ != nullptr && gate_->adaptive() && sent_all_ && status_ < 500) {
    gate_->note_answer(now_us, now_us - answer_due_us_, false);
  }
}

void Shadow::on_response_body(std::string_view piece) {
  answer_bytes_ += piece.size();
  if (answer_bytes_ > limits::kShadowAnswerBytes) finish_answer(false);
}

http::HeaderList& Shadow::response_trailers() {
  if (response_trailers_ == nullptr) response_trailers_ = arena_.make<http::HeaderList>(arena_);
  return *response_trailers_;
}

void Shadow::on_response_end() { finish_answer(true); }

void Shadow::finish_answer(bool whole) {
  deadline_.cancel();
  upstream::ServerSide* const conn = std::exchange(conn_, nullptr);
  if (whole && sent_all_) {
    conn->release();
  } else {
    conn->abandon();
  }
  give_back_place();
  shadows_.held_bytes_ -= std::exchange(held_bytes_, 0);
  body_.clear();
  sent_.clear();
  phase_ = Phase::kAnswered;
  compare();
}

// ---- the end ----

// As soon as both are known. The client's answer may be far from its head, and the other way round.
void Shadow::compare() {
  if (real_status_ == 0 && !exchange_over_) return;
  if (real_status_ == 0) {
    conclude(MirrorResult::kUncompared);
  } else if (real_status_ == status_) {
    conclude(MirrorResult::kSame);
  } else {
    log_difference();
    conclude(MirrorResult::kDifferent);
  }
}

// Without the query, in which there may be secrets.
void Shadow::log_difference() const {
  static LogThrottle throttle(10'000);
  log_warn_once_per(throttle, "route {}: mirror {}: {} {} was answered {}, by the mirror {}",
                    route_.name, cluster().name, head_.method_text, head_.path, real_status_,
                    status_);
}

void Shadow::conclude(MirrorResult result) {
  shadows_.count(route_, result);
  end();
}

void Shadow::cut() {
  const bool sent = phase_ == Phase::kUnderWay || phase_ == Phase::kAnswered;
  conclude(sent ? MirrorResult::kUncompared : MirrorResult::kSkipped);
}

void Shadow::end() {
  if (phase_ == Phase::kOver) return;
  phase_ = Phase::kOver;
  deadline_.cancel();
  if (conn_ != nullptr) std::exchange(conn_, nullptr)->abandon();
  if (server_ != nullptr) give_back_place();
  shadows_.forget(*this);
}

}  // namespace weir::proxy
