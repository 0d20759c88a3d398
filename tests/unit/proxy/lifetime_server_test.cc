// Servers that end their answers at every byte, in every way: the client gets the whole answer, an
// error, or a connection that is visibly cut, and never a short answer that looks whole.
#include <catch2/catch.hpp>

#include <string>
#include <string_view>

#include "support/hostile_world.h"

namespace weir {
namespace {

using test::Answer;
using test::ask;
using test::canned;
using test::get;
using test::HostileWorld;

constexpr std::string_view kUpgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

// Where the final head of an answer ends.
size_t head_end(const std::string& answer) {
  const size_t status = answer.find("HTTP/1.1 2");
  return answer.find("\r\n\r\n", status) + 4;
}

void check_cut(const Answer& answer, const std::string& whole, size_t cut, bool reset,
               bool until_close) {
  CHECK_FALSE(answer.timed_out);
  // A reset may overtake what was sent before it.
  if (reset && answer.status == 502) return;
  if (cut < head_end(whole)) {
    CHECK(answer.status == 502);
    CHECK(answer.complete);
    return;
  }
  CHECK(answer.status == (whole.find("204 No") != std::string::npos ? 204 : 200));
  if (until_close) {  // only a reset tells such a body's end from a cut
    CHECK(answer.complete == !reset);
  } else if (cut < whole.size()) {
    CHECK_FALSE(answer.complete);
  } else if (!reset) {
    CHECK(answer.complete);
  }
}

TEST_CASE("a server may leave at every byte of its answer", "[threads]") {
  HostileWorld world;
  for (const char* kind : {"length", "chunked", "close", "interim", "none"}) {
    CAPTURE(kind);
    const std::string whole = canned(kind, "7");
    for (const char* plan : {"nn nn nn", "in mi nv"}) {
      CAPTURE(plan);
      for (size_t cut = 0; cut <= whole.size(); ++cut) {
        CAPTURE(cut);
        for (const char* end : {"fin", "rst"}) {
          const std::string script = "X-Script: kind=" + std::string(kind) +
                                     "; cut=" + std::to_string(cut) + "; end=" + end + "\r\n";
          const Answer answer =
              ask(world.port(),
                  get("/h", script + "X-Id: 7\r\nX-Hostile: " + std::string(plan) + "\r\n"));
          const bool reset = std::string_view(end) == "rst";
          check_cut(answer, whole, cut, reset, std::string_view(kind) == "close");
        }
      }
    }
  }
  world.finish();
}

TEST_CASE("a server may leave at every byte of its 101", "[threads]") {
  HostileWorld world;
  const std::string whole = canned("upgrade", "7");
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    for (const char* end : {"fin", "rst"}) {
      const std::string script =
          "X-Script: kind=upgrade; cut=" + std::to_string(cut) + "; end=" + end + "\r\n";
      const Answer answer =
          ask(world.port(), get("/h", script + "X-Id: 7\r\n" + std::string(kUpgrade)));
      CHECK(answer.status == 502);
    }
  }
  world.finish();
}

TEST_CASE("a server may leave in the middle of a big body", "[threads]") {
  HostileWorld world;
  for (size_t cut = 200; cut < test::kBigBytes; cut += 17'011) {
    for (const char* end : {"fin", "rst"}) {
      const std::string script =
          "X-Script: kind=big; cut=" + std::to_string(cut) + "; end=" + end + "\r\n";
      const Answer answer = ask(world.port(), get("/plain", script));
      CHECK_FALSE(answer.timed_out);
      CHECK((answer.status == 502 || !answer.complete));
    }
  }
  world.finish();
}

TEST_CASE("a server may answer and leave before it has read the body", "[threads]") {
  HostileWorld world;
  for (const size_t body : {10u, 60'000u, 3'000'000u}) {
    CAPTURE(body);
    for (const char* end : {"fin", "rst"}) {
      const std::string head =
          "POST /h HTTP/1.1\r\nHost: a\r\nX-Script: read=head; cut=1000; end=" + std::string(end) +
          "\r\nContent-Length: " + std::to_string(body) + "\r\n\r\n";
      const Answer answer = ask(world.port(), head + std::string(body, 'x'));
      CHECK_FALSE(answer.timed_out);
      // Its early answer is passed on if it was seen before its reset.
      CHECK((answer.status == 200 || answer.status == 502));
    }
  }
  world.finish();
}

// A timer resumes the request, the dial fails, the last flush before the loop sleeps tells it, and
// a filter resumes the 502 behind that flush: the loop must not sleep on it.
TEST_CASE("an answer that the last flush before a sleep made leaves at once", "[threads]") {
  HostileWorld world;
  test::Socket client = test::connect_to(world.port());
  client.send(get("/nowhere", "X-Hostile: ti nn nn\r\n"));
  constexpr int kSoonMs = 3'000;
  CHECK(client.receive(12, kSoonMs) == "HTTP/1.1 502");
  client.close();
  world.finish();
}

TEST_CASE("nobody listens: an answer at once, and nothing held back", "[threads]") {
  HostileWorld world;
  for (int i = 0; i < 50; ++i) {
    CHECK(ask(world.port(), get("/dead")).status == 502);
    CHECK(
        ask(world.port(), "POST /dead HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab").status ==
        502);
  }
  CHECK(ask(world.port(), get("/h", "X-Script: kind=garbage\r\n")).status == 502);
  world.finish();
}

}  // namespace
}  // namespace weir
