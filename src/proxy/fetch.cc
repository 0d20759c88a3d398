#include "proxy/fetch.h"

#include <optional>
#include <utility>

#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "upstream/cluster.h"

namespace weir::proxy {

Fetch::Fetch(Exchange& asker, const Route& route, size_t body_max_bytes, User& user)
    : client_(&asker.client_side()),
      peer_(client_->peer()),
      listener_slot_(client_->listener_slot()),
      scheme_(client_->scheme()),
      body_max_bytes_(body_max_bytes),
      user_(&user),
      exchange_(std::make_unique<Exchange>(asker, static_cast<ClientSide&>(*this), route)),
      body_(asker.worker().net().blocks()) {}

Fetch::Fetch(Exchange& asker, User& user)
    : client_(nullptr),
      peer_(asker.client_side().peer()),
      listener_slot_(asker.client_side().listener_slot()),
      scheme_(asker.client_side().scheme()),
      body_max_bytes_(0),
      user_(&user),
      exchange_(std::make_unique<Exchange>(asker, static_cast<ClientSide&>(*this), asker.route())),
      body_(asker.worker().net().blocks()) {
  exchange_->repeat(asker);
}

Fetch::~Fetch() { cancel(); }

http::RequestHead& Fetch::request() { return exchange_->request(); }

void Fetch::tell_nothing_of_client() { exchange_->take_over_fields(http::kForwardingMask); }

void Fetch::start() { exchange_->start_fetch(); }

void Fetch::cancel() {
  user_ = nullptr;
  if (exchange_ != nullptr) exchange_->cancel_fetch();
}

http::ConnectionEnds Fetch::ends() const {
  if (client_ != nullptr) return client_->ends();
  http::ConnectionEnds ends;
  ends.source = ends.destination = peer_;
  return ends;
}

// ---- the answer ----

void Fetch::send_head(const http::ResponseHead& head, const http::ResponseFraming&,
                      std::string_view) {
  head_ = &head;
  if (user_ != nullptr && !user_->on_fetch_head(head)) user_ = nullptr;
}

void Fetch::send_body(std::span<const std::string_view> pieces) {
  for (const std::string_view piece : pieces) take(piece);
}

// Nothing calls the exchange back from here: it is cut in a later round of the turn, and until then
// its server is read no further.
void Fetch::take(std::string_view piece) {
  body_bytes_ += piece.size();
  if (too_large_) return;
  if (recorder_ != nullptr) {
    if (recorder_->put(piece)) return;
    recorder_ = nullptr;
  } else if (body_bytes_ <= body_max_bytes_) {
    if (user_ != nullptr) body_.append(piece);
    return;
  }
  too_large_ = true;
  body_.clear();
  ProxyWorker* const worker = &exchange_->worker();
  worker->net().defer([worker, id = exchange_->id()] {
    if (Exchange* exchange = worker->exchanges().find(id)) exchange->cancel_fetch();
  });
}

void Fetch::exchange_over(bool cut) {
  const Exchange& exchange = *exchange_;  // until the end of the turn
  exchange_->worker().net().bury(std::move(exchange_));
  const std::unique_ptr<Recorder> recorder = std::move(recorder_);
  if (recorder != nullptr && !cut) recorder->complete();
  User* const user = std::exchange(user_, nullptr);
  if (user == nullptr) return;
  if (too_large_) {
    user->on_fetch_failed(
        {Source::kUpstream, ErrorKind::kTooLarge, Retry::kNever, "too large an answer"});
  } else if (cut) {
    user->on_fetch_failed(exchange.error());
  } else {
    user->on_fetched(*head_, body_);
  }
}

// ---- the exchange's part ----

// The snapshot is the asker's: what was configured together answers together.
Exchange::Exchange(Exchange& asker, ClientSide& client, const Route& route)
    : Exchange(asker.worker_, client, asker.pinned_, asker.listener_) {
  is_fetch_ = true;
  ++pinned_->pins;
  route_ = &route;
  cluster_ = route.cluster.get();
  identity_ = asker.identity_;
  if (identity_.forwarded_host.empty()) identity_.forwarded_host = asker.request_.authority;
  request_.method_text = http::method_name(request_.method);
  request_.target = request_.path = "/";
}

// The text is its own: the asker may be gone before it. Its filters cannot be asked at each try
// then: their edits are made here, once for all servers.
void Exchange::repeat(Exchange& asker) {
  http::RequestHead from(asker.arena_);
  from.copy_from(asker.request_);
  if (const std::optional<LocalReply> refused = asker.edit_last(from)) error_ = refused->error();
  cluster_ = asker.cluster_;
  if (!cluster_->servers.empty()) asker.edit_attempt(from, cluster_->servers.front());
  taken_over_ = asker.taken_over_;
  may_mirror_ = false;
  path_ = arena_.copy(asker.path_);
  identity_.forwarded_for = arena_.copy(identity_.forwarded_for);
  identity_.forwarded_proto = arena_.copy(identity_.forwarded_proto);
  identity_.forwarded_host = arena_.copy(identity_.forwarded_host);
  request_.method = from.method;
  request_.version = from.version;
  request_.method_text = http::method_name(from.method);
  request_.target = arena_.copy(from.target);
  request_.path = request_.target.substr(0, from.path.size());
  if (!from.query.empty()) request_.query = request_.target.substr(from.path.size() + 1);
  request_.authority = arena_.copy(from.authority);
  request_.host = arena_.copy(from.host);
  for (const http::Header& field : from.headers) request_.headers.add_copy(field);
}

void Exchange::start_fetch() {
  if (id_.generation == 0) {
    error_ = {Source::kWeir, ErrorKind::kOverload, Retry::kNever, "out of memory budget"};
  }
  if (error_) {  // or a filter does not let it pass
    end(true);
    return;
  }
  request_done_ = true;
  if (path_.empty()) path_ = request_.path;
  arm_total();
  step_ = route_->rewrite == nullptr ? Step::kPick : rewrite();
  advance();
}

void Exchange::cancel_fetch() { end(true); }

}  // namespace weir::proxy
