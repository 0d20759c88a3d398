// Clients that leave at every byte of an exchange, in every way that there is to leave.
#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/hostile_world.h"

namespace weir {
namespace {

using test::Answer;
using test::AnswerReader;
using test::ask;
using test::connect_to;
using test::eventually;
using test::get;
using test::HostileWorld;
using test::Socket;

constexpr std::string_view kUpgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

enum class Leave { kReset, kClose, kHalfClose };
constexpr Leave kWays[] = {Leave::kReset, Leave::kClose, Leave::kHalfClose};

struct Request {
  const char* name;
  std::string bytes;
  int status;      // of its answer
  size_t answers;  // how many come
};

std::vector<Request> requests() {
  const std::string waits = "X-Hostile: ti na im\r\n";
  return {
      {"get", get("/plain"), 200, 1},
      {"filtered get", get("/h", waits), 200, 1},
      {"post", "POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789", 200, 1},
      {"filtered chunks",
       "POST /h HTTP/1.1\r\nHost: a\r\n" + waits +
           "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\nT: x\r\n\r\n",
       200, 1},
      {"pipeline", get("/h", waits) + get("/plain") + get("/h"), 200, 3},
      {"upgrade", get("/h", std::string(kUpgrade) + waits + "X-Script: kind=upgrade\r\n") + "early",
       101, 1},
      {"malformed", "GET /plain HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, 1},
      {"dead server", get("/dead"), 502, 1},
  };
}

// Lets the worker go around its loop, so that it has seen what was sent before.
void settle(HostileWorld& world) {
  for (int i = 0; i < 3; ++i) world.edge().on_worker([](proxy::ProxyWorker&) {});
}

void check_still_serves(HostileWorld& world) {
  CHECK(ask(world.port(), get("/h", "X-Id: last\r\n")).field("x-id") == "last");
}

// A request that ends with its connection's first half: all answers to what was whole, then the
// end.
void check_half_closed(Socket& client, const Request& request, bool whole) {
  AnswerReader reader(client);
  if (!whole) {
    Answer answer = reader.next();
    while (answer.status == 200) answer = reader.next();  // what was whole of a pipeline
    CHECK((answer.status == 0 || answer.status == 101 || answer.status >= 400));
    CHECK_FALSE(answer.timed_out);
    return;
  }
  for (size_t i = 0; i < request.answers; ++i) {
    const Answer answer = reader.next();
    CHECK(answer.status == request.status);
    CHECK(answer.complete);
  }
  CHECK((client.receive_all() + reader.rest()) == (request.status == 101 ? "early" : ""));
  CHECK_FALSE(client.timed_out());
}

TEST_CASE("a client may leave at every byte of its request", "[threads]") {
  HostileWorld world;
  for (const Request& request : requests()) {
    CAPTURE(request.name);
    for (size_t sent = 0; sent <= request.bytes.size(); ++sent) {
      CAPTURE(sent);
      for (const Leave way : kWays) {
        Socket client = connect_to(world.port());
        REQUIRE(client.valid());
        client.send(std::string_view(request.bytes).substr(0, sent));
        if (sent % 2 == 0) settle(world);
        if (way == Leave::kReset) client.reset();
        if (way == Leave::kClose) client.close();
        if (way != Leave::kHalfClose) continue;
        client.half_close();
        check_half_closed(client, request, sent == request.bytes.size());
      }
    }
  }
  check_still_serves(world);
  world.finish();
}

TEST_CASE("a client may leave at every byte of its answer", "[threads]") {
  HostileWorld world;
  for (const char* kind : {"length", "chunked", "close", "interim", "none"}) {
    CAPTURE(kind);
    const std::string script = "X-Script: kind=" + std::string(kind) + "\r\n";
    for (const char* plan : {"X-Hostile: nn nn nn\r\n", "X-Hostile: iv ni nm\r\n"}) {
      const std::string request = get("/h", script + plan);
      const size_t length = [&] {
        Socket client = connect_to(world.port());
        client.send(request);
        AnswerReader(client).next();
        return client.received_bytes();
      }();
      REQUIRE(length > 100);
      for (size_t read = 0; read <= length; read += 3) {
        for (const Leave way : {Leave::kReset, Leave::kClose}) {
          Socket client = connect_to(world.port());
          client.send(request);
          // The server sends in one piece, so the answer has the same bytes each time.
          REQUIRE(client.receive_exactly(read).size() == read);
          if (way == Leave::kReset) client.reset();
        }
      }
    }
  }
  check_still_serves(world);
  world.finish();
}

TEST_CASE("a client may leave a big body on its way, in either direction", "[threads]") {
  HostileWorld world;
  const std::string up = "POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n";
  const std::string down = get("/plain", "X-Script: kind=big\r\n");
  for (size_t bytes = 0; bytes < 280'000; bytes += 9'000) {
    for (const Leave way : {Leave::kReset, Leave::kClose}) {
      Socket uploads = connect_to(world.port());
      uploads.send(up);
      uploads.send(std::string(bytes, 'u'));
      Socket reads = connect_to(world.port(), 8'192);
      reads.send(down);
      CHECK(reads.receive_exactly(bytes).size() == bytes);
      if (way == Leave::kReset) {
        uploads.reset();
        reads.reset();
      }
    }
  }
  check_still_serves(world);
  world.finish();
}

constexpr int kSmallBufferBytes = 4'096;

// The answer is complete for weir, but much of it has yet to be read.
Socket client_with_an_answer_on_its_way(HostileWorld& world, size_t& got) {
  Socket client = connect_to(world.port(), kSmallBufferBytes);
  client.send(get("/plain", "X-Script: kind=big\r\n"));
  got = client.receive_exactly(1).size();
  while (world.edge().metrics().requests_in_flight.value() > 0 && got < test::kBigBytes) {
    got += client.receive_exactly(1'000).size();
  }
  return client;
}

TEST_CASE("a client that half-closes behind a complete exchange still gets the rest", "[threads]") {
  HostileWorld world(kSmallBufferBytes);
  size_t got = 0;
  Socket client = client_with_an_answer_on_its_way(world, got);
  client.half_close();
  settle(world);
  got += client.receive_all().size();
  CHECK(got > test::kBigBytes);
  CHECK_FALSE(client.ended_badly());
  world.finish();
}

TEST_CASE("a drain lets an answer out that is complete but not yet sent", "[threads]") {
  HostileWorld world(kSmallBufferBytes);
  size_t got = 0;
  Socket client = client_with_an_answer_on_its_way(world, got);
  world.edge().drain(5'000);
  got += client.receive_all().size();
  CHECK(got > test::kBigBytes);
  CHECK_FALSE(client.ended_badly());
  world.finish();
}

TEST_CASE("a connection whose last head said keep-alive ends with its answer in a drain",
          "[threads]") {
  HostileWorld world(kSmallBufferBytes);
  Socket client = connect_to(world.port(), kSmallBufferBytes);
  client.send(get("/plain", "X-Script: kind=big\r\n"));
  CHECK(client.receive_until("\r\n\r\n").find("Connection: close") == std::string::npos);
  world.edge().drain(5'000);
  CHECK(client.receive_all().size() == test::kBigBytes);
  CHECK_FALSE(client.timed_out());
  world.finish();
}

TEST_CASE("a tunnel ends with whoever leaves it, and how", "[threads]") {
  HostileWorld world;
  const std::string request = get("/h", std::string(kUpgrade) + "X-Script: kind=upgrade\r\n");
  for (const size_t bytes : {0, 1, 1'000, 100'000}) {
    for (const Leave way : kWays) {
      Socket client = connect_to(world.port());
      client.send(request);
      AnswerReader reader(client);
      REQUIRE(reader.next().status == 101);
      client.send(std::string(bytes, 't'));
      CHECK(client.receive_exactly(bytes / 2).size() == bytes / 2);
      if (way == Leave::kReset) client.reset();
      if (way == Leave::kClose) client.close();
      if (way != Leave::kHalfClose) continue;
      client.half_close();
      CHECK(client.receive_all().size() == bytes - bytes / 2);
      CHECK_FALSE(client.timed_out());
    }
  }
  for (const char* end : {"fin", "rst"}) {
    const std::string script = "X-Script: kind=upgrade; cut=1000; end=" + std::string(end) + "\r\n";
    Socket client = connect_to(world.port());
    client.send(get("/h", std::string(kUpgrade) + script));
    client.receive_until("\r\n\r\n");
    CHECK(client.receive_all().empty());
    CHECK_FALSE(client.timed_out());
  }
  CHECK(eventually([&] { return world.server().in_flight.load() == 0; }));
  world.finish();
}

// A tunnel lets go of its snapshot; what its filters need lives on with it.
TEST_CASE("a tunnel outlives its snapshot, and its filters outlive nothing they use", "[threads]") {
  HostileWorld world;
  Socket client = connect_to(world.port());
  client.send(get("/h", std::string(kUpgrade) + "X-Script: kind=upgrade\r\n"));
  AnswerReader reader(client);
  REQUIRE(reader.next().status == 101);
  world.edge().publish(world.make_snapshot());
  CHECK(eventually([&] { return world.edge().snapshots_given_back() == 1; }));
  world.edge().free_given_back();
  client.send("still here");
  CHECK(client.receive_exactly(10) == "still here");
  client.close();
  CHECK(eventually([&] { return world.edge().metrics().requests_in_flight.value() == 0; }));
  world.finish();
}

TEST_CASE("an exchange keeps the snapshot that it began with", "[threads]") {
  HostileWorld world;
  Socket client = connect_to(world.port());
  client.send(get("/h", "X-Hostile: tn nn nt\r\nX-Script: kind=big\r\n"));
  world.edge().publish(world.make_snapshot());
  world.edge().free_given_back();
  AnswerReader reader(client);
  CHECK(reader.next().complete);
  client.send(get("/h"));
  CHECK(reader.next().status == 200);
  client.close();
  CHECK(world.edge().snapshots_given_back() <= 1);
  world.finish();
}

}  // namespace
}  // namespace weir
