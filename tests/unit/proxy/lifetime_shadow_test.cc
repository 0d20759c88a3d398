// Copies for a mirror while clients, servers and the mirror do their worst, configurations change
// and the worker ends: every place, block and snapshot comes back.
#include <catch2/catch.hpp>

#include <memory>
#include <random>
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
using test::Leftovers;
using test::make_cluster;
using test::SnapshotBuilder;
using test::Socket;

class MirrorWorld {
 public:
  MirrorWorld() { edge_ = std::make_unique<Edge>(snapshot(200)); }

  std::shared_ptr<const proxy::Snapshot> snapshot(uint64_t timeout_ms) {
    auto mirror = std::make_shared<proxy::Mirror>();
    mirror->cluster = shadow_;
    mirror->timeout_ms = timeout_ms;
    mirror->max_body_bytes = 40'000;
    SnapshotBuilder builder;
    builder.snapshot().mirrors = true;
    builder.snapshot().clusters = {real_, shadow_};
    builder.upstream_route("/", real_).mirror = std::move(mirror);
    return builder.finish();
  }
  Edge& edge() { return *edge_; }

  // Of both servers' requests, each does what `script` says; `sent` bytes of `length` are sent.
  Socket ask(const std::string& script, size_t length, size_t sent) {
    Socket client = test::connect_to(edge_->port());
    client.send("PUT /x HTTP/1.1\r\nHost: a\r\nX-Script: " + script + "\r\nContent-Length: " +
                std::to_string(length) + "\r\n\r\n" + std::string(sent, 'b'));
    return client;
  }
  uint64_t counted() {
    uint64_t sum = 0;
    edge_->metrics().mirror_requests.for_each([&sum](uint64_t, uint64_t value) { sum += value; });
    return sum;
  }
  uint64_t in_flight() const {
    return real_->servers[0].state->in_flight.load() + shadow_->servers[0].state->in_flight.load();
  }
  void finish(uint64_t grace_ms = 10'000) {
    Leftovers left = edge_->stop(grace_ms);
    left.cut = false;
    CHECK(left == Leftovers());
    CHECK(in_flight() == 0);
    edge_.reset();  // ~ProxyWorker: no snapshot is pinned
  }

 private:
  test::ScriptedOrigin real_origin_;
  test::ScriptedOrigin shadow_origin_;
  upstream::StateRegistry registry_;
  std::shared_ptr<upstream::Cluster> real_ = make_cluster(registry_, "real", {real_origin_.port()});
  std::shared_ptr<upstream::Cluster> shadow_ =
      make_cluster(registry_, "shadow", {shadow_origin_.port()});
  std::unique_ptr<Edge> edge_;
};

const char* const kScripts[] = {
    "kind=chunked; read=all", "kind=close; read=all",         "kind=interim; read=all",
    "kind=big; read=all",     "kind=garbage; read=all",       "kind=upgrade; read=all",
    "kind=big; cut=9000",     "kind=length; cut=0; end=rst",  "kind=chunked; cut=70; end=fin",
    "kind=none; read=all",    "kind=length; cut=50; end=rst", "kind=big; read=all; step=3000",
};

TEST_CASE("copies of requests whose three sides fail at will", "[threads]") {
  MirrorWorld world;
  std::minstd_rand random(7);
  for (int round = 0; round < 150; ++round) {
    std::vector<Socket> clients;
    for (int i = 0; i < 4; ++i) {
      const size_t length = random() % 3 == 0 ? random() % 60'000 : random() % 300;
      const size_t sent = random() % 4 == 0 ? random() % (length + 1) : length;
      clients.push_back(world.ask(kScripts[random() % std::size(kScripts)], length, sent));
    }
    for (Socket& client : clients) {
      if (random() % 2 == 0) client.receive(20, 5);
      if (random() % 2 == 0) client.reset();
      client.close();
    }
    if (round % 20 == 19) world.edge().publish(world.snapshot(round % 40 == 19 ? 5 : 200));
  }
  CHECK(eventually([&] { return world.in_flight() == 0; }));
  CHECK(world.counted() > 0);
  world.finish();
}

TEST_CASE("the worker ends while copies are under way", "[threads]") {
  for (const uint64_t grace_ms : {1, 10'000}) {
    MirrorWorld world;
    world.edge().publish(world.snapshot(60'000));
    std::vector<Socket> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(world.ask("kind=big; read=all", 50, 50));
    for (int i = 0; i < 10; ++i) clients.push_back(world.ask("kind=length; read=all", 9000, 100));
    CHECK(eventually([&] { return world.in_flight() > 0; }));
    if (grace_ms > 1) {
      for (Socket& client : clients) client.close();
    }
    world.finish(grace_ms);
  }
}

TEST_CASE("where memory is scarce real requests have it for themselves", "[threads]") {
  MirrorWorld world;
  constexpr size_t kHalf = 4 << 20;
  BlockBudget::charge(kHalf);
  BlockBudget::set_limit_bytes(2 * kHalf);
  Socket client = world.ask("kind=length; read=all", 5, 5);
  CHECK(client.receive(12, test::kPatienceMs) == "HTTP/1.1 200");
  client.close();
  CHECK(eventually([&] { return world.counted() == 1; }));
  world.edge().metrics().mirror_requests.for_each([](uint64_t key, uint64_t) {
    CHECK(proxy::Metrics::unpack_mirror(key).result == proxy::MirrorResult::kSkipped);
  });
  BlockBudget::refund(kHalf);
  BlockBudget::set_limit_bytes(512u << 20);
  world.finish();
}

}  // namespace
}  // namespace weir
