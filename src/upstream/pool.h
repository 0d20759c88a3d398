// Connections of one worker to one server: all of them owned here, the idle ones kept last-in
// first-out. Lives as long as its worker, whatever happens to the configuration. A name that means
// several addresses is several places to connect to: each new user goes to the one with the fewest
// users.
#pragma once

#include <memory>
#include <vector>

#include "base/intrusive_list.h"
#include "base/limits.h"
#include "upstream/cluster.h"
#include "upstream/h2_conn.h"
#include "upstream/server_conn.h"
#include "upstream/transport.h"

namespace weir::net {
class Worker;
}

namespace weir::upstream {

// Hears how many connections wait idle: for the metrics.
class IdleObserver {
 public:
  virtual void on_idle_added(uint32_t endpoint_index) = 0;
  virtual void on_idle_removed(uint32_t endpoint_index) = 0;

 protected:
  ~IdleObserver() = default;
};

// One address of a server, as one worker knows it. Owned by its Pool.
struct Target {
  explicit Target(const net::SocketAddress& where) : address(where) {}

  const net::SocketAddress address;
  IntrusiveList<ServerConn, &ServerConn::idle_> idle;  // the one used last in front
  // HTTP/2 ones with room for one more stream, dialling and idle ones included.
  IntrusiveList<H2Conn, &H2Conn::open_> open;
  uint32_t idle_count = 0;
  uint32_t conns = 0;                                      // dialling, idle and in use
  uint32_t users = 0;                                      // requests that use one or wait for it
  uint32_t streams_expected = limits::kH2StreamsExpected;  // of a connection whose settings are due
  // Of the last TLS session; null in the clear.
  std::shared_ptr<net::TlsTicket> ticket;
  uint64_t avoid_until_ms = 0;  // it could not be connected to: others first
  bool unwell = false;          // its checks fail: others first
  bool retired = false;         // the name means it no more: it goes with its last connection
};

class H1Conn;

class Pool {
 public:
  Pool(net::Worker& worker, IdleObserver& observer, std::shared_ptr<EndpointState> state);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Of an idle connection, of one that takes one more, or of a new one that dials (then
  // on_conn_ready() follows). `fresh`: of none that has served before, which the server may have
  // closed. REQUIRES: the server, which is one of `cluster`, has an address.
  ServerSide& lease(const Cluster& cluster, const Server& server, ConnUser& user, bool fresh);
  void end_idle();
  void end_for_good();  // at drain: what is in use ends when it is given back
  void end_all();
  bool empty() const { return live_.empty(); }

  // For connections. False: after `requests` it must not take another one.
  bool may_keep(const ServerConn& conn, uint32_t requests) const;
  // False: no connection may serve another one after so many.
  bool may_serve(uint32_t requests) const { return requests < keepalive_.requests; }
  // Nobody uses it now: kept, or ended at once if that are enough.
  void remember(ServerConn& conn, uint64_t server_idle_ms);
  // How `target` is spoken to from now on, right after the dial.
  void start_tls(Target& target, net::Stream& stream);
  // `dialled` has found that its server speaks HTTP/1.1.
  H1Conn& continue_as_h1(Target& target, const UpstreamTimeouts& timeouts,
                         std::unique_ptr<net::Stream> dialled, ConnUser& user);
  // A request that waited at a connection which has no room for it.
  void place(H2Call& call, Target& target);
  // It is idle no more: somebody uses it.
  void let_go_of_idle(ServerConn& conn);

  net::Worker& worker() { return worker_; }
  const Transport& transport() const { return *transport_; }
  EndpointState& state() { return *state_; }

 private:
  friend class ServerConn;
  void take_addresses();
  void retire(std::vector<std::unique_ptr<Target>> gone);
  void take_transport(const std::shared_ptr<const Transport>& transport);
  static H2Conn* find_dialling(Target& target);
  ServerSide& dial(Target& target, const UpstreamTimeouts& timeouts, ConnUser& user);
  H2Conn& dial_h2(Target& target, const UpstreamTimeouts& timeouts);
  Target& choose();
  // Where to dial after `failed`; null when every other address has failed of late, too.
  Target* after_failure(Target& failed);
  void move(ServerConn& conn, Target& to);
  void forget(ServerConn& conn);
  void leave(Target& target);
  void end_oldest_idle();

  net::Worker& worker_;
  IdleObserver& observer_;
  std::shared_ptr<EndpointState> state_;
  KeepaliveConfig keepalive_;
  std::shared_ptr<const Transport> transport_;
  std::string server_name_;  // for TLS
  uint64_t avoid_ms_ = 0;
  IntrusiveList<ServerConn, &ServerConn::live_> live_;
  std::vector<std::unique_ptr<Target>> targets_;  // of the version below
  std::vector<std::unique_ptr<Target>> retired_;
  uint32_t version_ = 0;  // of EndpointState::addresses()
  uint32_t turn_ = 0;     // where choose() begins
  size_t idle_count_ = 0;
  bool draining_ = false;
};

// All pools of one worker, by EndpointState::index.
class Pools {
 public:
  Pools(net::Worker& worker, IdleObserver& observer) : worker_(worker), observer_(observer) {}
  Pool& of(const Server& server);
  // A new configuration: idle connections to servers that are in none of `clusters` end, and their
  // pools with the last connection or at the next call.
  void keep_only(const std::vector<std::shared_ptr<const Cluster>>& clusters);
  void end_idle();
  void end_all();
  template <typename Visit>
  void for_each(Visit visit) {
    for (auto& pool : pools_) {
      if (pool != nullptr) visit(*pool);
    }
  }

 private:
  net::Worker& worker_;
  IdleObserver& observer_;
  std::vector<std::unique_ptr<Pool>> pools_;
};

}  // namespace weir::upstream
