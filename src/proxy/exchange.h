// One request and its answer, from the complete head to the last byte. exchange.cc tells its life;
// the bodies' flow is in relay.cc, tries at servers in attempt.cc, tunnels in tunnel.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/pooled.h"
#include "base/slot_map.h"
#include "http/forwarded.h"
#include "http/message.h"
#include "http/rules.h"
#include "net/mortal.h"
#include "net/timer_wheel.h"
#include "proxy/body.h"
#include "proxy/client_side.h"
#include "proxy/filter.h"
#include "proxy/snapshot.h"
#include "proxy/summary.h"
#include "upstream/balancer.h"
#include "upstream/queue.h"
#include "upstream/server_side.h"

namespace weir::upstream {
struct Bond;
}

namespace weir::proxy {

class ProxyWorker;
namespace files {
class LookUp;
}
struct Epoch;
struct Side;
struct Tries;
struct Subject;
class HedgeTry;

// Where an exchange is. The same words in code, logs and documents.
enum class Step : uint8_t {
  kAdmit,
  kRoute,
  kRequest,
  kPick,
  kConnect,
  kSend,
  kAwait,
  kResponse,
  kCommit,
  kRelay,
  kTunnel,
  kFinish,
  kOver,
  kWait,  // not a place: the world must move first; whatever it waits for calls advance()
};

// Owner: its Connection, by unique_ptr, until end() (then the worker's graves). Thread: its
// worker's. Registered under an Id; nothing holds an Exchange* across turns but its connection and
// its server connection, and both forget it in end().
class Exchange final : public net::Mortal,
                       public upstream::ConnUser,
                       public upstream::Waiter::User,
                       public VariableSource,
                       private BodySink,
                       public Pooled<Exchange> {
 public:
  Exchange(ProxyWorker& worker, ClientSide& client);
  // Of a fetch, for `asker`'s client (fetch.h).
  Exchange(Exchange& asker, ClientSide& client, const Route& route);
  ~Exchange() override;

  // The connection fills request() and then says one of these, once. `complete`: no body and no
  // on_request_end() follow.
  void start(bool complete);
  void refuse(const http::Refusal& refusal);  // the head was not acceptable: answer and close

  // From the client's connection.
  void on_request_body(std::string_view piece);
  void on_request_end();
  http::HeaderList& request_trailers();
  void on_client_drained();
  void on_client_eof();  // behind its request: it sends nothing more, and may still read
  void on_client_failed(ErrorKind kind, const char* detail);  // gone, late, or broken body framing
  void on_client_tunnel_bytes(std::string_view bytes);
  void on_client_tunnel_eof();

  // From its fetch (fetch.cc): request() is filled, once; nobody wants the rest.
  void repeat(Exchange& asker);
  void start_fetch();
  void cancel_fetch();
  const Error& error() const { return error_; }

  // For filters and templates.
  Arena& arena() { return arena_; }
  http::RequestHead& request() { return request_; }
  const http::ClientIdentity& client() const { return identity_; }
  const Route& route() const { return *route_; }
  std::string_view route_name() const { return route_name_; }
  std::string_view path() const { return path_; }  // normalised: what routes match
  std::string_view request_id();  // UUIDv4 until set; lives as long as the exchange
  void set_request_id(std::string_view id) { request_id_ = arena_.copy(id); }
  // Who the client has proved to be; null: nobody asked, or it may be anybody. `subject` and what
  // it points to live as long as the exchange.
  const Subject* subject() const { return subject_; }
  // Its route lets in only who proves something: what it is answered may be for nobody else.
  bool is_for_somebody() const { return subject_ != nullptr || traits_.proof_filter != UINT32_MAX; }
  void set_subject(const Subject& subject) { subject_ = &subject; }
  // FilterFactory::own_fields(), of all filters of the site.
  const std::vector<std::string>& site_fields() const;
  void drop_site_fields();
  // Bits of kForwardingMask: servers get these fields as they stand in request(), or do not stand
  // there, and weir tells nothing of its own in them.
  void take_over_fields(uint64_t ids) { taken_over_ |= ids; }
  // From now on a client that shuts its side has left. For whoever makes it wait before anything is
  // done for it: most clients that leave do no more than that, and it would be kept for nobody.
  void set_ends_on_eof(bool ends) { ends_on_eof_ = ends; }
  // What the cache did for it, for the log: a literal.
  void set_cache_result(std::string_view result) { cache_ = result; }
  bool answer_is_local() const { return local_; }  // weir's own, in on_response
  // The upstream that answers: of a split, the side that is this request's, chosen now if need be.
  const upstream::Cluster* cluster();
  // The limit that refused or delayed it, for the log. Lives as long as the filter that says so.
  void set_limit(std::string_view name) { limit_ = name; }
  std::string_view client_ip();
  std::string_view csp_nonce();     // base64 of 144 random bits; one per exchange
  std::string_view scheme() const;  // of the client's request, believed from trusted proxies
  std::string_view variable(Variable variable, Arena& arena) override;
  std::string_view capture(size_t index) override;
  int response_status() const { return response_ == nullptr ? 0 : response_->status; }
  const upstream::EndpointState* server() const;
  ProxyWorker& worker() { return worker_; }
  const ClientSide& client_side() const { return client_; }

  // For Resume and the connection.
  Id id() const { return id_; }
  uint32_t epoch() const { return epoch_; }
  // Of the request's body so far; and all of it, once it is here, for filters of admin pages: what
  // they read is small, and nothing of it has gone to a server.
  uint64_t body_bytes() const { return bytes_in_; }
  std::optional<std::string> whole_body();
  void resume(uint32_t epoch, Resume::Outcome outcome);
  // The body of its answer reaches the client as it is, and may come from a file.
  bool takes_files() const { return stage_ == nullptr && client_.takes_files(); }
  void on_source_ready();  // its ResponseSource has more than kWait to say
  void on_file_found();    // or not: its look-up knows
  bool over() const { return step_ == Step::kOver; }
  bool in_tunnel() const { return step_ == Step::kTunnel; }
  // One of its own: other requests share it over HTTP/2.
  bool has_connection() const { return request_.version != http::Version::kHttp2; }

 private:
  friend class FilterContext;
  friend class HedgeTry;

  Exchange(ProxyWorker& worker, ClientSide& client, Epoch* pinned, uint32_t listener);

  // The life of a request (exchange.cc).
  void advance();
  Step enter(Step next);
  Step admit();
  Step route_request();
  void arm_total();
  void tell_client_identity();  // client_identity.cc
  void drop_reserved_fields(http::HeaderList& fields) const;
  Step run_request();
  std::optional<LocalReply> edit_last(http::RequestHead& head);
  void make_filters(const FilterChain& chain);
  void edit_stray_answer();
  Step run_action();
  Step rewrite();
  Step run_response();
  Verdict respond_by(Filter& filter);
  void tell_client();
  Step commit_head();
  Step finish();
  void end(bool cut);

  // Sticky upstreams (bond.cc).
  const upstream::Server* bound_server();
  bool is_bound_here();
  void make_bond_cookie();
  void tell_bond();

  // Splits (side.cc).
  void choose_side();
  void note_side();
  void tell_side();
  void note_side_left();

  // Local answers (local_reply.cc).
  Step reply(LocalReply reply, const Error& error);
  Step reply_of_filter(LocalReply reply);
  Step reply_error(int status, const Error& error);
  Step reply_grpc(const LocalReply& local);
  void add_grpc_status(int http_status, http::HeaderList& out);
  bool end_grpc(const Error& error);
  void begin_local(int status, std::string_view body);
  void set_local_body(std::string_view body);
  void tell_length_to_head();
  const ErrorPage* error_page(int status) const;
  void fail(const Error& error);
  Step respond();
  Step redirect();
  bool must_go_to_https() const;
  Step redirect_to_https();
  Step answer_options(http::MethodSet allowed);
  Step refuse_method(http::MethodSet allowed);

  // Files (files/action.cc).
  Step serve_files();
  Step answer_found();
  Step redirect_to_folder();
  Step refuse_for_files(int status, const char* why);

  // Tries (attempt.cc); what a server is told (upstream_head.cc).
  Step pick_endpoint();
  upstream::Pick choose_server(bool no_trial = false);
  std::optional<uint64_t> request_hash(const upstream::Cluster& cluster) const;
  Step begin_attempt(const upstream::Pick& pick);
  Step refuse_without_server(bool full);
  Step lease_connection();
  Step send_head();
  void write_upstream_head(upstream::ServerSide& conn, const upstream::Server& server);
  void edit_attempt(http::RequestHead& head, const upstream::Server& server);
  void write_preface(Buffer& out) override;
  size_t format_preface(const upstream::Transport& transport, char* out);
  std::string_view forwarded_element(std::string_view peer, std::string_view proto);
  void count_upstream_answer();
  void settle_attempt(bool keep_connection);
  void note_attempt_failure(const Error& error);
  bool server_is_late() const;
  bool awaits_client() const;
  bool asks_for_tunnel() const;

  // Its copy for the route's mirror (shadows.cc).
  void read_mirror_mark();
  void begin_shadow(const upstream::OutgoingHead& sent);
  void take_shadow_body(std::string_view piece);
  void end_shadow_body();
  void tell_shadow_status();
  void leave_shadow();

  // Other tries (retry.cc).
  Tries& tries();
  void count_and_hedge();
  bool hedge_under_way() const;
  bool may_repeat() const;
  bool may_keep_for_replay(size_t bytes) const;
  uint32_t counted_tries() const { return attempts_ - excused_; }
  bool may_retry(const Error& error, bool stale);
  bool has_time_for_retry() const;
  bool take_of_budget();
  void tell_try(const upstream::EndpointState& server, std::string_view outcome, uint64_t us);
  std::string_view told_with(const upstream::EndpointState& server, std::string_view outcome,
                             uint64_t us);
  std::string_view status_text(int status);
  uint32_t tries_made() const;
  std::string_view told_tries();
  void try_again(std::string_view reason, bool keep_connection, bool excused);
  void note_excused();
  uint64_t backoff_ms();
  void on_retry_timer();
  void stop_waiting();
  bool may_be_unwanted();
  bool awaits_rest_of_answer() const;
  bool retry_answer();
  void pass_answer_on();
  void accept_answer();
  bool has_spare_answer() const;
  Step use_spare_answer();

  // Places and the queue for them (pending.cc).
  Step pick_in_turn();
  Step wait_for_place(bool again);
  Step refuse_waiting(upstream::Refusal why);
  void on_turn() override;
  void on_refused(upstream::Refusal why) override;
  void give_back_place();
  void note_latency();

  // From the server's connection (attempt.cc).
  void on_conn_ready(upstream::ServerSide& side) override;
  void on_conn_failed(const Error& error) override;
  http::ResponseHead& next_response_head() override;
  void on_informational() override;
  void on_response_head() override;

  // Bodies (relay.cc).
  bool holds_enough(const Buffer& held) const;
  void pump_request();
  void send_piece(std::string_view piece);
  void finish_request_body();
  void on_response_body(std::string_view piece) override;
  void on_response_end() override;
  http::HeaderList& response_trailers() override;
  void on_conn_drained() override;
  void relay_piece(std::string_view piece);
  Step relay();
  http::ResponseFraming framing_for_client() const;

  // Answers that filters serve, keep or change (served.cc).
  void tell_to_go_on();
  Step serve(ResponseSource& source);
  Step answer_from(ResponseSource& source);
  Step serve_from_response(ResponseSource& source);
  Step pump_source();
  size_t relay_piece(const ResponseSource::Piece& piece);
  void pump_later();
  void record_piece(std::string_view piece);
  void record_held();
  void leave_remainder();
  bool may_leave_rest() const;
  void leave_rest(std::unique_ptr<Recorder> recorder, uint64_t left_ms);
  void forget_answer();
  void put(std::string_view bytes) override;  // BodySink
  void stage_piece(std::string_view piece);
  void flush_stage();
  void end_stage();

  // Tunnels (tunnel.cc).
  Step start_tunnel();
  void on_upgraded() override;
  void on_tunnel_bytes(std::string_view bytes) override;
  void on_tunnel_eof() override;
  void on_tunnel_idle();
  void touch_tunnel();
  void leave_tunnel_if_done();

  void on_deadline();
  void unpin();
  const char* protocol_label() const;
  void write_summary();

  // Constant after construction.
  ProxyWorker& worker_;
  ClientSide& client_;
  // Of a tunnel that let go of its snapshot: outlives the filters, which are in the arena.
  FilterChain kept_filters_;
  Arena arena_;
  Id id_;

  // This worker only.
  Step step_ = Step::kAdmit;
  uint32_t epoch_ = 1;       // counts resumes, retries, replies: old Resume tokens die by it
  Epoch* pinned_;            // null once a tunnel let go of the snapshot
  const uint32_t listener_;  // index in the pinned snapshot
  const Site* site_ = nullptr;
  const Route* route_ = nullptr;                // valid while pinned
  const upstream::Cluster* cluster_ = nullptr;  // that answers; valid while pinned
  Side* side_ = nullptr;                        // what the route's split has chosen; null: nothing
  std::string_view route_name_ = "unmatched";
  uint32_t route_label_ = Labels::kUnmatched;
  bool access_log_ = true;
  http::RequestHead request_;
  http::ResponseHead* response_ = nullptr;
  uint64_t taken_over_ = 0;  // take_over_fields()
  http::HeaderList* request_trailers_ = nullptr;
  http::HeaderList* response_trailers_ = nullptr;
  http::ClientIdentity identity_;
  http::Refusal refusal_;
  std::string_view local_body_;
  std::string_view request_id_;
  const Subject* subject_ = nullptr;
  std::string_view client_ip_;
  std::string_view csp_nonce_;
  std::string_view limit_;
  std::string_view cache_;
  std::string_view path_;                 // normalised: what routes match
  std::string_view* captures_ = nullptr;  // of the route's pattern, once a template asked
  http::MethodSet other_methods_ = 0;     // that would have found a route: 405
  Rewrite::Target rewritten_;             // what servers get; empty: the client's own target

  // Filters: instances in the arena; [0, filters_seen_) had their on_request.
  Filter** filters_ = nullptr;
  uint32_t filters_count_ = 0;
  uint32_t filters_seen_ = 0;
  uint32_t response_filter_ = 0;  // next one to run, backwards, is response_filter_ - 1
  ChainTraits traits_;
  bool parked_ = false;
  bool park_called_ = false;
  bool response_begun_ = false;
  bool awaits_whole_ = false;  // for the filter at response_filter_
  bool client_told_ = false;   // tell_client()
  bool filters_made_ = false;  // false: the request found no site
  bool ends_on_eof_ = false;   // set_ends_on_eof()

  // The present try.
  const upstream::Server* server_ = nullptr;  // of the snapshot; null once a tunnel let go of it
  upstream::EndpointState* in_flight_ = nullptr;  // holds one count: give_back_place()
  upstream::Gate* gate_ = nullptr;                // the same, where the upstream's load is limited
  upstream::Waiter* waiter_ = nullptr;            // made when there is first something to wait for
  upstream::Bond* bond_ = nullptr;  // of a sticky upstream, once a server was asked for
  std::string_view bond_cookie_;    // that the answer is to bring; empty: none
  HedgeTry* hedge_ = nullptr;       // of a request that may be hedged
  Tries* tries_ = nullptr;          // of a request that one try was not enough for
  const upstream::EndpointState* last_server_ = nullptr;
  upstream::ServerSide* conn_ = nullptr;
  bool judged_ = false;  // the try has shown the server to be good or bad
  bool trial_ = false;   // it is the one that may show a server to be up again
  bool fresh_ = false;   // a connection that had served before was lost: others may be, too
  uint32_t attempts_ = 0;
  uint32_t excused_ = 0;  // of them, that failed for no fault of a server
  uint32_t informational_ = 0;
  uint64_t attempt_started_us_ = 0;
  uint64_t answer_due_us_ = 0;  // since when the server has had all of the request
  uint64_t upstream_us_ = 0;

  // Answers that filters serve, keep or change; null: there is none.
  ResponseSource* source_ = nullptr;
  files::LookUp* look_up_ = nullptr;  // of a route with `files`
  std::unique_ptr<Recorder> recorder_;
  BodyStage* stage_ = nullptr;
  bool source_tail_ = false;  // what the recorder did not take follows in held_response_
  bool flush_due_ = false;    // of the stage

  // Bodies.
  Buffer held_request_;   // waits for the server
  Buffer held_response_;  // waits for the response filters
  Buffer replay_;         // what the server got of the request body, for a retry
  uint64_t bytes_in_ = 0;
  uint64_t body_limit_ = 0;
  bool body_waits_ = false;     // the client was told to pause
  bool request_done_ = false;   // the client has sent all; held_request_ may still hold some of it
  bool request_ended_ = false;  // all of it is written to conn_: its answer may settle the try
  bool discard_body_ = false;   // an answer is on its way: the rest of the body is not wanted
  bool replay_lost_ = false;    // more than may be held: no retry
  bool head_sent_ = false;      // to the server
  bool response_done_ = false;  // the server's (or weir's own) answer is complete, not yet sent
  bool committed_ = false;      // below this line: only finish or cut
  bool local_ = false;          // the answer is weir's own
  bool continue_sent_ = false;
  bool upgraded_ = false;
  bool grpc_ = false;           // a call of gRPC: its errors are told in its own way
  bool is_fetch_ = false;       // of weir's own: nobody else hears of it
  bool may_mirror_ = true;      // no head has gone out yet, and it is no shadow itself
  bool client_tunnel_eof_ = false;
  bool server_tunnel_eof_ = false;
  http::ResponseFraming framing_;

  Id shadow_;  // in ProxyWorker::shadows(); generation 0: there is none

  net::Timer deadline_;  // total time of a request; idle time of a tunnel
  // As configured; 0: none, or the client wants to wait less.
  uint64_t total_ms_ = 0;
  uint64_t tunnel_idle_ms_ = 0;
  size_t tunnel_unsent_bytes_ = 0;  // at the last look, when nothing had come for that time
  uint64_t started_us_;
  Error error_;  // the first thing that went wrong
};

}  // namespace weir::proxy
