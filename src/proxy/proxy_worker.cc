#include "proxy/proxy_worker.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/redis.h"
#include "net/redis_beat.h"
#include "proxy/answer_store.h"
#include "proxy/arrival.h"
#include "proxy/background.h"
#include "proxy/connection.h"
#include "proxy/exchange.h"
#include "proxy/purge_feed.h"

namespace weir::proxy {

namespace {

// How often answers of the cache are looked at that nobody asks for any more.
constexpr uint64_t kSweepTickMs = 200;

// Whom the one lets in, the other does: in the clear or by TLS, and by certificates of clients.
bool admit_alike(const ListenerConfig& a, const ListenerConfig& b) {
  if ((a.tls == nullptr) != (b.tls == nullptr)) return false;
  const bool a_asks = a.tls != nullptr && a.tls->asks_for_certificate();
  const bool b_asks = b.tls != nullptr && b.tls->asks_for_certificate();
  return a_asks && b_asks ? a.tls->asks_like(*b.tls) : a_asks == b_asks;
}

}  // namespace

struct ProxyWorker::ConnectionList {
  IntrusiveList<ClientConnection, &ClientConnection::live_> live;
};

struct ProxyWorker::BackgroundList {
  IntrusiveList<Background, &Background::background_> live;
  size_t remainders = 0;  // of these
};

ProxyWorker::ProxyWorker(ProxyWorkerOptions options)
    : net_(options.index, &options.metrics->loop_lag_us),
      metrics_(*options.metrics),
      log_(options.log_writer, metrics_),
      pools_(net_, *this),
      waiting_room_(net_),
      shadows_(*this),
      redis_(std::make_unique<net::Redis>(net_)),
      tier_redis_(std::make_unique<net::Redis>(net_)),
      redis_beat_(std::make_unique<net::RedisBeat>(net_, *redis_)),
      purge_feed_(std::make_unique<PurgeFeed>(*this)),
      exchanges_(limits::kExchangesMax),
      give_back_(std::move(options.give_back)),
      connections_(std::make_unique<ConnectionList>()),
      background_(std::make_unique<BackgroundList>()),
      log_tick_(net_.timers(), this, &net::Timer::call<ProxyWorker, &ProxyWorker::flush_log>),
      sweep_tick_(net_.timers(), this, &net::Timer::call<ProxyWorker, &ProxyWorker::sweep_answers>),
      grace_(net_.timers(), this, &net::Timer::call<ProxyWorker, &ProxyWorker::cut_all>),
      readers_look_(net_.timers(), this,
                    &net::Timer::call<ProxyWorker, &ProxyWorker::stop_if_done>) {}

ProxyWorker::~ProxyWorker() {
  WEIR_CHECK(connections_->live.empty() && exchanges_.size() == 0);
  {
    net::Turn turn(net_);
    shadows_.cut_all();
    end_background();
    pools_.end_all();
    use_redis(nullptr);
  }
  log_.flush();
  for (std::unique_ptr<Epoch>& epoch : epochs_) {
    WEIR_CHECK(epoch->pins == 0);
    give_back_(std::move(epoch->snapshot));
  }
}

// ---- snapshots ----

void ProxyWorker::publish(std::shared_ptr<const Snapshot> snapshot,
                          const std::vector<uint32_t>& slots) {
  net::Turn turn(net_);
  Epoch* before = epoch_;
  if (before != nullptr) ++before->pins;  // until all slots have moved on
  log_.configure(snapshot->log.access);
  pools_.keep_only(snapshot->clusters);
  use_redis(snapshot);
  if (snapshot->answers != nullptr && net_.index() == 0) sweep_tick_.arm_ms(kSweepTickMs);
  for (const auto& cluster : snapshot->clusters) cluster->state->gate.configure(cluster->breaker);
  hold_bytes_ = snapshot->memory.hold_bytes();
  net_.set_read_max_bytes(snapshot->memory.read_bytes());
  epochs_.push_back(std::make_unique<Epoch>());
  epoch_ = epochs_.back().get();
  epoch_->snapshot = std::move(snapshot);
  std::vector<bool> kept(slots_.size());
  for (const uint32_t slot : slots) {
    if (slot < kept.size()) kept[slot] = true;
  }
  for (uint32_t slot = 0; slot < kept.size(); ++slot) {
    if (!kept[slot] && !slots_[slot].removed) remove_slot(slot);
  }
  for (uint32_t i = 0; i < slots.size(); ++i) {
    if (slots_.size() <= slots[i]) slots_.resize(slots[i] + 1);
    Slot& slot = slots_[slots[i]];
    const ListenerConfig& now = epoch_->snapshot->listeners[i];
    const bool outdated = slot.epoch != nullptr && !admit_alike(listener_config(slots[i]), now);
    slot.epoch = epoch_;
    slot.index = i;
    if (slot.socket != nullptr) slot.socket->tune(now.socket);
    // Who was let in by the old rules may be whom the new ones are to keep out.
    if (outdated) drain_clients(slots[i]);
  }
  if (before != nullptr) unpin(before);
}

void ProxyWorker::sweep_answers() {
  AnswerStore* const answers = epoch_->snapshot->answers;
  if (answers == nullptr) return;
  answers->sweep();
  sweep_tick_.arm_ms(kSweepTickMs);
}

// Null: none any more.
void ProxyWorker::use_redis(const std::shared_ptr<const Snapshot>& snapshot) {
  const bool uses = snapshot != nullptr && snapshot->redis != nullptr;
  if (!uses || snapshot->answers == nullptr) purge_feed_->stop();
  if (!uses) redis_beat_->stop();
  redis_->configure(uses ? snapshot->redis : nullptr);
  tier_redis_->configure(uses ? snapshot->tier_redis : nullptr);
  if (!uses) return;
  redis_beat_->start();
  if (snapshot->answers != nullptr) purge_feed_->start(snapshot);
}

Epoch* ProxyWorker::pin(uint32_t slot) {
  Epoch* epoch = slots_[slot].epoch;
  ++epoch->pins;
  return epoch;
}

void ProxyWorker::unpin(Epoch* epoch) {
  WEIR_ASSERT(epoch->pins > 0);
  if (--epoch->pins == 0 && epoch != epoch_) retire_if_unused(epoch);
}

// Freed by the config thread: a big snapshot would stall this loop.
void ProxyWorker::retire_if_unused(Epoch* epoch) {
  if (epoch->pins != 0) return;
  give_back_(std::move(epoch->snapshot));
  std::erase_if(epochs_, [epoch](const auto& entry) { return entry.get() == epoch; });
}

// ---- connections ----

void ProxyWorker::listen(int fd, uint32_t slot, bool inherited) {
  slots_[slot].inherited = inherited;
  slots_[slot].socket =
      std::make_unique<net::Listener>(net_, *this, fd, slot, listener_config(slot).uses_reserve);
}

void ProxyWorker::remove_slot(uint32_t slot) {
  Slot& removed = slots_[slot];
  if (removed.epoch == nullptr) return;  // a number of another worker's time
  ++removed.epoch->pins;
  close_listener(slot, true);
  removed.removed = true;
  drain_clients(slot);
  let_go_if_unused(removed);
}

void ProxyWorker::drain_clients(uint32_t slot) {
  connections_->live.for_each([slot](ClientConnection& connection) {
    if (connection.client_.slot != slot) return;
    connection.client_.outdated = true;
    connection.drain();
  });
}

bool ProxyWorker::must_leave(const ClientConnection& connection) const {
  const Client& client = connection.client_;
  return draining_ || client.outdated || slots_[client.slot].removed;
}

void ProxyWorker::let_go_if_unused(Slot& slot) {
  if (!slot.removed || slot.connections > slot.tunnels) return;
  if (slot.epoch != nullptr) {
    slot.kept = std::make_unique<ListenerConfig>(slot.epoch->snapshot->listeners[slot.index]);
    slot.kept->tls = nullptr;  // has the certificates of all sites
    unpin(std::exchange(slot.epoch, nullptr));
  }
  if (slot.connections == 0) slot.kept = nullptr;
}

void ProxyWorker::tunnel_began(uint32_t slot) {
  ++slots_[slot].tunnels;
  let_go_if_unused(slots_[slot]);
}

void ProxyWorker::close_listener(uint32_t slot, bool serve_queue) {
  if (slots_[slot].socket == nullptr) return;
  if (serve_queue) slots_[slot].socket->serve_queue();
  slots_[slot].socket->end();
  net_.bury(std::move(slots_[slot].socket));
}

void ProxyWorker::on_accepted(net::Listener& listener, int fd, const net::SocketAddress& peer) {
  const bool is_unix = listener.address().is_unix();
  Client client;
  client.slot = listener.slot();
  client.peer = address_of(peer);
  if (const char* refusal = take_seat(client, is_unix)) {
    rare_counters().add("weir_connections_refused_total", {{"reason", refusal}});
    close(fd);
    return;
  }
  client.stream = net::Stream::accepted(net_, fd, is_unix);
  if (client.stream == nullptr) return;
  if (Arrival::needed(listener_config(client.slot))) {
    adopt(std::make_unique<Arrival>(*this, std::move(client)));
  } else {
    adopt(std::make_unique<Connection>(*this, std::move(client)));
  }
}

void ProxyWorker::adopt(std::unique_ptr<ClientConnection> connection) {
  ++slots_[connection->client_.slot].connections;
  metrics_.active_connections.add();
  connections_->live.push_back(*connection.release());
}

bool ProxyWorker::has_room_for_remainder() const {
  return background_->remainders < limits::kRemaindersMax;
}

void ProxyWorker::adopt_background(std::unique_ptr<Background> work) {
  background_->remainders += work->is_remainder();
  background_->live.push_back(*work.release());
}

void ProxyWorker::forget(Background& work) {
  work.background_.unlink();
  net_.bury(std::unique_ptr<net::Mortal>(&work));
  background_->remainders -= work.is_remainder();
  if (draining_) net_.defer([this] { stop_if_done(); });  // it may be in a connection's callback
}

// Of all of them, so that nobody new comes to read any.
bool ProxyWorker::is_background_waited_for() {
  bool waited_for = false;
  background_->live.for_each([&](Background& work) {
    const bool is_waited_for = work.is_waited_for();
    waited_for = waited_for || is_waited_for;
  });
  return waited_for;
}

void ProxyWorker::end_background() {
  while (Background* work = background_->live.front()) work->end();
}

// A trusted proxy brings the connections of many clients.
uint32_t ProxyWorker::client_limit(const Client& client, bool is_unix) const {
  const uint32_t limit = listener_config(client.slot).client_connections;
  if (limit == Seats::kUnlimited) return limit;
  const bool many = is_unix || snapshot().trusted_proxies.contains(client.peer);
  return many ? Seats::kUnlimited : limit;
}

// Null, or why there is no seat.
const char* ProxyWorker::take_seat(Client& client, bool is_unix) {
  const ListenerConfig& config = listener_config(client.slot);
  if (config.proxy_protocol && !snapshot().trusted_proxies.contains(client.peer)) {
    char peer[45];
    static LogThrottle throttle(10'000);
    log_warn_once_per(throttle, "listener {}: {} is none of trusted_proxies; closed", config.name,
                      std::string_view(peer, client.peer.format(peer)));
    return "untrusted_proxy";
  }
  const uint32_t per_client = client_limit(client, is_unix);
  switch (config.seats->take(config.max_connections, per_client, client.peer, client.seat)) {
    case Seats::Answer::kTaken: return nullptr;
    case Seats::Answer::kListenerFull: return "max_connections";
    case Seats::Answer::kClientFull: return "client_connections";
  }
  return nullptr;
}

bool ProxyWorker::reseat(Client& client) {
  if (client.seat.count_client(client_limit(client, false), client.peer)) return true;
  rare_counters().add("weir_connections_refused_total", {{"reason", "client_connections"}});
  return false;
}

void ProxyWorker::forget(ClientConnection& connection) {
  connection.live_.unlink();
  Slot& slot = slots_[connection.client_.slot];
  --slot.connections;
  let_go_if_unused(slot);
  metrics_.active_connections.sub();
  net_.bury(std::unique_ptr<net::Mortal>(&connection));
  if (draining_) stop_if_done();
}

// ---- the end ----

void ProxyWorker::drain(uint64_t grace_ms) {
  if (draining_) return;
  net::Turn turn(net_);
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    close_listener(slot, !slots_[slot].inherited);
  }
  draining_ = true;
  pools_.end_idle();
  grace_.arm_ms(grace_ms);
  connections_->live.for_each([](ClientConnection& connection) { connection.drain(); });
  stop_if_done();
}

void ProxyWorker::cut_all() {
  if (!connections_->live.empty()) was_cut_ = true;
  while (ClientConnection* connection = connections_->live.front()) connection->end(true);
  end_background();
  stop_if_done();
}

void ProxyWorker::stop_if_done() {
  if (!connections_->live.empty() || stopped_) return;
  if (is_background_waited_for()) {
    readers_look_.arm_ms(limits::kReadersLookMs);
    return;
  }
  stopped_ = true;
  grace_.cancel();
  readers_look_.cancel();
  log_.flush();
  shadows_.cut_all();  // nobody waits for them
  end_background();
  pools_.end_all();
  use_redis(nullptr);
  net_.stop();
}

// ---- what exchanges ask ----

uint64_t ProxyWorker::wall_us() {
  const uint64_t now_us = net_.now_us();
  constexpr uint64_t kRefreshUs = 1'000'000;  // steps of the system's clock are seen this late
  if (now_us - wall_checked_us_ > kRefreshUs) {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    wall_offset_us_ = static_cast<uint64_t>(now.tv_sec) * 1'000'000 +
                      static_cast<uint64_t>(now.tv_nsec) / 1000 - now_us;
    wall_checked_us_ = now_us;
  }
  return now_us + wall_offset_us_;
}

std::string_view ProxyWorker::date() {
  if (net_.now_ms() != date_checked_ms_) {
    date_checked_ms_ = net_.now_ms();
    date_text_ = date_.at(static_cast<std::time_t>(wall_us() / 1'000'000));
  }
  return date_text_;
}

void ProxyWorker::log(const Summary& summary) {
  metrics_.requests.add(
      Metrics::request_key(summary.route_label, summary.method_id, summary.status));
  // The life of a tunnel is no response time.
  if (summary.status != 101) {
    metrics_.request_duration.at(summary.route_label).observe_us(summary.duration_us);
  }
  if (summary.log && log_.append(summary)) log_tick_.arm_ms(limits::kLogTickMs);
}

void ProxyWorker::on_idle_added(uint32_t endpoint_index) {
  metrics_.upstream_connections_idle.add(endpoint_index + 1);
}

void ProxyWorker::on_idle_removed(uint32_t endpoint_index) {
  metrics_.upstream_connections_idle.sub(endpoint_index + 1);
}

void ProxyWorker::new_uuid(char* out36) { format_uuid4(random_, out36); }

}  // namespace weir::proxy
