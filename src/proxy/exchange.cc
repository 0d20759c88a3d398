// The life of a request. A step does its work and names the next one, or returns kWait when the
// world must move first; whatever it waits for calls advance() again. end() is the only way out.
#include "proxy/exchange.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "http/grpc.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

namespace {

// The earlier of the call's own deadline and the configured one (0: none).
uint64_t grpc_total_ms(const http::HeaderList& headers, uint64_t configured_ms) {
  const http::Header* field = headers.find("grpc-timeout");
  uint64_t asked_ms = 0;
  if (field == nullptr || !http::parse_grpc_timeout(field->value, asked_ms)) return configured_ms;
  return configured_ms == 0 ? asked_ms : std::min(configured_ms, asked_ms);
}

}  // namespace

void Exchange::advance() {
  if (over() || parked_) return;  // parked: whatever moves, only the filter's Resume goes on
  net::Turn turn(worker_.net());
  for (Step at = step_; at != Step::kWait && at != Step::kOver; at = enter(at)) {
    step_ = at;
  }
}

// A table, read by its columns.
// clang-format off
Step Exchange::enter(Step at) {
  switch (at) {
    // From here to kAwait the client may also break its body's framing, be late with it or exceed a
    // limit (400 408 413), and the total time may be over (504).
    case Step::kAdmit:    return admit();             // → 400 405 408 414 417 431 501 503 505
    case Step::kRoute:    return route_request();     // site and route          → 200 400 421
    case Step::kRequest:  return run_request();       // filters, action → any; 400 403 404 405 413
    case Step::kPick:     return pick_endpoint();     // balancer, health, queue → 503
    case Step::kConnect:  return lease_connection();  // reuse or dial           → 502 503 504
    case Step::kSend:     return send_head();         // on_attempt; the body starts to flow
    case Step::kAwait:    return Step::kWait;         // 1xx out; failure: → kPick, or 502 504
    case Step::kResponse: return run_response();      // filters, backwards: last edits of the head
    // ---- below this line the head has left: no retry, no local reply, only finish or cut ----
    case Step::kCommit:   return commit_head();
    case Step::kRelay:    return relay();             // until the answer is complete
    case Step::kTunnel:   return Step::kWait;         // bytes both ways, until both have ended
    case Step::kFinish:   return finish();
    case Step::kOver:
    case Step::kWait:     break;
  }
  return Step::kWait;
}
// clang-format on

Exchange::Exchange(ProxyWorker& worker, ClientSide& client)
    : Exchange(worker, client, worker.pin(client.listener_slot()),
               worker.listener_index(client.listener_slot())) {
  worker_.metrics().requests_in_flight.add();
}

Exchange::Exchange(ProxyWorker& worker, ClientSide& client, Epoch* pinned, uint32_t listener)
    : worker_(worker),
      client_(client),
      arena_(worker.net().blocks()),
      pinned_(pinned),
      listener_(listener),
      request_(arena_),
      held_request_(worker.net().blocks()),
      held_response_(worker.net().blocks()),
      replay_(worker.net().blocks()),
      deadline_(worker.net().timers(), this, &net::Timer::call<Exchange, &Exchange::on_deadline>),
      started_us_(worker.net().now_us()) {
  id_ = worker_.exchanges().insert(*this);
}

Exchange::~Exchange() = default;

void Exchange::start(bool complete) {
  request_done_ = complete;
  advance();
}

void Exchange::refuse(const http::Refusal& refusal) {
  refusal_ = refusal;
  request_done_ = true;
  advance();
}

// ---- the steps ----

Step Exchange::admit() {
  const Snapshot& snapshot = *pinned_->snapshot;
  grpc_ = request_.version == http::Version::kHttp2 && http::is_grpc_call(request_);
  identity_ = http::identify_client(client_.peer(), request_.headers, snapshot.trusted_proxies);
  if (refusal_) {
    rare_counters().add("weir_protocol_errors_total",
                        {{"protocol", protocol_label()}, {"reason", refusal_.reason}});
    const int status = refusal_.status;
    const bool too_large = status == 413 || status == 414 || status == 431;
    const ErrorKind kind = status == 408 ? ErrorKind::kTimeout
                           : too_large   ? ErrorKind::kTooLarge
                                         : ErrorKind::kMalformed;
    return reply_error(refusal_.status, {Source::kClient, kind, Retry::kNever, refusal_.reason});
  }
  if (id_.generation == 0 || (snapshot.memory.refuse && BlockBudget::exhausted())) {
    rare_counters().add("weir_connections_refused_total", {{"reason", "memory"}});
    return reply_error(
        503, {Source::kWeir, ErrorKind::kOverload, Retry::kNever, "out of memory budget"});
  }
  body_limit_ = snapshot.listeners[listener_].body_bytes;
  // CONNECT names no path that could be routed.
  return request_.method == http::Method::kConnect ? refuse_method(http::kPassedMethods)
                                                   : Step::kRoute;
}

const char* Exchange::protocol_label() const {
  return request_.version == http::Version::kHttp2 ? "h2" : "http/1.1";
}

Step Exchange::route_request() {
  if (!pinned_->snapshot->reserved_fields.empty()) tell_client_identity();
  if (pinned_->snapshot->mirrors) read_mirror_mark();
  // RFC 9110 7.6.2: a hop count of zero ends here; else it goes on lowered (write_upstream_head).
  const http::Header* hops = request_.headers.find(http::HeaderId::kMaxForwards);
  const bool last_hop = hops != nullptr && hops->value == "0";
  if (request_.method == http::Method::kOptions && (last_hop || request_.target == "*")) {
    return answer_options(http::kPassedMethods);
  }
  const Snapshot::Match match = pinned_->snapshot->match(listener_, request_, arena_);
  site_ = match.site;
  route_ = match.route;
  path_ = match.path;
  if (path_.empty()) {
    return reply_error(400, {Source::kClient, ErrorKind::kMalformed, Retry::kNever, "bad path"});
  }
  if (site_ == nullptr) {
    return reply_error(421, {Source::kClient, ErrorKind::kRefused, Retry::kNever, "unknown host"});
  }
  if (const net::Tls* tls = client_.tls(); tls != nullptr && !tls->serves(request_.host)) {
    return reply_error(421, {Source::kClient, ErrorKind::kRefused, Retry::kNever,
                             "host is not in the certificate"});
  }
  make_filters(route_ != nullptr ? route_->filters : site_->filters);
  if (route_ == nullptr) {
    other_methods_ = site_->router.other_methods(site_->routes, request_, path_);
    return Step::kRequest;
  }
  route_label_ = route_->label;
  route_name_ = route_->name;
  access_log_ = route_->access_log;
  if (route_->max_body_bytes) body_limit_ = *route_->max_body_bytes;
  cluster_ = route_->cluster.get();
  if (route_->drops_site_fields) drop_site_fields();
  arm_total();
  return Step::kRequest;
}

// The route's, or that of the upstream that answers.
void Exchange::arm_total() {
  uint64_t total_ms = route_->timeout_ms;
  if (total_ms == 0 && cluster_ != nullptr) total_ms = cluster_->timeouts.total_ms;
  total_ms_ = total_ms;
  if (grpc_) total_ms = grpc_total_ms(request_.headers, total_ms);
  if (total_ms != total_ms_) total_ms_ = 0;
  if (total_ms != 0) deadline_.arm_ms(total_ms);
}

void Exchange::make_filters(const FilterChain& chain) {
  filters_made_ = true;
  if (chain.empty()) return;
  traits_ = chain.traits();
  filters_ = static_cast<Filter**>(arena_.allocate(chain.size() * sizeof(Filter*)));
  for (const auto& factory : chain) filters_[filters_count_++] = factory->create(arena_);
}

Step Exchange::run_request() {
  while (filters_seen_ < filters_count_) {
    const uint32_t place = filters_seen_;
    if (place == traits_.proof_filter && must_go_to_https()) return redirect_to_https();
    ++filters_seen_;
    if ((traits_.on_request >> place & 1) == 0) continue;
    Filter* const filter = filters_[place];
    FilterContext context(*this);
    park_called_ = false;
    Verdict verdict = filter->on_request(context, request_);
    if (auto* local = std::get_if<LocalReply>(&verdict)) {
      ++epoch_;  // a Resume that it made as well is void
      return reply_of_filter(std::move(*local));
    }
    if (auto* served = std::get_if<Serve>(&verdict)) {
      ++epoch_;
      return serve(*served->source);
    }
    if (std::holds_alternative<Parked>(verdict)) {
      parked_ = true;
      return Step::kWait;
    }
    if (park_called_) ++epoch_;  // parked, and then answered Next: the Resume is void
  }
  if (traits_.late_edits) {
    std::optional<LocalReply> refused = edit_last(request_);
    if (refused) return reply_of_filter(std::move(*refused));
  }
  return run_action();
}

std::optional<LocalReply> Exchange::edit_last(http::RequestHead& head) {
  for (uint32_t i = 0; i < filters_count_; ++i) {
    FilterContext context(*this);
    std::optional<LocalReply> refused = filters_[i]->on_passed(context, head);
    if (refused) return refused;
  }
  return std::nullopt;
}

// By CONNECT (RFC 8441 5), which any 2xx would tell that its tunnel is open.
bool Exchange::asks_for_tunnel() const {
  return request_.version == http::Version::kHttp2 && !request_.upgrade.empty();
}

Step Exchange::run_action() {
  if (request_.method == http::Method::kTrace) return refuse_method(http::kPassedMethods);
  if (must_go_to_https()) return redirect_to_https();
  if (request_.framing == http::Framing::kLength && request_.content_length > body_limit_) {
    return reply_error(413,
                       {Source::kClient, ErrorKind::kTooLarge, Retry::kNever, "body too large"});
  }
  if (route_ == nullptr) {
    if (other_methods_ != 0) return refuse_method(other_methods_);
    return reply_error(404, {Source::kClient, ErrorKind::kRefused, Retry::kNever, "no route"});
  }
  const bool may_succeed = route_->action == Action::kFiles || route_->action == Action::kHandler ||
                           (route_->action == Action::kRespond && route_->status < 300);
  if (asks_for_tunnel() && may_succeed) {
    return reply_error(403, {Source::kClient, ErrorKind::kRefused, Retry::kNever, "no upgrades"});
  }
  switch (route_->action) {
    case Action::kUpstream:
      if (!request_.upgrade.empty() && !route_->websocket) {
        return reply_error(403,
                           {Source::kClient, ErrorKind::kRefused, Retry::kNever, "no upgrades"});
      }
      cluster();
      return route_->rewrite == nullptr ? Step::kPick : rewrite();
    case Action::kRespond: return respond();
    case Action::kRedirect: return redirect();
    case Action::kFiles: return serve_files();
    case Action::kHandler: return reply(route_->handler(request_), {});
  }
  return Step::kWait;
}

Step Exchange::rewrite() {
  rewritten_ = route_->rewrite->apply(path_, request_.query, *this, arena_);
  if (!rewritten_.target.empty()) return Step::kPick;
  return reply_error(400, {Source::kClient, ErrorKind::kMalformed, Retry::kNever, "bad rewrite"});
}

// Backwards over the filters that saw the request; local answers start at the one that replied.
Step Exchange::run_response() {
  if (!response_begun_) {
    response_begun_ = true;
    response_filter_ = filters_seen_;
    if (!filters_made_ && !is_fetch_) edit_stray_answer();
    if (side_ != nullptr) note_side();
  }
  for (;;) {
    const bool bare = traits_.bare_answers && response_filter_ == filters_count_;
    if (!client_told_ && !bare && !is_fetch_) tell_client();
    if (response_filter_ == 0) return Step::kCommit;
    if ((traits_.on_response >> (response_filter_ - 1) & 1) == 0) {
      --response_filter_;
      continue;
    }
    if (awaits_whole_ && !response_done_) return Step::kWait;
    Verdict verdict = respond_by(*filters_[response_filter_ - 1]);
    if (std::holds_alternative<Whole>(verdict)) {
      awaits_whole_ = true;
      continue;
    }
    --response_filter_;
    if (auto* local = std::get_if<LocalReply>(&verdict)) {
      ++epoch_;
      return reply_of_filter(std::move(*local));
    }
    if (auto* served = std::get_if<Serve>(&verdict)) {
      ++epoch_;
      if (serve_from_response(*served->source) == Step::kWait) return Step::kWait;
      continue;
    }
    if (std::holds_alternative<Parked>(verdict)) {
      parked_ = true;
      return Step::kWait;
    }
    if (park_called_) ++epoch_;
  }
}

Verdict Exchange::respond_by(Filter& filter) {
  FilterContext context(*this);
  park_called_ = false;
  if (!std::exchange(awaits_whole_, false)) return filter.on_response(context, *response_);
  return filter.on_whole_response(context, *response_, held_response_);
}

// By cookies of weir's own: its side of a split, its server.
void Exchange::tell_client() {
  client_told_ = true;
  if (side_ != nullptr) tell_side();
  if (!bond_cookie_.empty()) tell_bond();
}

// Of a request that found no site, and so no filters of its own.
void Exchange::edit_stray_answer() {
  const FilterChain& chain = pinned_->snapshot->stray_filters;
  for (auto factory = chain.rbegin(); factory != chain.rend(); ++factory) {
    FilterContext context(*this);
    const Verdict verdict = (*factory)->create(arena_)->on_response(context, *response_);
    WEIR_ASSERT(std::holds_alternative<Next>(verdict));
  }
}

// The head leaves. What is not done by now of the request body is a debt: small ones of known
// length are read and thrown away, others cost the connection.
Step Exchange::commit_head() {
  if (upgraded_ && !local_) return start_tunnel();
  committed_ = true;
  framing_ = framing_for_client();
  if (is_fetch_) {
    client_.send_head(*response_, framing_, {});
    return Step::kRelay;
  }
  const uint64_t debt = request_done_ ? 0 : client_.body_left();
  // A client that waits for a 100 may send its body or not: what comes next would be a guess.
  const bool may_not_come =
      request_.expect_continue && !continue_sent_ && bytes_in_ == 0 && !request_done_;
  framing_.close = client_.must_close() || debt > limits::kBodyDebtBytes || may_not_come ||
                   framing_.framing == http::Framing::kUntilClose;
  framing_.keep_alive_10 = request_.version == http::Version::kHttp10 && !framing_.close;
  if (local_) {
    discard_body_ = true;
  } else if (look_up_ == nullptr) {
    response_->headers.add("Via", http::via_of(response_->version));
  }
  if (pinned_->snapshot->listeners[listener_].no_hsts && scheme() != "https") {
    response_->headers.remove("Strict-Transport-Security");
  }
  if (shadow_.generation != 0) tell_shadow_status();
  client_.send_head(*response_, framing_, {});
  return Step::kRelay;
}

Step Exchange::finish() {
  if (stage_ != nullptr) end_stage();
  client_.send_end(response_trailers_);
  end(false);
  return Step::kOver;
}

// ---- the end ----

// Immediate and idempotent: everybody forgets this exchange now, its memory goes with the graves.
void Exchange::end(bool cut) {
  if (over()) return;
  if (recorder_ != nullptr) leave_remainder();
  if (in_flight_ != nullptr) settle_attempt(false);
  stop_waiting();
  if (in_tunnel() && has_connection()) worker_.tunnel_ended(client_.listener_slot());
  step_ = Step::kOver;
  ++epoch_;
  deadline_.cancel();
  if (shadow_.generation != 0) leave_shadow();
  if (side_ != nullptr && !response_begun_) note_side_left();
  if (!is_fetch_) write_summary();
  if (id_.generation != 0) worker_.exchanges().erase(id_);
  if (!is_fetch_) worker_.metrics().requests_in_flight.sub();
  unpin();
  client_.exchange_over(cut);
}

void Exchange::unpin() {
  if (pinned_ == nullptr) return;
  worker_.unpin(pinned_);
  pinned_ = nullptr;
  site_ = nullptr;
  route_ = nullptr;
  cluster_ = nullptr;
}

// The client is gone, late, or breaks its body's framing; or the worker cuts what is left.
void Exchange::on_client_failed(ErrorKind kind, const char* detail) {
  if (over()) return;
  Error error = {Source::kClient, kind, Retry::kNever, detail};
  if (worker_.was_cut()) {
    error = {Source::kWeir, ErrorKind::kShutdown, Retry::kNever, "grace is over"};
  }
  if (!error_) error_ = error;
  const bool can_answer = kind != ErrorKind::kReset && !committed_ && step_ != Step::kTunnel;
  if (!can_answer) {
    end(true);
    return;
  }
  if (kind == ErrorKind::kMalformed) {
    rare_counters().add("weir_protocol_errors_total",
                        {{"protocol", protocol_label()}, {"reason", detail}});
  }
  fail(error);
}

// One that waits for a place, or for its next try, would be served for nobody.
void Exchange::on_client_eof() {
  if (!ends_on_eof_ && step_ != Step::kPick) return;
  on_client_failed(ErrorKind::kReset, "client closed before its turn");
}

void Exchange::on_deadline() {
  if (step_ == Step::kTunnel) {
    on_tunnel_idle();
  } else {
    deadline_.arm_ms(limits::kLateAnswerMs);
    const Source whose = awaits_client() ? Source::kClient : Source::kUpstream;
    const Error error = {whose, ErrorKind::kTimeout, Retry::kNever, "total timeout"};
    if (server_is_late()) note_attempt_failure(error);
    fail(error);
  }
}

// A Resume fires, in a turn of its own making; tokens of an earlier epoch find the door shut.
void Exchange::resume(uint32_t epoch, Resume::Outcome outcome) {
  if (over() || epoch != epoch_ || !parked_) return;
  ++epoch_;
  parked_ = false;
  if (auto* local = std::get_if<LocalReply>(&outcome)) {
    step_ = reply_of_filter(std::move(*local));
  } else if (auto* served = std::get_if<Serve>(&outcome)) {
    step_ = response_begun_ ? serve_from_response(*served->source) : serve(*served->source);
    if (step_ == Step::kWait) {
      step_ = Step::kResponse;
      return;
    }
  }
  advance();
}

// ---- what filters and templates ask ----

std::string_view Exchange::request_id() {
  if (request_id_.empty()) {
    constexpr size_t kUuidChars = 36;
    char* text = static_cast<char*>(arena_.allocate(kUuidChars, 1));
    worker_.new_uuid(text);
    request_id_ = {text, kUuidChars};
  }
  return request_id_;
}

std::string_view Exchange::client_ip() {
  if (client_ip_.empty()) {
    constexpr size_t kAddressChars = 46;
    char* text = static_cast<char*>(arena_.allocate(kAddressChars, 1));
    client_ip_ = {text, identity_.client.format(text)};
  }
  return client_ip_;
}

std::string_view Exchange::scheme() const {
  return identity_.forwarded_proto.empty() ? client_.scheme() : identity_.forwarded_proto;
}

const upstream::Cluster* Exchange::cluster() {
  if (route_ != nullptr && route_->split != nullptr && side_ == nullptr) choose_side();
  return cluster_;
}

const upstream::EndpointState* Exchange::server() const { return last_server_; }

void Exchange::write_summary() {
  Summary summary;
  const uint64_t now_us = worker_.net().now_us();
  summary.duration_us = now_us - started_us_;
  summary.started_wall_us = worker_.wall_us() - summary.duration_us;
  summary.client = client_ip();
  summary.method = request_.method_text;
  summary.method_id = request_.method;
  summary.version = request_.version;
  summary.host = request_.authority;
  summary.uri = request_.target;
  summary.status = committed_ ? response_->status : 499;
  summary.bytes_in = bytes_in_;
  summary.bytes_out = client_.bytes_out();
  summary.route_label = route_label_;
  summary.route = route_name_;
  summary.log = access_log_;
  summary.server = last_server_;
  summary.attempts = tries_made();
  summary.tries = told_tries();
  summary.upstream_us = upstream_us_;
  summary.limit = limit_;
  summary.cache = cache_;
  summary.request_id = request_id();
  for (const http::Header& header : request_.headers) {
    if (header.id == http::HeaderId::kUserAgent) summary.user_agent = header.value;
    if (header.id == http::HeaderId::kReferer) summary.referer = header.value;
    if (header.id == http::HeaderId::kTraceparent) {
      summary.trace_id = http::trace_id_of(header.value);
    }
  }
  if (const net::Tls* tls = client_.tls()) {
    summary.tls = tls->version();
    summary.tls_cipher = tls->cipher();
    summary.tls_peer = tls->peer();
  }
  summary.error = error_;
  for (uint32_t i = filters_seen_; i > 0; --i) {
    if ((traits_.on_end >> (i - 1) & 1) != 0) filters_[i - 1]->on_end(summary);
  }
  worker_.log(summary);
}

}  // namespace weir::proxy
