// An HTTP/2 connection to a server that breaks where no loop has seen it yet.
#include "upstream/h2_conn.h"

#include <catch2/catch.hpp>

#include <optional>
#include <string>

#include "net/worker.h"
#include "support/sockets.h"
#include "upstream/pool.h"

namespace weir::upstream {
namespace {

// Sends nothing by itself, and keeps what it hears.
class User final : public ConnUser {
 public:
  explicit User(Arena& arena) : head_(arena), trailers_(arena) {}
  void write_preface(Buffer&) override {}
  void on_conn_ready(ServerSide& ready) override { side = &ready; }
  void on_conn_failed(const Error& why) override { error = why; }
  void on_conn_drained() override {}
  http::ResponseHead& next_response_head() override { return head_; }
  void on_informational() override {}
  void on_upgraded() override {}
  void on_response_head() override {}
  void on_response_body(std::string_view) override {}
  void on_response_end() override {}
  http::HeaderList& response_trailers() override { return trailers_; }
  void on_tunnel_bytes(std::string_view) override {}
  void on_tunnel_eof() override {}

  ServerSide* side = nullptr;
  std::optional<Error> error;

 private:
  http::ResponseHead head_;
  http::HeaderList trailers_;
};

class NoObserver final : public IdleObserver {
  void on_idle_added(uint32_t) override {}
  void on_idle_removed(uint32_t) override {}
};

Cluster cluster_at(StateRegistry& registry, uint16_t port) {
  Cluster cluster;
  Server server;
  server.address = "127.0.0.1:" + std::to_string(port);
  server.state = registry.endpoint("app", server.address);
  server.state->set_addresses({net::parse_address(server.address).value()});
  cluster.servers.push_back(std::move(server));
  Transport transport;
  transport.protocol = Protocol::kH2c;
  cluster.transport = std::make_shared<const Transport>(transport);
  return cluster;
}

// SETTINGS with an INITIAL_WINDOW_SIZE of 1 MiB, and as much for the connection.
constexpr std::string_view kWideWindows(
    "\0\0\6\4\0\0\0\0\0\0\4\0\x10\0\0"
    "\0\0\4\x8\0\0\0\0\0\0\x10\0\0",
    28);

TEST_CASE("a connection that breaks while frames are written is left, not written to for ever") {
  const test::Socket listener = test::listen_anywhere();
  StateRegistry registry;
  const Cluster cluster = cluster_at(registry, test::port_of(listener));
  net::Worker worker(0);
  NoObserver observer;
  Arena arena(worker.blocks());
  User user(arena);
  Pool pool(worker, observer, cluster.servers[0].state);
  {
    net::Turn turn(worker);
    pool.lease(cluster, cluster.servers[0], user, false);
  }
  test::Socket server = test::accept_from(listener);
  REQUIRE(server.send(kWideWindows));
  while (user.side == nullptr && !user.error) uv_run(worker.loop(), UV_RUN_ONCE);
  REQUIRE(user.side != nullptr);
  {
    net::Turn turn(worker);
    http::RequestHead head(arena);
    head.method = http::Method::kPost;
    head.method_text = "POST";
    head.target = head.path = "/";
    head.authority = "a";
    head.framing = http::Framing::kChunked;
    user.side->send_head({head, 0, nullptr, 0});
    user.side->send_body(std::string(300'000, 'x'));
  }
  server.reset();  // the flush comes before the loop looks at its sockets
  while (!user.error) uv_run(worker.loop(), UV_RUN_ONCE);
  CHECK(user.error->kind == ErrorKind::kReset);
  CHECK(pool.empty());
  worker.stop();
}

}  // namespace
}  // namespace weir::upstream
