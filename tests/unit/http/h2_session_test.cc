#include "http/h2_session.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "unit/http/h2_support.h"

namespace weir::http {
namespace {

using test::End;
using test::Pair;
using test::Stream;
using test::Told;

TEST_CASE("h2 session: a request and its answer, with trailers") {
  Pair pair;
  Stream stream;
  REQUIRE(pair.ask(stream, false));
  pair.client.session.send(stream, "ab");
  pair.client.session.send(stream, "c");
  pair.client.session.add_field("X-Sum", "3");
  pair.client.session.send_end(stream);
  pair.talk();
  CHECK(pair.server.told ==
        Told{"1 headers :method=GET :path=/", "1 data abc", "1 headers x-sum=3", "1 end"});
  pair.answer(1, false);
  Stream& reply = *pair.server.streams[1];
  pair.server.session.send(reply, "hello");
  pair.server.session.send_end(reply);
  pair.talk();
  CHECK(pair.client.told ==
        Told{"1 headers :status=200", "1 data hello", "1 end", "1 closed NO_ERROR"});
  CHECK(pair.server.told.back() == "1 closed NO_ERROR");
  CHECK_FALSE(stream.attached());
  CHECK_FALSE(reply.attached());
  CHECK(pair.client.session.streams_open() == 0);
  CHECK(pair.server.session.streams_open() == 0);
}

TEST_CASE("h2 session: a head with its end is one frame") {
  Pair pair;
  Stream stream;
  pair.ask(stream);
  pair.talk();
  pair.answer(1, true);
  const std::string frames = pair.server.take();
  REQUIRE(frames.size() > 9);
  CHECK(frames.size() == 9u + static_cast<uint8_t>(frames[2]));
  CHECK(frames[4] == 5);  // END_STREAM, END_HEADERS
  pair.client.give(frames);
  CHECK(pair.client.told == Told{"1 headers :status=200", "1 end", "1 closed NO_ERROR"});
}

TEST_CASE("h2 session: interim answers come first") {
  Pair pair;
  Stream stream;
  pair.ask(stream);
  pair.talk();
  pair.server.session.add_field(":status", "103");
  pair.server.session.submit_informational(*pair.server.streams[1]);
  pair.answer(1, true);
  pair.talk();
  CHECK(pair.client.told ==
        Told{"1 headers :status=103", "1 headers :status=200", "1 end", "1 closed NO_ERROR"});
}

TEST_CASE("h2 session: windows hold back what is not consumed") {
  H2Settings settings;
  settings.stream_window_bytes = 70'000;
  Pair pair({}, settings);
  pair.client.hold_windows = true;
  Stream stream;
  pair.ask(stream);
  pair.talk();
  pair.answer(1, false);
  Stream& reply = *pair.server.streams[1];
  pair.server.session.send(reply, std::string(100'000, 'x'));
  REQUIRE(pair.server.session.watch(reply));
  pair.talk();
  CHECK(reply.framed_bytes() == 70'000);
  CHECK(reply.queued() == 30'000);
  CHECK(pair.server.session.window_closed(reply));
  CHECK(pair.server.told.back() != "1 drained");
  pair.client.session.open_window(1, 70'000);
  pair.talk();
  CHECK(reply.queued() == 0);
  CHECK(pair.server.told.back() == "1 drained");
}

TEST_CASE("h2 session: what is asked to be written is what is written") {
  Pair pair({}, {.stream_window_bytes = 1 << 20});
  Stream stream;
  pair.ask(stream);
  pair.talk();
  pair.answer(1, false);
  pair.server.session.send(*pair.server.streams[1], std::string(500'000, 'x'));
  const std::string part = pair.server.take(64 * 1024);
  CHECK(part.size() >= 64 * 1024);
  CHECK(part.size() < 64 * 1024 + 16 * 1024 + 9);
  CHECK(pair.server.session.wants_write());
}

TEST_CASE("h2 session: resets") {
  Pair pair;
  Stream stream;
  pair.ask(stream, false);
  pair.talk();
  SECTION("by the client") {
    pair.client.session.reset(1, H2Code::kCancel);
    pair.talk();
    CHECK(pair.server.told.back() == "1 closed CANCEL");
    CHECK(pair.client.told == Told{"1 closed CANCEL"});
  }
  SECTION("by a client that leaves: it hears no more") {
    pair.client.session.detach(stream, H2Code::kCancel);
    CHECK_FALSE(stream.attached());
    pair.talk();
    CHECK(pair.server.told.back() == "1 closed CANCEL");
  }
  SECTION("by the server, with bytes queued") {
    pair.answer(1, false);
    pair.server.session.send(*pair.server.streams[1], "never seen");
    pair.server.session.reset(1, H2Code::kInternalError);
    pair.talk();
    CHECK(pair.client.told.back() == "1 closed INTERNAL_ERROR");
    CHECK(pair.client.told.size() <= 2);
  }
}

TEST_CASE("h2 session: a request that was opened and left in one go has nobody to attach") {
  Pair pair;
  Stream stream;
  pair.ask(stream, false);
  const std::string head = pair.client.take();
  pair.client.session.reset(1, H2Code::kCancel);
  pair.server.give(head + pair.client.take());
  CHECK(pair.server.told == Told{"1 headers :method=GET :path=/ gone", "1 closed CANCEL"});
}

TEST_CASE("h2 session: the peer's number of streams") {
  Pair pair({.streams_max = 2});
  Stream streams[3];
  CHECK(pair.client.session.streams_allowed() == 2);
  CHECK(pair.ask(streams[0]));
  CHECK(pair.client.session.can_open());
  CHECK(pair.ask(streams[1]));
  CHECK_FALSE(pair.client.session.can_open());
  pair.talk();
  pair.answer(1, true);
  pair.talk();
  CHECK(pair.client.session.can_open());
}

TEST_CASE("h2 session: leaving in two steps") {
  Pair pair;
  Stream first;
  Stream second;
  pair.ask(first);
  pair.talk();
  pair.server.session.announce_shutdown();
  pair.ask(second);  // on its way
  const std::string crossing = pair.client.take();
  pair.client.give(pair.server.take());
  CHECK(pair.client.told == Told{"0 goaway NO_ERROR"});
  CHECK_FALSE(pair.client.session.can_open());
  pair.server.give(crossing);
  pair.server.session.go_away(H2Code::kNoError);
  pair.answer(3, true);
  pair.talk();
  CHECK_FALSE(pair.server.session.done());
  pair.answer(1, true);
  pair.talk();
  CHECK(pair.server.session.done());
  CHECK(pair.client.session.streams_open() == 0);
}

TEST_CASE("h2 session: a request above the last one is refused, to be sent elsewhere") {
  Pair pair;
  Stream first;
  Stream late;
  pair.ask(first);
  pair.talk();
  pair.server.session.go_away(H2Code::kNoError);
  const std::string last = pair.server.take();
  pair.ask(late);
  pair.client.take();
  pair.client.give(last);
  CHECK(pair.client.told == Told{"0 goaway NO_ERROR", "3 closed REFUSED_STREAM"});
}

TEST_CASE("h2 session: a request that never left is refused") {
  Pair pair;
  Stream stream;
  pair.server.session.go_away(H2Code::kNoError);
  const std::string last = pair.server.take();
  pair.ask(stream);
  pair.client.give(last);
  pair.talk();
  CHECK(pair.client.told.back() == "1 closed REFUSED_STREAM");
  CHECK(pair.client.session.streams_open() == 0);
}

TEST_CASE("h2 session: heads over their limits") {
  Pair pair({.header_bytes_max = 100, .headers_max = 4});
  Stream large;
  const std::string value(200, 'y');
  pair.client.session.add_field("x", value);
  pair.ask(large);
  Stream many;
  for (int i = 0; i < 9; ++i) pair.client.session.add_field("x", "y");
  pair.ask(many);
  pair.talk();
  REQUIRE(pair.server.told.size() == 4);
  CHECK(pair.server.told[0].starts_with("1 headers refused:head_too_large"));
  CHECK(pair.server.told[2].starts_with("3 headers refused:too_many_headers"));
  CHECK(*pair.server.session.failure() == '\0');
}

TEST_CASE("h2 session: what is no HTTP/2") {
  End server(H2Session::Role::kServer);
  server.give("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(server.session.failure() == std::string_view("preface"));
  CHECK_FALSE(server.take().empty());
  CHECK(server.session.done());
  std::string_view more = "x";
  CHECK_FALSE(server.session.receive(more, 0));
}

// One more head is always under way when the events are looked at.
TEST_CASE("h2 session: heads are let go of beside one that has begun") {
  Pair pair;
  const std::string value(4000, 'y');
  constexpr size_t kRounds = 12;
  constexpr size_t kStreams = 100;  // 400 KB of heads a round
  std::vector<Stream> streams(kRounds * kStreams);
  std::string begun;
  size_t used_at_first = 0;
  for (size_t round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < kStreams; ++i) {
      pair.client.session.add_field("x", value);
      REQUIRE(pair.ask(streams[round * kStreams + i]));
    }
    const std::string bytes = begun + pair.client.take();
    constexpr size_t kKeptBack = 10;
    pair.server.give(std::string_view(bytes).substr(0, bytes.size() - kKeptBack));
    begun = bytes.substr(bytes.size() - kKeptBack);
    REQUIRE(pair.server.session.head_under_way() != 0);
    if (round == 1) used_at_first = test::pool().in_use();
    for (auto& [id, stream] : pair.server.streams) {
      if (stream->attached() && !stream->all_framed()) continue;
      if (stream->attached()) pair.answer(id, true);
    }
    pair.client.give(pair.server.take());
  }
  CHECK(test::pool().in_use() <= used_at_first + 4);
  pair.server.give(begun);
  CHECK(pair.server.streams.size() == kRounds * kStreams);
  CHECK(*pair.server.session.failure() == '\0');
  const bool whole =
      std::all_of(pair.server.told.begin(), pair.server.told.end(), [&](const std::string& line) {
        return line.find(" headers ") == std::string::npos ||
               line.find("x=" + value + " ") != std::string::npos;
      });
  CHECK(whole);
}

// A client that only receives tells of what it has read, and measures by pings.
TEST_CASE("h2 session: a long answer may be followed by as many windows and pings") {
  Pair pair;
  Stream stream;
  pair.ask(stream);
  pair.talk();
  pair.answer(1, false);
  Stream& reply = *pair.server.streams[1];
  const std::string_view windows(
      "\0\0\4\x8\0\0\0\0\0\0\0\0\1"
      "\0\0\4\x8\0\0\0\0\1\0\0\0\1",
      26);
  constexpr size_t kPieces = 20'000;
  for (size_t i = 0; i < kPieces && *pair.server.session.failure() == '\0'; ++i) {
    pair.server.session.send(reply, "x");
    (void)pair.server.take();
    pair.server.give(windows);
  }
  CHECK(std::string_view(pair.server.session.failure()) == "");
  CHECK(reply.framed_bytes() == kPieces);
}

TEST_CASE("h2 session: padding without end is a flood") {
  Pair pair;
  Stream stream;
  pair.ask(stream, false);
  pair.talk();
  // 255 bytes of padding around nothing.
  const std::string padded = std::string("\0\1\0\0\x8\0\0\0\1\xff", 10) + std::string(255, '\0');
  size_t frames = 0;
  while (frames < 4000 && *pair.server.session.failure() == '\0') {
    pair.server.give(padded);
    ++frames;
  }
  CHECK(std::string_view(pair.server.session.failure()) == "empty_frame_flood");
}

TEST_CASE("h2 session: ping and its answer") {
  Pair pair;
  pair.server.session.ping();
  pair.talk();
  CHECK(pair.server.told == Told{"0 pong"});
}

TEST_CASE("h2 floods: a burst, then a rate; data earns windows and probes") {
  H2FloodGuard guard;
  size_t taken = 0;
  while (guard.take(H2Flood::kPing, 1000)) ++taken;
  CHECK(taken == 512);
  CHECK_FALSE(guard.take(H2Flood::kPing, 1001));
  CHECK(guard.take(H2Flood::kPing, 2000));
  CHECK(guard.take(H2Flood::kSettings, 1000));  // each kind for itself
  while (guard.take(H2Flood::kPing, 2000)) {
  }
  guard.earn_by_data();
  CHECK(guard.take(H2Flood::kPing, 2000));
  CHECK_FALSE(guard.take(H2Flood::kPing, 2000));
  while (guard.take(H2Flood::kReset, 1000)) {
  }
  guard.earn_by_answer();
  CHECK(guard.take(H2Flood::kReset, 1000));
  CHECK_FALSE(guard.take(H2Flood::kReset, 1000));
}

}  // namespace
}  // namespace weir::http
