// Answers that filters serve, record, change or wait for: what the client gets, and what becomes of
// them when the server breaks off or the client leaves.
#include <catch2/catch.hpp>

#include <cctype>
#include <string>
#include <string_view>

#include "support/hostile_world.h"

namespace weir {
namespace {

using test::Answer;
using test::ask;
using test::canned;
using test::connect_to;
using test::eventually;
using test::get;
using test::HostileWorld;
using test::Socket;

constexpr std::string_view kKinds[] = {"length", "chunked", "close", "big"};

std::string deed(std::string_view deeds, std::string_view script) {
  return "X-Hostile: nn " + std::string(deeds) +
         " nn\r\nX-Id: 1\r\nX-Script: " + std::string(script) + "\r\n";
}

std::string body_of(std::string_view kind) {
  return kind == "big" ? std::string(test::kBigBytes, 'b') : "hello world";
}

TEST_CASE("what filters make of an answer is what the client gets", "[threads]") {
  HostileWorld world;
  for (const std::string_view kind : kKinds) {
    for (const char how : std::string_view("spchgl")) {
      CAPTURE(kind, how);
      std::string expected = body_of(kind);
      if (how == 's' || how == 'p') expected = test::kServed;
      if (how == 'g') {
        for (char& c : expected) c = static_cast<char>(std::toupper(c));
        expected += '!';
      }
      const std::string script = "kind=" + std::string(kind) + "; step=5000";
      const Answer answer = ask(world.port(), get("/h", deed({"n" + std::string(1, how)}, script)));
      CHECK(answer.status == 200);
      CHECK(answer.complete);
      CHECK(answer.body == expected);
      CHECK(answer.field("x-id") == "1");
    }
  }
  world.finish();
}

TEST_CASE("a filter that serves needs no server", "[threads]") {
  HostileWorld world;
  for (const std::string_view deeds : {"sn", "pn", "ss", "pp", "sg", "sl"}) {
    CAPTURE(deeds);
    const Answer answer = ask(world.port(), get("/nowhere", deed(deeds, "kind=length")));
    CHECK(answer.status == 200);
    CHECK(answer.body == test::kServed);
  }
  CHECK(world.origin().requests() == 0);
  world.finish();
}

TEST_CASE("an answer that breaks off is never whole, whatever filters do with it", "[threads]") {
  HostileWorld world;
  for (const std::string_view kind : {"length", "chunked", "big"}) {
    const size_t length = canned(kind, "1").size();
    for (const char how : std::string_view("chgl")) {
      for (const size_t left : {size_t{1}, size_t{8}, length / 2}) {
        for (const char* const end : {"fin", "rst"}) {
          CAPTURE(kind, how, left, end);
          const std::string script = "kind=" + std::string(kind) + "; step=7000; end=" + end +
                                     "; cut=" + std::to_string(length - left);
          const Answer answer =
              ask(world.port(), get("/h", deed({"n" + std::string(1, how)}, script)));
          CHECK_FALSE(answer.timed_out);
          CHECK((answer.status == 502 || !answer.complete));
        }
      }
    }
  }
  world.finish();
}

TEST_CASE("a recorded answer is read to its end without its client", "[threads]") {
  HostileWorld world;
  for (int i = 0; i < 10; ++i) {
    Socket client = connect_to(world.port(), 4096);
    client.send(get("/h", deed("nc", "kind=big; step=2000")));
    client.receive(100);
    client.reset();
  }
  CHECK(eventually([&] { return world.server().in_flight.load() == 0; }));
  world.finish();
}

TEST_CASE("a worker ends while an answer is recorded for nobody", "[threads]") {
  HostileWorld world;
  Socket client = connect_to(world.port(), 4096);
  client.send(get("/h", deed("nc", "kind=big; step=500")));
  client.receive(100);
  client.reset();
  world.finish();
}

}  // namespace
}  // namespace weir
