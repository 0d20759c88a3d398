// TLS inside streams: a server and a client of one worker on the two ends of a connection, and
// plain sockets that break off.
#include <catch2/catch.hpp>

#include <fcntl.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "net/stream.h"
#include "net/tls.h"
#include "net/worker.h"
#include "support/certificates.h"
#include "support/sockets.h"

namespace weir::net {
namespace {

std::shared_ptr<const TlsServer> some_server() {
  TlsServerOptions options;
  options.certificates = {test::loaded(test::some_certificate())};
  return TlsServer::make(std::move(options)).value();
}

std::shared_ptr<const TlsClient> some_client() {
  TlsClientOptions options;
  options.ca = test::some_certificate().cert_pem();
  return TlsClient::make(std::move(options)).value();
}

class End final : public Stream::Owner {
 public:
  explicit End(Worker& worker) : worker_(worker) {}
  void on_connected() override {
    words += "connected ";
    if (when_connected) when_connected();
  }
  void on_bytes(std::string_view bytes) override {
    heard += bytes;
    if (when_heard) when_heard();
  }
  void on_eof() override {
    words += "eof ";
    if (when_over) when_over();
  }
  void on_broken(int) override {
    words += "broken ";
    if (when_over) when_over();
  }
  void on_drained() override { words += "drained "; }
  void end(bool reset = false) {
    if (stream == nullptr) return;
    stream->end(reset);
    worker_.bury(std::move(stream));
  }

  std::unique_ptr<Stream> stream;
  std::string words;
  std::string heard;
  std::function<void()> when_connected;
  std::function<void()> when_heard;
  std::function<void()> when_over;

 private:
  Worker& worker_;
};

// The client dials a real listener, of which the server takes the accepted socket.
struct Talk {
  Talk() {
    const test::Socket listener = test::listen_anywhere();
    Turn turn(worker);
    const std::string to = "127.0.0.1:" + std::to_string(test::port_of(listener));
    client.stream = Stream::dial(worker, client, parse_address(to).value());
    client.stream->start_tls(*at_client, "a.test", nullptr);
    test::Socket accepted = test::accept_from(listener);
    fcntl(accepted.fd(), F_SETFL, O_NONBLOCK);
    server_fd = accepted.fd();
    server.stream = Stream::accepted(worker, accepted.release(), false);
    server.stream->hand_to(server);
    server.stream->start_tls(at_server, {});
    client.when_over = server.when_over = [this] { finish(); };
  }
  void finish() {
    client.end();
    server.end();
    worker.stop();
  }
  void run() {
    worker.run();
    CHECK(worker.blocks().in_use() == 0);
  }

  std::shared_ptr<const TlsServer> at_server = some_server();
  std::shared_ptr<const TlsClient> at_client = some_client();
  Worker worker{0};
  End server{worker};
  End client{worker};
  int server_fd = -1;
};

TEST_CASE("stream: bytes of every size pass through TLS in order, both ways", "[threads]") {
  Talk talk;
  std::string question = "small, ";
  question += std::string(20'000'000, 'q') + " then small again";
  const std::string answer(2'000'000, 'a');
  talk.client.when_connected = [&] {
    Stream& stream = *talk.client.stream;
    CHECK(std::string_view(stream.tls()->version()) == "TLSv1.3");
    stream.write(std::string_view(question).substr(0, 7));
    stream.write(std::string_view(question).substr(7, 20'000'000));
    CHECK(stream.congested());
    stream.write(std::string_view(question).substr(20'000'007));
  };
  talk.server.when_heard = [&] {
    if (talk.server.heard.size() < question.size()) return;
    talk.server.stream->out().append("head, ");
    talk.server.stream->write(answer);
    talk.server.stream->shutdown_when_flushed();
  };
  talk.run();
  CHECK(talk.server.heard == question);
  CHECK(talk.client.heard == "head, " + answer);
  CHECK(talk.client.words.find("eof") != std::string::npos);
  CHECK(talk.client.words.find("broken") == std::string::npos);
}

TEST_CASE("stream: a half-close of TLS leaves the other direction open", "[threads]") {
  Talk talk;
  talk.server.when_over = nullptr;
  talk.client.when_connected = [&] {
    talk.client.stream->write("question");
    talk.client.stream->shutdown_when_flushed();
  };
  talk.server.when_heard = [&] { talk.worker.defer([&] { talk.server.stream->write("answer"); }); };
  talk.client.when_heard = [&] { talk.worker.defer([&] { talk.finish(); }); };
  talk.run();
  CHECK(talk.server.words == "connected eof ");
  CHECK(talk.server.heard == "question");
  CHECK(talk.client.heard == "answer");
}

TEST_CASE("stream: a server's end without a close_notify is a cut") {
  for (const bool cut : {true, false}) {
    CAPTURE(cut);
    Talk talk;
    talk.server.when_connected = [&] {
      talk.worker.defer([&] {
        talk.server.stream->write("the last words");
        talk.server.stream->flush();
        if (cut) {
          ::shutdown(talk.server_fd, SHUT_WR);  // behind the stream's back
        } else {
          talk.server.stream->shutdown_when_flushed();
        }
      });
    };
    talk.run();
    CHECK(talk.client.heard == "the last words");
    CHECK(talk.client.words == (cut ? "connected broken " : "connected eof "));
  }
}

TEST_CASE("stream: a TLS stream may end at any moment") {
  for (const bool server_ends : {true, false}) {
    for (const char* when : {"connected", "congested", "heard"}) {
      CAPTURE(server_ends, when);
      Talk talk;
      End& one = server_ends ? talk.server : talk.client;
      End& other = server_ends ? talk.client : talk.server;
      one.when_connected = [&] {
        if (std::string_view(when) == "heard") return;
        if (std::string_view(when) == "congested") {
          one.stream->write(std::string(20'000'000, 'x'));
          CHECK(one.stream->congested());
        }
        one.end();
      };
      one.when_heard = [&] { one.end(); };
      other.when_connected = [&] {
        if (std::string_view(when) == "heard") other.stream->write("words");
      };
      talk.run();
      CHECK(one.stream == nullptr);
    }
  }
}

TEST_CASE("stream: what is no TLS breaks the handshake, and says why") {
  Talk talk;
  std::string failure;
  talk.client.when_over = [&] {
    failure = talk.client.stream->tls()->failure();
    talk.finish();
  };
  talk.server.end(true);
  talk.run();
  CHECK(talk.client.words == "broken ");
  CHECK(failure.empty());  // nobody spoke at all

  const test::Socket listener = test::listen_anywhere();
  Worker worker(1);
  End client(worker);
  const auto trust = some_client();
  client.when_over = [&] {
    failure = client.stream->tls()->failure();
    client.end();
    worker.stop();
  };
  {
    Turn turn(worker);
    const std::string to = "127.0.0.1:" + std::to_string(test::port_of(listener));
    client.stream = Stream::dial(worker, client, parse_address(to).value());
    client.stream->start_tls(*trust, "a.test", nullptr);
  }
  test::Socket accepted = test::accept_from(listener);
  accepted.send("HTTP/1.1 400 Bad Request\r\n\r\n");
  worker.run();
  CHECK(client.words == "broken ");
  CHECK(failure == "malformed");
}

}  // namespace
}  // namespace weir::net
