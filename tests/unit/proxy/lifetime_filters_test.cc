// What filters may do to an exchange, and what must become of it.
#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "support/hostile_world.h"

namespace weir {
namespace {

using test::Answer;
using test::AnswerReader;
using test::ask;
using test::eventually;
using test::get;
using test::HostileWorld;
using test::Socket;

constexpr std::string_view kDeeds = "nrijtudkabmvw";

// What a deed makes of an exchange: 0 goes on, else the status of its reply.
int outcome(char deed) {
  switch (deed) {
    case 'r':
    case 'j':
    case 'u':
    case 'w': return 418;
    case 'd':
    case 'b': return 500;
    case 'k': return 504;
    default: return 0;
  }
}

std::string hostile(std::string_view plan, std::string_view id = "1") {
  return "X-Hostile: " + std::string(plan) + "\r\nX-Id: " + std::string(id) + "\r\n";
}

TEST_CASE("every deed of a filter on a request and on its answer has its outcome", "[threads]") {
  HostileWorld world;
  for (const char on_request : kDeeds) {
    for (const char on_response : kDeeds) {
      const std::string deeds = {on_request, on_response};
      CAPTURE(deeds);
      const bool slow = deeds.find('k') != std::string::npos;
      // The one in the middle, so that there are filters on both sides of it.
      const Answer answer =
          ask(world.port(), get(slow ? "/k" : "/h", hostile("nn " + deeds + " nn", deeds)));
      const int first = outcome(on_request);
      const int second = outcome(on_response);
      if (second == 504 && first != 0) {
        CHECK(answer.status == 0);  // a second failure of weir's own answer: cut
        continue;
      }
      const int expected = second != 0 ? second : first != 0 ? first : 200;
      CHECK(answer.status == expected);
      CHECK(answer.complete);
      if (expected == 200 || expected == 418) CHECK(answer.field("x-id") == deeds);
      // The outer filter sees each answer, the inner one only what came through the middle.
      CHECK(answer.field("x-filter-0") == "1");
      CHECK(answer.field("x-filter-2") == (expected == 200 ? "1" : ""));
    }
  }
  world.finish();
}

TEST_CASE("each try edits a head of its own, each filter hears of it", "[threads]") {
  HostileWorld world;
  // The server ends the connection before a byte of the answer: tried again, once.
  const Answer answer = ask(world.port(), get("/h", "X-Script: cut=0\r\n"));
  CHECK(answer.status == 502);
  CHECK(world.probe().attempts.load() == 2 * HostileWorld::kFilters);
  CHECK(world.probe().requests.load() == HostileWorld::kFilters);
  CHECK(world.origin().requests() == 2);
  world.finish();
}

// A filter whose tokens the test fires itself.
struct Held {
  std::mutex mutex;
  std::vector<proxy::Resume> tokens;  // the worker's thread
  std::vector<Id> ids;                // under the mutex

  size_t count() {
    const std::lock_guard lock(mutex);
    return ids.size();
  }
};

class HoldingFactory final : public proxy::FilterFactory {
 public:
  HoldingFactory(Held& held, bool on_response) : held_(held), on_response_(on_response) {}
  std::string_view name() const override { return "holding"; }
  proxy::Filter* create(Arena& arena) const override { return arena.make<Holding>(*this); }

 private:
  class Holding final : public proxy::Filter {
   public:
    explicit Holding(const HoldingFactory& factory) : factory_(factory) {}
    proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead&) override {
      return factory_.on_response_ ? proxy::Verdict(proxy::Next{}) : hold(context);
    }
    proxy::Verdict on_response(proxy::FilterContext& context, http::ResponseHead&) override {
      return factory_.on_response_ ? hold(context) : proxy::Verdict(proxy::Next{});
    }

   private:
    proxy::Verdict hold(proxy::FilterContext& context) {
      auto [parked, token] = context.park();
      factory_.held_.tokens.push_back(std::move(token));
      const std::lock_guard lock(factory_.held_.mutex);
      factory_.held_.ids.push_back(context.exchange().id());
      return parked;
    }
    const HoldingFactory& factory_;
  };
  Held& held_;
  const bool on_response_;
};

// A worker whose only filter hands its tokens to the test.
class HoldingWorld {
 public:
  explicit HoldingWorld(bool on_response) : edge_(make_snapshot(on_response), options()) {}
  uint16_t port() const { return edge_.port(); }
  Held& held() { return held_; }
  test::Edge& edge() { return edge_; }
  void fire(size_t index) {
    edge_.on_worker([&](proxy::ProxyWorker&) { std::move(held_.tokens[index]).next(); });
  }
  uint32_t server_in_flight() { return cluster_->servers[0].state->in_flight.load(); }

 private:
  std::shared_ptr<const proxy::Snapshot> make_snapshot(bool on_response) {
    test::SnapshotBuilder builder;
    builder.upstream_route("/", cluster_)
        .filters.push_back(std::make_shared<HoldingFactory>(held_, on_response));
    return builder.finish();
  }
  test::Edge::Options options() {
    test::Edge::Options options;
    options.on_stop = [this] { held_.tokens.clear(); };
    return options;
  }

  test::ScriptedOrigin origin_;
  upstream::StateRegistry registry_;
  std::shared_ptr<upstream::Cluster> cluster_ =
      test::make_cluster(registry_, "app", {origin_.port()});
  Held held_;
  test::Edge edge_;
};

TEST_CASE("a token of a dead exchange does not touch the one that took its slot", "[threads]") {
  HoldingWorld world(false);
  Socket gone = test::connect_to(world.port());
  gone.send(get("/"));
  REQUIRE(eventually([&] { return world.held().count() == 1; }));
  gone.reset();
  REQUIRE(eventually([&] { return world.edge().metrics().requests_in_flight.value() == 0; }));

  Socket client = test::connect_to(world.port());
  client.send(get("/"));
  REQUIRE(eventually([&] { return world.held().count() == 2; }));
  const Id dead = world.held().ids[0];
  const Id alive = world.held().ids[1];
  REQUIRE(dead.slot == alive.slot);  // the case that generations are for
  CHECK(dead.generation != alive.generation);

  world.fire(0);
  world.edge().on_worker([&](proxy::ProxyWorker& worker) {
    CHECK(worker.exchanges().find(dead) == nullptr);
    CHECK(worker.exchanges().find(alive) != nullptr);
  });
  CHECK(client.receive(1, 50).empty());  // still parked
  world.fire(1);
  CHECK(AnswerReader(client).next().status == 200);
  client.close();
  CHECK(world.edge().stop() == test::Leftovers());
}

TEST_CASE("a parked answer waits, however much of its body has come", "[threads]") {
  for (const char* kind : {"length", "chunked", "big", "close", "none"}) {
    CAPTURE(kind);
    HoldingWorld world(true);
    Socket client = test::connect_to(world.port());
    client.send(get("/", "X-Script: kind=" + std::string(kind) + "\r\n"));
    REQUIRE(eventually([&] { return world.held().count() == 1; }));
    CHECK(client.receive(1, 50).empty());
    world.edge().on_worker([&](proxy::ProxyWorker& worker) {
      // Held bytes are bounded: the limit, and one read more.
      const size_t most = worker.hold_bytes() + net::Worker::kReadBufferBytes;
      CHECK(worker.net().blocks().in_use() <= most / Block::capacity() + 4);
    });
    world.fire(0);
    const Answer answer = AnswerReader(client).next();
    CHECK(answer.status == (std::string_view(kind) == "none" ? 204 : 200));
    CHECK(answer.complete);
    if (std::string_view(kind) == "big") CHECK(answer.body.size() == test::kBigBytes);
    client.close();
    CHECK(world.edge().stop() == test::Leftovers());
  }
}

TEST_CASE("a server that dies while its answer is parked is a 502", "[threads]") {
  HoldingWorld world(true);
  Socket client = test::connect_to(world.port());
  client.send(get("/", "X-Script: kind=big; cut=1000; end=rst\r\n"));
  CHECK(AnswerReader(client).next().status == 502);
  world.fire(0);  // of an epoch that is over
  client.close();
  CHECK(world.edge().stop() == test::Leftovers());
  CHECK(world.server_in_flight() == 0);
}

TEST_CASE("a parked 101 waits, and what the server sends behind it is bounded", "[threads]") {
  HoldingWorld world(true);
  Socket listener = test::listen_anywhere();
  upstream::StateRegistry registry;
  test::SnapshotBuilder builder;
  builder.upstream_route("/", test::make_cluster(registry, "ws", {port_of(listener)}))
      .filters.push_back(std::make_shared<HoldingFactory>(world.held(), true));
  world.edge().publish(builder.finish());

  Socket client = test::connect_to(world.port());
  client.send(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  Socket server = test::accept_from(listener);
  REQUIRE(server.receive_until("\r\n\r\n").starts_with("GET / "));
  server.send(test::canned("upgrade", "1"));
  REQUIRE(eventually([&] { return world.held().count() == 1; }));
  constexpr size_t kFloodBytes = size_t{16} << 20;
  std::thread flood([&] { server.send(std::string(kFloodBytes, 'f')); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  world.edge().on_worker([&](proxy::ProxyWorker& worker) {
    const size_t most = worker.hold_bytes() + net::Worker::kReadBufferBytes;
    CHECK(worker.net().blocks().in_use() <= most / Block::capacity() + 4);
  });
  CHECK(client.receive(1, 20).empty());
  world.fire(0);
  AnswerReader reader(client);
  CHECK(reader.next().status == 101);
  const size_t early = reader.rest().size();
  CHECK(early + client.receive_exactly(kFloodBytes - early).size() == kFloodBytes);
  flood.join();
  client.close();
  server.close();
  CHECK(world.edge().stop() == test::Leftovers());
}

// A filter's last act may be to let go of somebody else's exchange.
TEST_CASE("a token that dies with another exchange's filter still resumes its own", "[threads]") {
  HoldingWorld world(false);
  Socket client = test::connect_to(world.port());
  client.send(get("/"));
  REQUIRE(eventually([&] { return world.held().count() == 1; }));

  class Heir final : public net::Mortal {
   public:
    explicit Heir(proxy::Resume token) : token_(std::move(token)) {}

   private:
    proxy::Resume token_;
  };
  // Reaped after the turn's deferred work has run: what its destructor defers must not be lost.
  world.edge().on_worker([&](proxy::ProxyWorker& worker) {
    worker.net().bury(std::make_unique<Heir>(std::move(world.held().tokens[0])));
  });
  constexpr int kSoonMs = 2'000;  // well before any timer of the connection opens a turn
  const std::string answer = client.receive(65'536, kSoonMs);
  CHECK(answer.starts_with("HTTP/1.1 500"));
  CHECK(answer.find("Proxy-Status: weir; error=proxy_internal_error\r\n") != std::string::npos);
  client.close();
  CHECK(world.edge().stop() == test::Leftovers());
}

}  // namespace
}  // namespace weir
