#include "admin/client.h"

#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <thread>

#include "net/listener.h"
#include "support/sockets.h"
#include "support/temporary_folder.h"

namespace weir::admin {
namespace {

TEST_CASE("admin client: answers") {
  const Answer answer =
      parse_answer("HTTP/1.1 422 Unprocessable Content\r\nA: b\r\ncontent-length:  3 \r\n\r\nabcd")
          .value();
  CHECK(answer.status == 422);
  CHECK(answer.body == "abc");
  CHECK(parse_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").value().body.empty());
}

TEST_CASE("admin client: what is no answer of a weir") {
  const std::pair<const char*, const char*> rows[] = {
      {"", "the connection ended before an answer"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "the answer was cut"},
      {"HTTP/1.1 200 OK\r\nContent-Le", "the answer was cut"},
      {"SSH-2.0-OpenSSH_9.2\r\n", "what answers there does not speak HTTP as weir does"},
      {"HTTP/1.0 200 OK\r\n\r\n", "what answers there does not speak HTTP as weir does"},
      {"HTTP/1.1 200 OK\r\n\r\nbody", "what answers there does not speak HTTP as weir does"},
      {"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
       "what answers there does not speak HTTP as weir does"},
      {"HTTP/1.1 101 OK\r\nContent-Length: 0\r\n\r\n",
       "what answers there does not speak HTTP as weir does"},
      {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
       "what answers there does not speak HTTP as weir does"},
  };
  for (const auto& [bytes, why] : rows) {
    CAPTURE(bytes);
    CHECK(parse_answer(bytes).error() == why);
  }
}

// Accepts one client of `address`, and lets `serve` speak to it.
class OneServer {
 public:
  OneServer(const net::SocketAddress& address, std::function<void(test::Socket&)> serve)
      : listening_(net::open_listening_socket(address).value()) {
    address_ = net::bound_address(listening_.fd());
    thread_ = std::thread([this, serve = std::move(serve)] {
      pollfd entry = {listening_.fd(), POLLIN, 0};
      if (poll(&entry, 1, test::kPatienceMs) != 1) return;
      test::Socket client(accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      while (request_.find("\r\n\r\n") == std::string::npos) {
        const std::string piece = client.receive();
        if (piece.empty()) return;
        request_ += piece;
      }
      serve(client);
    });
  }
  ~OneServer() { join(); }
  std::string address() const { return address_.text(); }
  // What the client sent.
  const std::string& request() {
    join();
    return request_;
  }

 private:
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  test::Socket listening_;
  net::SocketAddress address_;
  std::string request_;
  std::thread thread_;
};

net::SocketAddress any_port() { return net::parse_address("127.0.0.1:0").value(); }

TEST_CASE("admin client: a conversation", "[threads]") {
  OneServer server(any_port(), [](test::Socket& client) {
    client.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    client.send("llo");
    client.receive();  // it knows the end by the length, whether the connection ends or not
  });
  Result<Answer> answer = ask({server.address(), "t0ken"}, "POST", "/reload", 5000);
  REQUIRE(answer.ok());
  CHECK(answer.value().status == 200);
  CHECK(answer.value().body == "hello");
  CHECK(server.request() == "POST /reload HTTP/1.1\r\nHost: " + server.address() +
                                "\r\nAccept: application/json\r\nConnection: close\r\n"
                                "Authorization: Bearer t0ken\r\n\r\n");
}

TEST_CASE("admin client: a unix socket", "[threads]") {
  const TemporaryFolder folder;
  const std::string path = "unix:" + folder.file("s");
  OneServer server(net::parse_address(path).value(), [](test::Socket& client) {
    client.send("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
  });
  CHECK(ask({path, ""}, "GET", "/status", 5000).value().status == 204);
  CHECK(server.request().find("Authorization") == std::string::npos);
  CHECK(server.request().find("Host: localhost\r\n") != std::string::npos);
}

TEST_CASE("admin client: who does not answer is named, with the reason", "[threads]") {
  OneServer slow(any_port(), [](test::Socket& client) { client.receive(); });
  CHECK(ask({slow.address(), ""}, "GET", "/", 100).error() ==
        "no weir answers at " + slow.address() + ": no answer in time");
  CHECK(ask({"unix:/nonexistent/s", ""}, "GET", "/", 100).error() ==
        "no weir answers at unix:/nonexistent/s: No such file or directory");
  const test::Socket bound(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));  // never listens
  const sockaddr_in any = test::loopback(0);
  REQUIRE(bind(bound.fd(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) == 0);
  const std::string nobody = net::bound_address(bound.fd()).text();
  CHECK(ask({nobody, ""}, "GET", "/", 5000).error() ==
        "no weir answers at " + nobody + ": Connection refused");
  CHECK(ask({"127.0.0.1", ""}, "GET", "/", 100).error() ==
        "127.0.0.1: a port is missing (host:port)");
  CHECK(ask({nobody, "a\nb"}, "GET", "/", 100).error() ==
        "the token holds a character that no header can carry");
}

}  // namespace
}  // namespace weir::admin
