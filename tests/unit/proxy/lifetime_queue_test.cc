// Requests that wait for a place while clients leave, limits change, time runs out and the worker
// ends: every place comes back, nobody stays in a queue.
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

#include "support/edge.h"
#include "support/h1_client.h"
#include "support/hostile_world.h"
#include "support/scripted_origin.h"

namespace weir {
namespace {

using test::Edge;
using test::eventually;
using test::get;
using test::Leftovers;
using test::make_cluster;
using test::SnapshotBuilder;
using test::Socket;

class QueueWorld {
 public:
  QueueWorld() { edge_ = std::make_unique<Edge>(snapshot(1, 60'000)); }

  std::shared_ptr<const proxy::Snapshot> snapshot(uint32_t places, uint64_t timeout_ms) {
    auto cluster = make_cluster(registry_, "app", {origin_.port()});
    cluster->breaker.on = true;
    cluster->breaker.max_connections = places;
    cluster->breaker.max_pending = 1000;
    cluster->breaker.pending_timeout_ms = timeout_ms;
    SnapshotBuilder builder;
    builder.snapshot().clusters.push_back(cluster);  // limits are taken from there
    builder.upstream_route("/", std::move(cluster));
    return builder.finish();
  }
  Edge& edge() { return *edge_; }
  upstream::Gate& gate() { return registry_.cluster("app")->gate; }
  Socket ask() {
    Socket client = test::connect_to(edge_->port());
    client.send(get("/"));
    return client;
  }
  // Takes the only place until it leaves.
  Socket take_place() {
    Socket client = test::connect_to(edge_->port());  // its body never comes
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    CHECK(eventually([&] { return gate().in_flight() == 1; }));
    return client;
  }
  bool waiting(uint32_t count) {
    return eventually([&] { return gate().pending() == count; });
  }
  void finish(bool cut = false) {
    Leftovers left = edge_->stop(cut ? 1 : 10'000);
    CHECK(left.cut == cut);
    left.cut = false;
    CHECK(left == Leftovers());
    CHECK(gate().in_flight() == 0);
    CHECK(gate().pending() == 0);
  }

 private:
  test::ScriptedOrigin origin_;
  upstream::StateRegistry registry_;
  std::unique_ptr<Edge> edge_;
};

TEST_CASE("clients leave the queue from every place in it", "[threads]") {
  QueueWorld world;
  Socket holder = world.take_place();
  for (int round = 0; round < 20; ++round) {
    std::vector<Socket> clients;
    for (int i = 0; i < 7; ++i) clients.push_back(world.ask());
    CHECK(world.waiting(7));
    for (int i = 0; i < 7; ++i) clients[static_cast<size_t>((i * (round % 6 + 1)) % 7)].reset();
    CHECK(world.waiting(0));
  }
  holder.close();
  world.finish();
}

TEST_CASE("clients leave while places become free", "[threads]") {
  QueueWorld world;
  for (int round = 0; round < 30; ++round) {
    Socket holder = world.take_place();
    std::vector<Socket> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(world.ask());
    CHECK(world.waiting(10));
    holder.close();
    for (size_t i = 0; i < clients.size(); i += 2) clients[i].close();
    for (size_t i = 1; i < clients.size(); i += 2) {
      CHECK(clients[i].receive(12, test::kPatienceMs) == "HTTP/1.1 200");
      clients[i].close();
    }
    CHECK(eventually([&] { return world.gate().in_flight() == 0; }));
  }
  world.finish();
}

TEST_CASE("limits change under those that wait", "[threads]") {
  QueueWorld world;
  Socket holder = world.take_place();
  std::vector<Socket> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(world.ask());
  CHECK(world.waiting(40));
  world.edge().publish(world.snapshot(5, 60'000));
  for (Socket& client : clients) {
    CHECK(client.receive(12, test::kPatienceMs) == "HTTP/1.1 200");
    client.close();
  }
  holder.close();
  world.finish();
}

TEST_CASE("time runs out for all that wait at once", "[threads]") {
  QueueWorld world;
  world.edge().publish(world.snapshot(1, 50));
  Socket holder = world.take_place();
  std::vector<Socket> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(world.ask());
  for (Socket& client : clients) {
    CHECK(client.receive(12, test::kPatienceMs) == "HTTP/1.1 503");
    client.close();
  }
  holder.close();
  world.finish();
}

TEST_CASE("the worker is cut while requests wait", "[threads]") {
  QueueWorld world;
  Socket holder = world.take_place();
  std::vector<Socket> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(world.ask());
  CHECK(world.waiting(20));
  world.finish(true);
  for (Socket& client : clients) client.close();
  holder.close();
}

}  // namespace
}  // namespace weir
