// A worker with hostile filters in front of a scripted origin, and what must hold when it is over.
//
//   /h  three hostile filters            /plain  no filters
//   /k  the same, 60 ms in total         /dead   a server that nobody listens as
//                                        /nowhere  hostile filters, no way to connect
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "support/edge.h"
#include "support/h1_client.h"
#include "support/hostile_filter.h"
#include "support/scripted_origin.h"

namespace weir::test {

class HostileWorld {
 public:
  static constexpr size_t kFilters = 3;

  explicit HostileWorld(int send_buffer_bytes = 0)
      : edge_(make_snapshot(), options(send_buffer_bytes)) {}

  uint16_t port() const { return edge_.port(); }
  Edge& edge() { return edge_; }
  Probe& probe() { return probe_; }
  ScriptedOrigin& origin() { return origin_; }
  upstream::EndpointState& server() { return *cluster_->servers[0].state; }

  std::shared_ptr<const proxy::Snapshot> make_snapshot() {
    SnapshotBuilder builder;
    builder.upstream_route("/plain", cluster_);
    builder.upstream_route("/dead", dead_cluster_);
    for (const char* path : {"/h", "/k", "/nowhere"}) {
      const bool nowhere = std::string_view(path) == "/nowhere";
      proxy::Route& route = builder.upstream_route(path, nowhere ? nowhere_cluster_ : cluster_);
      for (size_t i = 0; i < kFilters; ++i) {
        route.filters.push_back(std::make_shared<HostileFactory>(probe_, i));
      }
      if (route.path == "/k") route.timeout_ms = 60;
    }
    return builder.finish();
  }

  // Drains and checks: nothing leaked, nothing was cut, every filter saw its end once.
  void finish() {
    CHECK(edge_.stop() == Leftovers());
    CHECK(server().in_flight.load() == 0);
    CHECK(dead_cluster_->servers[0].state->in_flight.load() == 0);
    CHECK(nowhere_cluster_->servers[0].state->in_flight.load() == 0);
    CHECK(probe_.fault() == "");
    CHECK(probe_.made.load() == probe_.died.load());
    CHECK(probe_.requests.load() == probe_.ends.load());
  }

 private:
  Edge::Options options(int send_buffer_bytes) {
    Edge::Options options;
    options.send_buffer_bytes = send_buffer_bytes;
    options.on_start = [this](proxy::ProxyWorker& worker) {
      probe_.attic = std::make_unique<Attic>(worker.net());
    };
    options.on_stop = [this] { probe_.attic.reset(); };
    return options;
  }
  // An address that connect(2) itself refuses.
  std::shared_ptr<upstream::Cluster> nowhere() {
    auto cluster = make_cluster(registry_, "nowhere", {9});
    cluster->servers[0].state->set_addresses({net::parse_address("255.255.255.255:9").value()});
    return cluster;
  }
  static uint16_t closed_port() { return port_of(listen_anywhere()); }

  ScriptedOrigin origin_;
  Probe probe_;
  upstream::StateRegistry registry_;
  std::shared_ptr<upstream::Cluster> cluster_ = make_cluster(registry_, "app", {origin_.port()});
  std::shared_ptr<upstream::Cluster> dead_cluster_ =
      make_cluster(registry_, "dead", {closed_port()});
  std::shared_ptr<upstream::Cluster> nowhere_cluster_ = nowhere();
  Edge edge_;
};

// Waits for something that another thread is about to do.
template <typename Holds>
bool eventually(Holds holds) {
  constexpr int kStepMs = 2;
  for (int waited_ms = 0; waited_ms < kPatienceMs; waited_ms += kStepMs) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(kStepMs));
  }
  return holds();
}

}  // namespace weir::test
