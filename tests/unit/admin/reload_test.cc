// /reload on a real worker: a POST waits for a main thread that the test plays.
#include "admin/reload.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <string>
#include <thread>

#include "admin/admin.h"
#include "fake_source.h"
#include "support/edge.h"
#include "support/h1_client.h"

namespace weir::admin {
namespace {

using proxy::ReloadReceipt;
using test::Answer;

std::shared_ptr<const proxy::Snapshot> pages(FakeSource& source, const std::string& token) {
  proxy::AdminConfig config;
  config.address = net::parse_address("127.0.0.1:0").value();
  config.token = token;
  return make_admin_snapshot(source, config);
}

// A worker with the admin's pages.
class World {
 public:
  explicit World(const std::string& token = "") : edge_(pages(source, token)) {}
  ~World() { CHECK(edge_.stop() == expected); }

  // A request under way, on a connection of its own.
  test::Socket send(const std::string& method, const std::string& fields = "") {
    test::Socket socket = test::connect_to(edge_.port());
    socket.send(method + " /reload HTTP/1.1\r\nHost: 127.0.0.1\r\n" + fields + "\r\n");
    return socket;
  }
  // The same, and its answer.
  Answer ask(const std::string& method, const std::string& fields = "") {
    test::Socket socket = send(method, fields);
    return test::AnswerReader(socket).next(method == "HEAD");
  }
  bool asked(uint64_t times) {
    for (int i = 0; i < test::kPatienceMs && source.reloads_asked_for() < times; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return source.reloads_asked_for() == times;
  }
  test::Edge& edge() { return edge_; }

  FakeSource source;
  test::Leftovers expected;  // in the end

 private:
  test::Edge edge_;
};

TEST_CASE("reload: a POST is answered when the reload is over, with its receipt", "[threads]") {
  World world;
  test::Socket waiting = world.send("POST");
  REQUIRE(world.asked(1));
  world.source.publish({.number = 7, .cause = "signal"}, 0);  // an earlier one
  ReloadReceipt receipt = {.number = 8, .ended_unix_ms = 1'700'000'000'123, .cause = "admin"};
  receipt.warnings = {"w"};
  receipt.changes[static_cast<size_t>(proxy::Part::kServers)].added = {"app/10.0.0.1:80"};
  world.source.publish(receipt, 1);
  const Answer answer = test::AnswerReader(waiting).next();
  CHECK(answer.status == 200);
  CHECK(answer.field("content-type") == "application/json");
  CHECK(answer.field("cache-control") == "no-store");
  const Json json = Json::parse(answer.body);
  CHECK(json["number"] == 8);
  CHECK(json["time"] == "2023-11-14T22:13:20.123Z");
  CHECK(json["cause"] == "admin");
  CHECK(json["ok"] == true);
  CHECK(json["errors"] == Json::array());
  CHECK(json["warnings"] == Json::array({"w"}));
  CHECK(json["changes"]["servers"]["added"] == Json::array({"app/10.0.0.1:80"}));
  CHECK(json["changes"]["routes"]["removed"] == Json::array());
  CHECK(world.ask("GET").body == answer.body);
  CHECK(world.ask("HEAD").status == 200);
  CHECK(world.source.reloads_asked_for() == 1);
}

TEST_CASE("reload: errors are a 422, for all that waited for this one", "[threads]") {
  World world;
  test::Socket first = world.send("POST");
  REQUIRE(world.asked(1));
  test::Socket second = world.send("POST");
  REQUIRE(world.asked(2));
  world.source.publish({.number = 2, .errors = {"weir.yaml:1:1: x: unknown key"}}, 2);
  for (test::Socket* socket : {&first, &second}) {
    const Answer answer = test::AnswerReader(*socket).next();
    CHECK(answer.status == 422);
    CHECK(Json::parse(answer.body)["ok"] == false);
    CHECK(Json::parse(answer.body)["errors"][0] == "weir.yaml:1:1: x: unknown key");
  }
  CHECK(world.ask("GET").status == 200);  // to ask what went wrong is no failure
}

TEST_CASE("reload: a process that ends loads nothing", "[threads]") {
  World world;
  test::Socket waiting = world.send("POST");
  REQUIRE(world.asked(1));
  world.source.is_draining = true;
  CHECK(test::AnswerReader(waiting).next().status == 409);
  const Answer late = world.ask("POST");
  CHECK(late.status == 409);
  CHECK(Json::parse(late.body)["errors"][0] == "the process is ending");
  CHECK(world.source.reloads_asked_for() == 1);
}

TEST_CASE("reload: whoever waits may leave, and a drain waits for nobody too long", "[threads]") {
  World world;
  test::Socket leaves = world.send("POST");
  REQUIRE(world.asked(1));
  leaves.reset();
  test::Socket stays = world.send("POST");
  REQUIRE(world.asked(2));
  world.expected.cut = true;
  CHECK(world.edge().stop(50) == world.expected);
  CHECK(test::AnswerReader(stays).next().status == 0);
}

TEST_CASE("reload: what is refused asks for nothing", "[threads]") {
  World world("t0ken");
  const std::string token = "Authorization: Bearer t0ken\r\n";
  CHECK(world.ask("POST").status == 401);
  CHECK(world.ask("POST", "Authorization: Bearer t0kem\r\n").status == 401);
  CHECK(world.ask("POST", token + "Origin: http://evil.example\r\n").status == 403);
  CHECK(world.ask("POST", token + "Content-Length: 2\r\n\r\n{}").status == 400);
  CHECK(world.ask("PUT", token).status == 405);
  CHECK(world.ask("GET", token).status == 503);  // nothing was ever loaded
  CHECK(world.source.reloads_asked_for() == 0);
}

}  // namespace
}  // namespace weir::admin
