#include "upstream/pool.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "net/worker.h"
#include "upstream/h1_conn.h"

namespace weir::upstream {

Pool::Pool(net::Worker& worker, IdleObserver& observer, std::shared_ptr<EndpointState> state)
    : worker_(worker), observer_(observer), state_(std::move(state)) {}

Pool::~Pool() { WEIR_CHECK(live_.empty()); }

ServerSide& Pool::lease(const Cluster& cluster, const Server& server, ConnUser& user, bool fresh) {
  keepalive_ = cluster.keepalive;
  avoid_ms_ = server.fail_timeout_ms;
  if (transport_ != cluster.transport) take_transport(cluster.transport);
  if (version_ != state_->addresses_version.load(std::memory_order_acquire)) take_addresses();
  Target& target = targets_.size() == 1 ? *targets_.front() : choose();
  H2Conn* shared = fresh ? find_dialling(target) : target.open.front();
  if (shared != nullptr) return shared->lend(user, cluster.timeouts);
  if (ServerConn* conn = fresh ? nullptr : target.idle.front()) {
    return conn->lend(user, cluster.timeouts);
  }
  return dial(target, cluster.timeouts, user);
}

// With room: all that a lost connection sends away share the next one.
H2Conn* Pool::find_dialling(Target& target) {
  H2Conn* found = nullptr;
  target.open.for_each([&found](H2Conn& conn) {
    if (conn.phase_ == H2Conn::Phase::kGreeting) found = &conn;
  });
  return found;
}

ServerSide& Pool::dial(Target& target, const UpstreamTimeouts& timeouts, ConnUser& user) {
  if (transport_->may_be_h2()) return dial_h2(target, timeouts).lend(user, timeouts);
  auto* conn = new H1Conn(*this, target, timeouts, user);
  ++target.conns;
  live_.push_back(*conn);
  return *conn;
}

H2Conn& Pool::dial_h2(Target& target, const UpstreamTimeouts& timeouts) {
  auto* conn = new H2Conn(*this, target, timeouts);
  ++target.conns;
  live_.push_back(*conn);
  return *conn;
}

void Pool::start_tls(Target& target, net::Stream& stream) {
  if (transport_->tls == nullptr) return;
  if (target.ticket == nullptr) target.ticket = std::make_shared<net::TlsTicket>();
  stream.start_tls(*transport_->tls, server_name_, target.ticket);
}

H1Conn& Pool::continue_as_h1(Target& target, const UpstreamTimeouts& timeouts,
                             std::unique_ptr<net::Stream> dialled, ConnUser& user) {
  auto* conn = new H1Conn(*this, target, timeouts, user, std::move(dialled));
  ++target.conns;
  live_.push_back(*conn);
  return *conn;
}

void Pool::place(H2Call& call, Target& target) {
  H2Conn* conn = target.open.front();
  if (conn == nullptr) conn = &dial_h2(target, call.timeouts());
  conn->take_over(call);
}

// The configuration speaks to the server in another way: what was made by the old one serves those
// that use it.
void Pool::take_transport(const std::shared_ptr<const Transport>& transport) {
  const bool same = transport_ == nullptr || transport_->same_as(*transport);
  transport_ = transport;
  if (transport->tls != nullptr) {
    server_name_ = transport->server_name;
    Result<net::HostPort> address = net::split_host_port(state_->server);
    if (server_name_.empty() && address.ok()) server_name_ = address.value().host;
  }
  if (same) return;
  retire(std::exchange(targets_, {}));
  version_ = 0;
}

// The name means other addresses now: what stays keeps its connections, what goes keeps those that
// are in use until they are given back.
void Pool::take_addresses() {
  version_ = state_->addresses_version.load(std::memory_order_acquire);
  const std::shared_ptr<const AddressList> addresses = state_->addresses();
  std::vector<std::unique_ptr<Target>> gone = std::exchange(targets_, {});
  for (const net::SocketAddress& address : *addresses) {
    const auto known = std::find_if(gone.begin(), gone.end(), [&](const auto& target) {
      return target != nullptr && target->address == address;
    });
    targets_.push_back(known == gone.end() ? std::make_unique<Target>(address) : std::move(*known));
  }
  retire(std::move(gone));
  const AddressList unwell = state_->unwell();
  for (const std::unique_ptr<Target>& target : targets_) {
    target->unwell = std::find(unwell.begin(), unwell.end(), target->address) != unwell.end();
  }
}

void Pool::retire(std::vector<std::unique_ptr<Target>> gone) {
  for (std::unique_ptr<Target>& target : gone) {
    if (target == nullptr) continue;
    while (ServerConn* conn = target->idle.front()) conn->end();
    while (target->open.pop_front() != nullptr) {
    }
    target->retired = true;
    if (target->conns > 0) retired_.push_back(std::move(target));
  }
}

// The fewest in use, in turn among equals; one that could not be connected to, or is unwell, only
// if all are so.
Target& Pool::choose() {
  const uint64_t now_ms = worker_.now_ms();
  const size_t count = targets_.size();
  Target* best = nullptr;
  turn_ = (turn_ + 1) % count;
  for (size_t i = 0; i < count; ++i) {
    Target& target = *targets_[(turn_ + i) % count];
    if (best == nullptr) {
      best = &target;
      continue;
    }
    const bool avoid = target.unwell || target.avoid_until_ms > now_ms;
    const bool avoid_best = best->unwell || best->avoid_until_ms > now_ms;
    if (avoid != avoid_best ? avoid_best : target.users < best->users) best = &target;
  }
  return *best;
}

Target* Pool::after_failure(Target& failed) {
  const uint64_t now_ms = worker_.now_ms();
  failed.avoid_until_ms = now_ms + avoid_ms_;
  if (targets_.size() == 1 && !failed.retired) return nullptr;
  Target& next = choose();
  return next.avoid_until_ms > now_ms ? nullptr : &next;
}

void Pool::move(ServerConn& conn, Target& to) {
  ++to.conns;
  to.users += conn.users_;
  conn.target_->users -= conn.users_;
  leave(*std::exchange(conn.target_, &to));
}

void Pool::leave(Target& target) {
  if (--target.conns > 0 || !target.retired) return;
  std::erase_if(retired_, [&](const auto& one) { return one.get() == &target; });
}

bool Pool::may_keep(const ServerConn& conn, uint32_t requests) const {
  return !draining_ && !conn.target_->retired && may_serve(requests);
}

void Pool::remember(ServerConn& conn, uint64_t server_idle_ms) {
  conn.target_->idle.push_front(conn);
  ++conn.target_->idle_count;
  ++idle_count_;
  observer_.on_idle_added(state_->index);
  uint64_t timeout_ms = keepalive_.timeout_ms;
  if (server_idle_ms != 0) timeout_ms = std::min(timeout_ms, server_idle_ms);
  conn.on_idle(timeout_ms);
  if (idle_count_ > keepalive_.idle) end_oldest_idle();
}

void Pool::let_go_of_idle(ServerConn& conn) {
  WEIR_CHECK(conn.is_idle());
  conn.idle_.unlink();
  --conn.target_->idle_count;
  --idle_count_;
  observer_.on_idle_removed(state_->index);
}

void Pool::end_oldest_idle() {
  const auto most = std::max_element(targets_.begin(), targets_.end(), [](auto& a, auto& b) {
    return a->idle_count < b->idle_count;
  });
  (*most)->idle.back()->end();
}

// A connection ends: nobody may find it any more. Deleted with the graves.
void Pool::forget(ServerConn& conn) {
  if (conn.is_idle()) let_go_of_idle(conn);
  conn.live_.unlink();
  conn.target_->users -= conn.users_;
  leave(*conn.target_);
  worker_.bury(std::unique_ptr<net::Mortal>(&conn));
}

void Pool::end_idle() {
  for (const std::unique_ptr<Target>& target : targets_) {
    while (ServerConn* conn = target->idle.front()) conn->end();
  }
}

void Pool::end_for_good() {
  draining_ = true;
  end_idle();
}

void Pool::end_all() {
  draining_ = true;
  while (ServerConn* conn = live_.front()) conn->end();
}

Pool& Pools::of(const Server& server) {
  const uint32_t index = server.state->index;
  if (index >= pools_.size()) pools_.resize(index + 1);
  if (pools_[index] == nullptr) {
    pools_[index] = std::make_unique<Pool>(worker_, observer_, server.state);
  }
  return *pools_[index];
}

void Pools::end_idle() {
  for_each([](Pool& pool) { pool.end_for_good(); });
}

void Pools::keep_only(const std::vector<std::shared_ptr<const Cluster>>& clusters) {
  std::vector<bool> kept(pools_.size());
  for (const auto& cluster : clusters) {
    for (const Server& server : cluster->servers) {
      if (server.state->index < kept.size()) kept[server.state->index] = true;
    }
  }
  for (size_t i = 0; i < pools_.size(); ++i) {
    if (kept[i] || pools_[i] == nullptr) continue;
    pools_[i]->end_idle();
    if (pools_[i]->empty()) pools_[i].reset();
  }
}

void Pools::end_all() {
  for_each([](Pool& pool) { pool.end_all(); });
}

}  // namespace weir::upstream
