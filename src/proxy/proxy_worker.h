// Everything that one worker thread owns for proxying: its loop, listeners, client connections,
// pools, numbers and log, and the snapshot that it works by. Other threads speak to it through
// post().
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/slot_map.h"
#include "http/date.h"
#include "net/listener.h"
#include "net/worker.h"
#include "proxy/access_log.h"
#include "proxy/metrics.h"
#include "proxy/shadow.h"
#include "proxy/snapshot.h"
#include "upstream/balancer.h"
#include "upstream/pool.h"
#include "upstream/waiting_room.h"

namespace weir::net {
class Redis;
class RedisBeat;
struct RedisConfig;
}  // namespace weir::net

namespace weir::proxy {

class Background;
class ClientConnection;
struct Client;
class Exchange;
class PurgeFeed;

// A snapshot as one worker uses it: exchanges pin it by a plain count.
struct Epoch {
  std::shared_ptr<const Snapshot> snapshot;
  uint32_t pins = 0;
};

struct ProxyWorkerOptions {
  uint32_t index = 0;
  Metrics* metrics = nullptr;       // outlives the worker
  LogWriter* log_writer = nullptr;  // outlives the worker; null: no access log
  // Where snapshots go that this worker has done with; any thread; frees them on the config thread.
  std::function<void(std::shared_ptr<const Snapshot>)> give_back;
};

// Created, run and destroyed on its own thread.
class ProxyWorker final : public net::Listener::Acceptor, public upstream::IdleObserver {
 public:
  explicit ProxyWorker(ProxyWorkerOptions options);
  ~ProxyWorker();

  net::Worker& net() { return net_; }
  void run() { net_.run(); }

  // The rest is for the worker's thread: post() it.
  // `slots` numbers snapshot->listeners (SocketSet); a slot that is in use and not among them is
  // removed: its queue and what is under way are served by the snapshot that last had it.
  void publish(std::shared_ptr<const Snapshot> snapshot, const std::vector<uint32_t>& slots = {0});
  // Serves `fd`, which becomes this worker's, as the published listener of that slot. `inherited`:
  // at drain the queue is left to the next process.
  void listen(int fd, uint32_t slot, bool inherited = false);
  // Stops accepting, ends idle connections, and lets run() return when the last exchange is over,
  // and the last Background that is waited for, or after `grace_ms`, when what is left is cut.
  // `cut` is set then.
  void drain(uint64_t grace_ms);
  void cut_all();
  void flush_log() { log_.flush(); }  // hands on what the access log holds
  bool draining() const { return draining_; }
  bool was_cut() const { return was_cut_; }

  // For connections and exchanges.
  const Snapshot& snapshot() const { return *epoch_->snapshot; }
  // The epoch by which requests of that listener are served.
  Epoch* pin(uint32_t slot);
  uint32_t listener_index(uint32_t slot) const { return slots_[slot].index; }  // in that epoch
  const ListenerConfig& listener_config(uint32_t slot) const {
    const Slot& of = slots_[slot];
    return of.epoch == nullptr ? *of.kept : of.epoch->snapshot->listeners[of.index];
  }
  // A connection of that listener asks for nothing but bytes from now on, until it ends; and the
  // last of these was.
  void tunnel_began(uint32_t slot);
  void tunnel_ended(uint32_t slot) { --slots_[slot].tunnels; }
  // Its present requests are its last ones.
  bool must_leave(const ClientConnection& connection) const;
  void unpin(Epoch* epoch);
  upstream::Pools& pools() { return pools_; }
  upstream::Balancer& balancer() { return balancer_; }
  upstream::WaitingRoom& waiting_room() { return waiting_room_; }
  Shadows& shadows() { return shadows_; }
  net::Redis& redis() { return *redis_; }
  net::Redis& tier_redis() { return *tier_redis_; }  // of the cache's second tier
  Metrics& metrics() { return metrics_; }
  // What may wait for a slow peer, per connection and direction, before the sender is read no more.
  size_t hold_bytes() const { return hold_bytes_; }
  SlotMap<Exchange>& exchanges() { return exchanges_; }
  std::string_view date();  // the Date field's text; valid until the next call
  uint64_t wall_us();       // microseconds since 1970
  void log(const Summary& summary);
  void new_uuid(char* out36);
  void random_bytes(uint8_t* out, size_t bytes) { random_.fill(out, bytes); }
  // `connection` is this worker's from now on, until it ends.
  void adopt(std::unique_ptr<ClientConnection> connection);
  void forget(ClientConnection& connection);
  // False: limits::kRemaindersMax are under way.
  bool has_room_for_remainder() const;
  // The same for what no client waits for.
  void adopt_background(std::unique_ptr<Background> work);
  void forget(Background& work);
  // `client.peer` is not who connected but whom that one connected for: counts that client. False:
  // it has too many connections.
  bool reseat(Client& client);

 private:
  // A listener as this worker serves it. Numbers are not used again: what stays of a removed one
  // is a few words.
  struct Slot {
    std::unique_ptr<net::Listener> socket;
    Epoch* epoch = nullptr;  // the present one; of a removed slot its last one, pinned
    uint32_t index = 0;      // of epoch->snapshot->listeners
    size_t connections = 0;
    size_t tunnels = 0;                    // of these
    std::unique_ptr<ListenerConfig> kept;  // where only tunnels are left: without the snapshot
    bool inherited = false;
    bool removed = false;
  };

  void on_accepted(net::Listener& listener, int fd, const net::SocketAddress& peer) override;
  uint32_t client_limit(const Client& client, bool is_unix) const;
  const char* take_seat(Client& client, bool is_unix);
  void on_idle_added(uint32_t endpoint_index) override;
  void on_idle_removed(uint32_t endpoint_index) override;
  void retire_if_unused(Epoch* epoch);
  void remove_slot(uint32_t slot);
  void drain_clients(uint32_t slot);
  void let_go_if_unused(Slot& slot);
  void close_listener(uint32_t slot, bool serve_queue);
  void stop_if_done();
  bool is_background_waited_for();
  void end_background();
  void use_redis(const std::shared_ptr<const Snapshot>& snapshot);
  void sweep_answers();

  net::Worker net_;
  Metrics& metrics_;
  AccessLog log_;
  http::DateCache date_;
  RandomPool random_;
  upstream::Pools pools_;
  upstream::Balancer balancer_;
  upstream::WaitingRoom waiting_room_;
  Shadows shadows_;
  std::unique_ptr<net::Redis> redis_;
  std::unique_ptr<net::Redis> tier_redis_;
  std::unique_ptr<net::RedisBeat> redis_beat_;
  std::unique_ptr<PurgeFeed> purge_feed_;
  SlotMap<Exchange> exchanges_;
  std::function<void(std::shared_ptr<const Snapshot>)> give_back_;
  std::vector<std::unique_ptr<Epoch>> epochs_;  // the present one last
  Epoch* epoch_ = nullptr;
  std::vector<Slot> slots_;
  size_t hold_bytes_ = 0;  // of the present snapshot
  struct ConnectionList;
  std::unique_ptr<ConnectionList> connections_;
  struct BackgroundList;
  std::unique_ptr<BackgroundList> background_;
  net::Timer log_tick_;
  net::Timer sweep_tick_;  // of one worker: the answers are all workers'
  net::Timer grace_;
  net::Timer readers_look_;  // at drain
  bool draining_ = false;
  bool was_cut_ = false;
  bool stopped_ = false;
  uint64_t wall_offset_us_ = 0;  // wall clock minus monotonic clock
  uint64_t wall_checked_us_ = 0;
  uint64_t date_checked_ms_ = UINT64_MAX;
  std::string_view date_text_;
};

}  // namespace weir::proxy
