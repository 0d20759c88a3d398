// A stream and its owner, against real sockets: full ones, broken ones, ones that are not there.
#include "net/stream.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "base/blocks.h"
#include "net/worker.h"
#include "support/sockets.h"

namespace weir::net {
namespace {

// Writes down what its stream tells it, and ends the stream at one of the words that it was given.
class Scribe final : public Stream::Owner {
 public:
  Scribe(Worker& worker, std::string end_at) : worker_(worker), end_at_(std::move(end_at)) {}
  void on_connected() override { note("connected"); }
  void on_bytes(std::string_view bytes) override {
    heard += bytes;
    longest = std::max(longest, bytes.size());
  }
  void on_eof() override { note("eof"); }
  void on_broken(int) override { note("broken"); }
  void on_drained() override { note("drained"); }

  void finish() {
    stream->end();
    worker_.bury(std::move(stream));
    worker_.stop();
  }
  std::unique_ptr<Stream> stream;
  std::string words;
  std::string heard;
  size_t longest = 0;  // of what came at once

 private:
  void note(const std::string& word) {
    words += word + " ";
    if (end_at_.find(word) != std::string::npos) finish();
  }
  Worker& worker_;
  const std::string end_at_;
};

// A connected pair on the loopback; the near end has a small send buffer.
struct Pair {
  Pair() {
    const test::Socket listener = test::listen_anywhere();
    near = test::connect_to(test::port_of(listener));
    far = test::accept_from(listener);
    const int small = 4096;
    setsockopt(near.fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    fcntl(near.fd(), F_SETFL, O_NONBLOCK);
  }
  test::Socket near;
  test::Socket far;
};

void take_over(Worker& worker, Scribe& scribe, Pair& pair) {
  scribe.stream = Stream::accepted(worker, pair.near.release(), false);
  REQUIRE(scribe.stream != nullptr);
  scribe.stream->hand_to(scribe);

  scribe.stream->start_reading();
}

// What the far end gets until the near one ends.
std::string run_and_receive(Worker& worker, Pair& pair) {
  std::string got;
  std::thread peer([&] { got = pair.far.receive_all(); });
  worker.run();
  peer.join();
  return got;
}

TEST_CASE("a full socket congests its stream, which says once when all has left", "[threads]") {
  const std::string bytes(2'000'000, 'x');
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "drained");
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    scribe.stream->write("small first,");
    CHECK_FALSE(scribe.stream->congested());
    scribe.stream->write(bytes);
    CHECK(scribe.stream->congested());
    scribe.stream->write(" then the end");
    CHECK(scribe.stream->sent_bytes() + scribe.stream->unsent() == bytes.size() + 25);
  }
  const std::string got = run_and_receive(worker, pair);
  CHECK(scribe.words == "drained ");
  CHECK(got == "small first," + bytes + " then the end");
}

TEST_CASE("of several pieces what the socket does not take follows in order", "[threads]") {
  const std::string a(300'000, 'a'), b(5, 'b'), c(400'000, 'c');
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "drained");
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    scribe.stream->write("first,");
    const std::string_view pieces[] = {a, b, c};
    scribe.stream->write(pieces);
    CHECK(scribe.stream->congested());
    scribe.stream->write(std::span(pieces).first(2));  // behind what waits
    CHECK(scribe.stream->sent_bytes() + scribe.stream->unsent() == 6 + 1'000'010);
  }
  const std::string got = run_and_receive(worker, pair);
  CHECK(got == "first," + a + b + c + a + b);
}

TEST_CASE("of what is offered the rest that a full socket does not take stays here", "[threads]") {
  const std::string a(300'000, 'a'), b(1'400'000, 'b');
  const std::string_view pieces[] = {a, b};
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "drained");
  size_t done = 0;
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    scribe.stream->write("first,");
    done = scribe.stream->offer(pieces);
    CHECK(done < a.size() + b.size());
    CHECK(scribe.stream->congested());  // by a little of it, which tells when there is room again
    CHECK(scribe.stream->unsent() <= Stream::kCoalesceBytes);
    CHECK(scribe.stream->sent_bytes() + scribe.stream->unsent() == 6 + done);
    scribe.stream->write(std::string_view(b).substr(b.size() - 100));
  }
  const std::string got = run_and_receive(worker, pair);
  CHECK(got == "first," + (a + b).substr(0, done) + b.substr(b.size() - 100));
}

TEST_CASE("what is offered in little, or behind what waits, is taken whole", "[threads]") {
  const std::string big(2'000'000, 'x');
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "drained");
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    const std::string_view little = "little,";
    CHECK(scribe.stream->offer({&little, 1}) == little.size());
    CHECK(scribe.stream->unsent() == little.size());
    scribe.stream->write(big);
    CHECK(scribe.stream->offer({&little, 1}) == little.size());
  }
  const std::string got = run_and_receive(worker, pair);
  CHECK(got == "little," + big + "little,");
}

TEST_CASE("what was dropped does not leave with the end", "[threads]") {
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "");
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    scribe.stream->write("sent,");
    scribe.stream->flush();
    scribe.stream->write("not sent");
    scribe.stream->drop_queued();
    scribe.finish();
  }
  worker.run();
  CHECK(pair.far.receive_all() == "sent,");
}

TEST_CASE("a file goes out behind what is queued, as far as the socket takes it", "[threads]") {
  const int file = ::open("/tmp", O_TMPFILE | O_RDWR, 0600);
  REQUIRE(file >= 0);
  std::string content;
  for (int i = 0; i < 200'000; ++i) content += std::to_string(i) + ",";
  REQUIRE(::pwrite(file, content.data(), content.size(), 0) ==
          static_cast<ssize_t>(content.size()));
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "drained");
  size_t sent = 0;
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    scribe.stream->write("head:");
    sent = scribe.stream->send_file(file, 7, content.size() - 7);
    CHECK(sent > 0);
    CHECK(sent < content.size() - 7);
    CHECK_FALSE(scribe.stream->congested());
    CHECK(scribe.stream->sent_bytes() == 5 + sent);
    scribe.stream->write(std::string_view(content).substr(7 + sent));
    CHECK(scribe.stream->congested());
    CHECK(scribe.stream->send_file(file, 0, 100) == 0);  // not before that
  }
  const std::string got = run_and_receive(worker, pair);
  ::close(file);
  CHECK(got == "head:" + content.substr(7));
}

TEST_CASE("a file that ends early, and a peer that is gone") {
  const int file = ::open("/tmp", O_TMPFILE | O_RDWR, 0600);
  REQUIRE(::pwrite(file, "short", 5, 0) == 5);
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "broken");
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    CHECK(scribe.stream->send_file(file, 0, 100) == 5);
    CHECK(scribe.stream->send_file(file, 5, 95) == 0);
    CHECK_FALSE(scribe.stream->congested());
    pair.far.reset();
    CHECK(scribe.stream->send_file(file, 0, 5) == 0);
    CHECK(scribe.words.empty());  // told later
  }
  worker.run();
  ::close(file);
  CHECK(scribe.words == "broken ");
}

TEST_CASE("a stream may end while libuv holds its bytes") {
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "");
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    scribe.stream->write(std::string(2'000'000, 'x'));
    CHECK(scribe.stream->congested());
    scribe.finish();
  }
  worker.run();
  CHECK(scribe.words.empty());
  CHECK(worker.blocks().in_use() == 0);
}

TEST_CASE("a peer that is gone without a word is looked for in two ways") {
  Pair pair;
  const int fd = pair.near.fd();
  const auto option = [fd](int level, int name) {
    int value = -1;
    socklen_t length = sizeof(value);
    CHECK(getsockopt(fd, level, name, &value, &length) == 0);
    return value;
  };
  Worker worker(0);
  Scribe scribe(worker, "");
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    CHECK(option(SOL_SOCKET, SO_KEEPALIVE) == 0);
    scribe.stream->detect_dead_peer(12'345);
    CHECK(option(SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option(IPPROTO_TCP, TCP_KEEPIDLE) == 60);
    CHECK(option(IPPROTO_TCP, TCP_KEEPINTVL) == 10);
    CHECK(option(IPPROTO_TCP, TCP_KEEPCNT) == 3);
    CHECK(option(IPPROTO_TCP, TCP_USER_TIMEOUT) == 12'345);
    scribe.finish();
  }
  worker.run();
}

TEST_CASE("reads grow, but never beyond their share of the memory that is left") {
  constexpr size_t kShareBytes = 32 * 1024;
  for (const bool scarce : {false, true}) {
    CAPTURE(scarce);
    int fds[2] = {-1, -1};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    const std::string piece(8192, 'x');
    size_t sent = 0;  // before anything is read
    for (ssize_t taken = 0; taken >= 0; taken = write(fds[1], piece.data(), piece.size())) {
      sent += static_cast<size_t>(taken);
    }
    REQUIRE(sent > 5 * kShareBytes);
    close(fds[1]);
    Worker worker(0);
    Scribe scribe(worker, "eof");
    if (scarce) {
      BlockBudget::set_limit_bytes(BlockBudget::used_bytes() +
                                   kShareBytes * Stream::kReadsInBudget);
    }
    {
      Turn turn(worker);
      scribe.stream = Stream::accepted(worker, fds[0], true);
      REQUIRE(scribe.stream != nullptr);
      scribe.stream->hand_to(scribe);
      scribe.stream->start_reading();
    }
    worker.run();
    BlockBudget::set_limit_bytes(512u << 20);
    CHECK(scribe.heard.size() == sent);
    CHECK((scribe.longest <= kShareBytes) == scarce);
  }
}

TEST_CASE("a half-close leaves behind all that was written; the answer still comes", "[threads]") {
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "eof");
  {
    Turn turn(worker);
    take_over(worker, scribe, pair);
    scribe.stream->write("question");
    scribe.stream->shutdown_when_flushed();
  }
  std::string question;
  std::thread peer([&] {
    question = pair.far.receive_all();
    pair.far.send("answer");
    pair.far.close();
  });
  worker.run();
  peer.join();
  CHECK(question == "question");
  CHECK(scribe.heard == "answer");
}

TEST_CASE("a reset and a dial to nobody are told once, later") {
  Pair pair;
  Worker worker(0);
  Scribe reset(worker, "broken");
  {
    Turn turn(worker);
    take_over(worker, reset, pair);
  }
  pair.far.reset();
  worker.run();
  CHECK(reset.words == "broken ");

  const uint16_t nobody = test::port_of(test::listen_anywhere());
  Worker second(1);
  Scribe dial(second, "broken");
  {
    Turn turn(second);
    dial.stream =
        Stream::dial(second, dial, parse_address("127.0.0.1:" + std::to_string(nobody)).value());
    CHECK(dial.words.empty());
  }
  second.run();
  CHECK(dial.words == "broken ");
}

// Both have come by the time that the stream looks: libuv alone would call either an end.
TEST_CASE("a reset right behind the last bytes is no clean end, a close is") {
  for (const bool by_reset : {true, false}) {
    CAPTURE(by_reset);
    Pair pair;
    Worker worker(0);
    Scribe scribe(worker, "broken, eof");
    pair.far.send("the last bytes");
    if (by_reset) {
      pair.far.reset();
    } else {
      pair.far.close();
    }
    {
      Turn turn(worker);
      take_over(worker, scribe, pair);
    }
    worker.run();
    CHECK(scribe.heard == "the last bytes");
    CHECK(scribe.words == (by_reset ? "broken " : "eof "));
  }
}

TEST_CASE("a write that fails is told by the flush, once, and nothing is kept of it") {
  Pair pair;
  Worker worker(0);
  Scribe scribe(worker, "broken");
  pair.far.reset();
  {
    Turn turn(worker);
    scribe.stream = Stream::accepted(worker, pair.near.release(), false);
    REQUIRE(scribe.stream != nullptr);
    scribe.stream->hand_to(scribe);
    // it does not read: only writes can tell
    for (int i = 0; i < 3; ++i) scribe.stream->write(std::string(Stream::kCoalesceBytes + 1, 'x'));
    CHECK(scribe.words.empty());
    CHECK(scribe.stream->unsent() == 0);
    CHECK_FALSE(scribe.stream->congested());
  }
  worker.run();
  CHECK(scribe.words == "broken ");
  CHECK(worker.blocks().in_use() == 0);
}

TEST_CASE("what came before a write failed is told first, to an owner that wants to hear it") {
  for (const bool hears_out : {true, false}) {
    CAPTURE(hears_out);
    Pair pair;
    Worker worker(0);
    Scribe scribe(worker, "broken");
    {
      Turn turn(worker);
      take_over(worker, scribe, pair);
      if (hears_out) scribe.stream->hear_out_when_broken();
      CHECK(pair.far.send("no more, thanks"));
      pair.far.reset();
      scribe.stream->write(std::string(Stream::kCoalesceBytes + 1, 'x'));
      CHECK(scribe.heard.empty());
    }
    worker.run();
    CHECK(scribe.heard == (hears_out ? "no more, thanks" : ""));
    CHECK(scribe.words == "broken ");
  }
}

}  // namespace
}  // namespace weir::net
