// Requests of weir's own that a filter waits for, while clients leave, servers do their worst,
// configurations change and the worker ends.
#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "net/worker.h"
#include "proxy/fetch.h"
#include "support/edge.h"
#include "support/h1_client.h"
#include "support/hostile_world.h"
#include "support/scripted_origin.h"

namespace weir {
namespace {

using test::Answer;
using test::Edge;
using test::eventually;
using test::get;
using test::Leftovers;
using test::make_cluster;
using test::SnapshotBuilder;
using test::Socket;

constexpr size_t kBodyMax = 100'000;

struct Told {
  std::atomic<uint64_t> heads{0};
  std::atomic<uint64_t> bodies{0};
  std::atomic<uint64_t> failures{0};
};

// Asks another server, which does what the request's X-Ask says. With X-Want the answer is the
// client's, else the request goes on as soon as its head is here.
class Asker final : public proxy::Filter, public proxy::Fetch::User {
 public:
  Asker(const proxy::Route& route, Told& told) : route_(route), told_(told) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& head) override {
    const http::Header* const script = head.headers.find("X-Ask");
    if (script == nullptr) return proxy::Next{};
    wants_body_ = head.headers.find("X-Want") != nullptr;
    auto [parked, resume] = context.park();
    wait_.emplace(std::move(resume), context.exchange(), route_, *this);
    wait_->fetch.request().headers.add("X-Script", script->value);
    wait_->fetch.start();
    return parked;
  }
  void on_end(const proxy::Summary&) noexcept override {
    if (wait_) wait_->fetch.cancel();
    ended_ = true;
  }

  bool on_fetch_head(const http::ResponseHead& head) override {
    CHECK_FALSE(ended_);
    ++told_.heads;
    if (!wants_body_) std::move(wait_->resume).next();
    status_ = head.status;
    return wants_body_;
  }
  void on_fetched(const http::ResponseHead& head, const Buffer& body) override {
    CHECK_FALSE(ended_);
    CHECK(head.status == status_);
    ++told_.bodies;
    std::move(wait_->resume).reply({418, {{"X-Status", std::to_string(status_)}}, body.text(), ""});
  }
  void on_fetch_failed(const Error& error) override {
    CHECK_FALSE(ended_);
    ++told_.failures;
    std::move(wait_->resume)
        .reply({503, {{"X-Kind", std::string(proxy::kind_word(error.kind))}}, {}, ""});
  }

 private:
  struct Wait {
    Wait(proxy::Resume token, proxy::Exchange& exchange, const proxy::Route& route, Asker& asker)
        : resume(std::move(token)), fetch(exchange, route, kBodyMax, asker) {}
    proxy::Resume resume;
    proxy::Fetch fetch;
  };
  const proxy::Route& route_;
  Told& told_;
  std::optional<Wait> wait_;
  bool wants_body_ = false;
  bool ended_ = false;
  int status_ = 0;
};

class AskerFactory final : public proxy::FilterFactory {
 public:
  AskerFactory(std::shared_ptr<const upstream::Cluster> cluster, uint64_t timeout_ms, Told& told)
      : told_(told) {
    route_.cluster = std::move(cluster);
    route_.timeout_ms = timeout_ms;
  }
  std::string_view name() const override { return "asker"; }
  proxy::Filter* create(Arena& arena) const override { return arena.make<Asker>(route_, told_); }

 private:
  proxy::Route route_;
  Told& told_;
};

class FetchWorld {
 public:
  FetchWorld() { edge_ = std::make_unique<Edge>(snapshot(500)); }

  std::shared_ptr<const proxy::Snapshot> snapshot(uint64_t timeout_ms) {
    SnapshotBuilder builder;
    builder.snapshot().clusters = {real_, asked_};
    builder.upstream_route("/", real_).filters = {
        std::make_shared<AskerFactory>(asked_, timeout_ms, told_)};
    return builder.finish();
  }
  Edge& edge() { return *edge_; }
  Told& told() { return told_; }
  upstream::Cluster& asked() { return *asked_; }
  test::ScriptedOrigin& asked_origin() { return asked_origin_; }
  test::ScriptedOrigin& real_origin() { return real_origin_; }
  Answer ask(const std::string& script, bool want) {
    return test::ask(edge_->port(), get("/", fields(script, want)));
  }
  Socket begin(const std::string& script, bool want) {
    Socket client = test::connect_to(edge_->port());
    client.send(get("/", fields(script, want)));
    return client;
  }
  uint64_t in_flight() const {
    return real_->servers[0].state->in_flight.load() + asked_->servers[0].state->in_flight.load();
  }
  void finish(uint64_t grace_ms = 10'000) {
    Leftovers left = edge_->stop(grace_ms);
    left.cut = false;
    CHECK(left == Leftovers());
    CHECK(in_flight() == 0);
    edge_.reset();  // ~ProxyWorker: no snapshot is pinned
  }

 private:
  static std::string fields(const std::string& script, bool want) {
    return "X-Ask: " + script + "\r\n" + (want ? "X-Want: 1\r\n" : "");
  }

  Told told_;
  test::ScriptedOrigin real_origin_;
  test::ScriptedOrigin asked_origin_;
  upstream::StateRegistry registry_;
  std::shared_ptr<upstream::Cluster> real_ = make_cluster(registry_, "real", {real_origin_.port()});
  std::shared_ptr<upstream::Cluster> asked_ =
      make_cluster(registry_, "asked", {asked_origin_.port()});
  std::unique_ptr<Edge> edge_;
};

struct Row {
  std::string script;
  std::string kind;  // of the failure; empty: none
  int status;        // of the answer, if it is whole
  std::string body;
};

TEST_CASE("whoever waits for a fetch hears how it ends", "[threads]") {
  const Row rows[] = {
      {"kind=length", "", 200, "hello world"},
      {"kind=chunked; step=3", "", 200, "hello world"},
      {"kind=close", "", 200, "hello world"},
      {"kind=interim", "", 200, "hello world"},
      {"kind=none", "", 204, ""},
      {"kind=big", "too_large", 0, ""},
      {"kind=garbage", "malformed", 0, ""},
      {"kind=upgrade", "malformed", 0, ""},
      {"kind=length; cut=0", "reset", 0, ""},
      {"kind=length; cut=20; end=rst", "reset", 0, ""},
      {"kind=length; cut=52", "reset", 0, ""},
      {"kind=big; cut=9000; end=rst", "reset", 0, ""},
  };
  FetchWorld world;
  for (const Row& row : rows) {
    CAPTURE(row.script);
    const Answer answer = world.ask(row.script, true);
    REQUIRE(answer.complete);
    CHECK(answer.status == (row.kind.empty() ? 418 : 503));
    CHECK(answer.field("x-kind") == row.kind);
    if (!row.kind.empty()) continue;
    CHECK(answer.field("x-status") == std::to_string(row.status));
    if (!row.body.empty()) CHECK(answer.body == row.body);
  }
  CHECK(world.real_origin().requests() == 0);
  CHECK(world.edge().metrics().requests_in_flight.value() == 0);
  world.finish();
}

TEST_CASE("a fetch whose head is enough keeps nobody waiting for its body", "[threads]") {
  FetchWorld world;
  for (const char* script : {"kind=length", "kind=chunked; step=1", "kind=big",
                             "kind=big; cut=9000", "kind=none", "kind=length; cut=52; end=rst"}) {
    CAPTURE(script);
    CHECK(world.ask(script, false).status == 200);
  }
  CHECK(world.real_origin().requests() == 6);
  CHECK(world.told().failures == 0);
  CHECK(eventually([&] { return world.in_flight() == 0; }));
  world.finish();
}

TEST_CASE("a fetch is counted, in its upstream's numbers alone") {
  FetchWorld world;
  world.ask("kind=length", false);
  world.ask("kind=length", true);
  uint64_t at_servers = 0;
  uint64_t of_clients = 0;
  const proxy::Metrics& metrics = world.edge().metrics();
  metrics.upstream_requests.for_each([&](uint64_t, uint64_t value) { at_servers += value; });
  metrics.requests.for_each([&](uint64_t, uint64_t value) { of_clients += value; });
  CHECK(at_servers == 3);  // two fetches, one request
  CHECK(of_clients == 2);
  world.finish();
}

TEST_CASE("a fetch waits in its upstream's queue, no longer than its own time", "[threads]") {
  FetchWorld world;
  upstream::Cluster& asked = world.asked();
  asked.breaker = {true, false, 1, 100, 60'000};
  world.edge().publish(world.snapshot(300));
  upstream::Gate& gate = asked.state->gate;
  CHECK(gate.enter());  // the only place
  Socket waits = world.begin("kind=length", true);
  CHECK(eventually([&] { return gate.pending() == 1; }));
  gate.leave();
  CHECK(waits.receive(12, test::kPatienceMs) == "HTTP/1.1 418");
  CHECK(eventually([&] { return gate.enter(); }));
  const Answer late = world.ask("kind=length", true);
  CHECK(late.field("x-kind") == "timeout");
  Socket leaves = world.begin("kind=length", true);
  CHECK(eventually([&] { return gate.pending() == 1; }));
  leaves.close();
  CHECK(eventually([&] { return gate.pending() == 0; }));
  gate.leave();
  world.finish();
}

const char* const kScripts[] = {
    "kind=chunked", "kind=close",           "kind=interim",           "kind=big",
    "kind=garbage", "kind=upgrade",         "kind=big; cut=9000",     "kind=length; cut=0; end=rst",
    "kind=none",    "kind=chunked; cut=70", "kind=length; read=head", "kind=big; step=3000",
};

TEST_CASE("fetches while everybody leaves at will", "[threads]") {
  FetchWorld world;
  std::minstd_rand random(11);
  for (int round = 0; round < 150; ++round) {
    std::vector<Socket> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(world.begin(kScripts[random() % std::size(kScripts)], random() % 2 == 0));
    }
    for (Socket& client : clients) {
      if (random() % 2 == 0) client.receive(20, 5);
      if (random() % 2 == 0) client.reset();
      client.close();
    }
    if (round % 20 == 19) world.edge().publish(world.snapshot(round % 40 == 19 ? 5 : 500));
  }
  CHECK(eventually([&] { return world.in_flight() == 0; }));
  CHECK(world.told().heads > 0);
  CHECK(world.told().bodies > 0);
  CHECK(world.told().failures > 0);
  world.finish();
}

TEST_CASE("the worker ends while fetches are under way", "[threads]") {
  FetchWorld world;
  world.edge().publish(world.snapshot(60'000));
  // A server that never answers.
  const Socket silent = test::listen_anywhere();
  auto& state = *world.asked().servers[0].state;
  state.set_addresses({net::parse_address("127.0.0.1:" + std::to_string(port_of(silent))).value()});
  std::vector<Socket> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(world.begin("kind=length", i % 2 == 0));
  CHECK(eventually([&] { return world.in_flight() == 10; }));
  world.finish(1);
}

}  // namespace
}  // namespace weir
