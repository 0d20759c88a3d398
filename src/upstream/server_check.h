// The active checks of one server: one probe per address, again and again, and what their results
// make of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "net/timer_wheel.h"
#include "upstream/check_probe.h"
#include "upstream/check_record.h"
#include "upstream/cluster.h"

namespace weir::upstream {

// What all checks of the process share. Outlives them.
struct CheckContext {
  net::Worker& worker;
  RandomPool random;
  uint32_t under_way = 0;  // at most limits::kChecksAtOnce

  uint64_t random_below(uint64_t bound);  // 0 for 0
};

// Owner: the CheckLoop. Thread: the Checker's. A server is down when none of its addresses is well.
class ServerCheck {
 public:
  // REQUIRES: cluster->check.
  ServerCheck(CheckContext& context, std::shared_ptr<const Cluster> cluster, size_t server);
  ~ServerCheck();  // nobody checks it any more: what the checks held against it is void
  ServerCheck(const ServerCheck&) = delete;
  ServerCheck& operator=(const ServerCheck&) = delete;

  // A new configuration that asks the same of the same server: nothing begins anew.
  bool fits(const Cluster& cluster, const Server& server) const;
  void adopt(std::shared_ptr<const Cluster> cluster, size_t server);
  // The server's name may mean other addresses by now. Often.
  void follow_addresses();

 private:
  class AddressCheck;
  // What the checks have found at an address.
  struct Found {
    CheckRecord up;
    CheckRecord quick;
    ProbeResult last;
  };
  // That left the name. It may come back at any time: many names tell a few of their addresses by
  // turns.
  struct Left {
    net::SocketAddress address;
    Found found;
    uint64_t at_ms;
  };
  const Server& server() const { return cluster_->servers[server_]; }
  EndpointState& state() const { return *server().state; }
  Found recall(const net::SocketAddress& address);
  void remember(const AddressCheck& gone);
  void judge();
  void set_up(bool up, const std::string& why);
  void set_degraded(bool degraded, const std::string& why);

  CheckContext& context_;
  std::shared_ptr<const Cluster> cluster_;
  size_t server_;
  std::vector<std::unique_ptr<AddressCheck>> addresses_;  // of the version below
  uint32_t version_ = 0;
  std::vector<Left> left_;  // who left first at the front
  CheckReport report_;
};

}  // namespace weir::upstream
