// A cluster of servers that exist by name only, and one worker's balancer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "upstream/balancer.h"

namespace weir::upstream::test {

constexpr uint64_t kNow = 1'000'000;

class World {
 public:
  explicit World(Balance balance) { cluster_.balance = balance; }
  // References are good until the next one is added.
  Server& add(const std::string& name, uint32_t weight = 1) {
    Server server;
    server.address = name;
    server.weight = weight;
    server.state = registry_.endpoint("app", name);
    server.state->set_addresses({net::parse_address("127.0.0.1:9").value()});
    cluster_.servers.push_back(std::move(server));
    return cluster_.servers.back();
  }
  Cluster& cluster() { return cluster_; }
  Server& server(size_t index) { return cluster_.servers[index]; }
  uint32_t in_flight(size_t index) { return server(index).state->in_flight.load(); }
  void forget_address(size_t index) {
    server(index).state = std::make_shared<EndpointState>("app", server(index).address, 99);
  }

  // The name of the chosen one, "" for nobody, "full" for nobody with room; its in-flight count
  // stays raised.
  std::string pick(uint64_t now_ms = kNow, const Server* avoid = nullptr,
                   std::optional<uint64_t> hash = std::nullopt) {
    const Pick pick = pick_without(now_ms, avoid, hash);
    if (pick.server == nullptr) return pick.full ? "full" : "";
    return pick.server->address;
  }
  Pick pick_wish(const Wish& wish) { return balancer_.pick(cluster_, kNow, wish); }
  Pick pick_whole(uint64_t now_ms = kNow) { return balancer_.pick(cluster_, now_ms, {}); }
  // All of these have failed the request.
  Pick pick_after(const std::vector<size_t>& tried) {
    std::vector<const Server*> servers;
    for (const size_t index : tried) servers.push_back(&server(index));
    return balancer_.pick(cluster_, kNow, {servers});
  }
  std::string pick_and_release(uint64_t now_ms = kNow, const Server* avoid = nullptr,
                               std::optional<uint64_t> hash = std::nullopt) {
    const Pick pick = pick_without(now_ms, avoid, hash);
    if (pick.server == nullptr) return pick.full ? "full" : "";
    Balancer::release(*pick.server);
    return pick.server->address;
  }

 private:
  Pick pick_without(uint64_t now_ms, const Server* avoid, std::optional<uint64_t> hash) {
    Wish wish{{}, hash};
    if (avoid != nullptr) wish.tried = {&avoid, 1};
    return balancer_.pick(cluster_, now_ms, wish);
  }

  StateRegistry registry_;
  Cluster cluster_;
  Balancer balancer_;
};

}  // namespace weir::upstream::test
