// Any request to the admin listener, on a worker without sockets: it is answered once and whole,
// shows no secret, and nothing is done for somebody who must not.
//
// The first byte of an input chooses the world, the rest is the head of a request:
// bit 0: a token is set; bit 1: a reload fails; bit 2: the process ends while one waits.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "../unit/admin/fake_source.h"
#include "admin/admin.h"
#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "http/h1_parser.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace {

using namespace weir;

constexpr std::string_view kToken = "fuzz-t0ken";
constexpr const char* kHost = "127.0.0.1:9901";

// The client of one request; keeps what it is answered.
class Client final : public proxy::ClientSide {
 public:
  explicit Client(proxy::ProxyWorker& worker) : worker_(worker) {
    WEIR_CHECK(http::Address::parse("127.0.0.1", peer_));
  }

  // False: the bytes are no request that weir would take.
  bool ask(std::string_view bytes) {
    const http::HeadLimits limits;
    const http::HeadScan scan = http::scan_head(bytes, 0, true, limits);
    if (scan.refusal || scan.end == 0) return false;
    exchange_ = std::make_unique<proxy::Exchange>(worker_, *this);
    exchange_id_ = exchange_->id();
    http::H1Parser parser;
    Arena& arena = exchange_->arena();
    const std::string_view head = bytes.substr(scan.begin, scan.end - scan.begin);
    const http::Refusal refusal =
        parser.parse_request(arena.copy(head), limits, exchange_->request());
    note(exchange_->request());
    net::Turn turn(worker_.net());
    if (refusal)
      exchange_->refuse(refusal);
    else
      exchange_->start(exchange_->request().framing == http::Framing::kNone);
    return true;
  }
  void leave() {
    net::Turn turn(worker_.net());
    exchange_->on_client_failed(ErrorKind::kReset, "left");
  }
  bool waits() { return worker_.exchanges().find(exchange_id_) != nullptr; }

  // Of the request.
  bool is_post = false;
  bool bears_token = false;
  bool names_origin = false;
  std::string path;
  // Of the answer.
  int heads = 0;
  int status = 0;
  std::string fields;
  std::string body;
  bool was_cut = false;

 private:
  void note(const http::RequestHead& request) {
    is_post = request.method == http::Method::kPost;
    path = request.path;
    for (const http::Header& header : request.headers) {
      bears_token |= header.value.find(kToken) != std::string_view::npos;
      names_origin |= iequals(header.name, "Origin");
    }
  }

  const http::Address& peer() const override { return peer_; }
  http::ConnectionEnds ends() const override { return {}; }
  uint32_t listener_slot() const override { return 0; }
  std::string_view scheme() const override { return "http"; }
  const net::Tls* tls() const override { return nullptr; }
  bool must_close() const override { return false; }
  void send_informational(const http::ResponseHead&) override { WEIR_CHECK(heads == 0); }
  void send_head(const http::ResponseHead& head, const http::ResponseFraming& framing,
                 std::string_view) override {
    ++heads;
    status = head.status;
    length_ = framing.framing == http::Framing::kLength ? framing.content_length : 0;
    for (const http::Header& header : head.headers) {
      WEIR_CHECK(http::is_token(header.name) && http::is_field_value(header.value));
      fields.append(header.name).append(": ").append(header.value).append("\n");
    }
  }
  void send_body(std::span<const std::string_view> pieces) override {
    for (const std::string_view piece : pieces) body += piece;
  }
  void send_end(const http::HeaderList*) override { WEIR_CHECK(body.size() == length_); }
  bool congested() const override { return false; }
  size_t unsent() const override { return 0; }
  uint64_t bytes_out() const override { return body.size(); }
  void pause_body() override {}
  void resume_body() override {}
  uint64_t body_left() const override { return 0; }
  void start_tunnel() override { WEIR_CHECK(false); }
  void send_tunnel(std::string_view) override { WEIR_CHECK(false); }
  void shutdown_tunnel() override { WEIR_CHECK(false); }
  void exchange_over(bool cut) override {
    was_cut = cut;
    worker_.net().bury(std::move(exchange_));
  }

  proxy::ProxyWorker& worker_;
  std::unique_ptr<proxy::Exchange> exchange_;
  Id exchange_id_;
  http::Address peer_;
  uint64_t length_ = 0;
};

// Lives as long as the process: a worker is made once.
struct World {
  World() : worker({0, &metrics, nullptr, [](auto) {}}) {
    configure_log(LogLevel::kError, false);
    auto described = std::make_shared<proxy::ConfigDescription>();
    described->json = "{\"admin\": {\"token\": \"***\"}}\n";
    source.described = std::move(described);
    source.add_cluster("app", {"10.0.0.1:80"});
    source.publish({.number = 1, .cause = "start"}, 0);
  }
  void publish(bool with_token) {
    proxy::AdminConfig config;
    config.address = net::parse_address(kHost).value();
    if (with_token) config.token = kToken;
    net::Turn turn(worker.net());
    worker.publish(admin::make_admin_snapshot(source, config));
  }
  void let_time_pass() {
    net::Turn turn(worker.net());
    worker.net().timers().advance(worker.net().now_ms() + 100);
  }

  admin::FakeSource source;
  proxy::Metrics metrics;
  proxy::ProxyWorker worker;
};

void check_answer(const Client& client, bool has_token) {
  WEIR_CHECK(client.heads == 1 && !client.was_cut);
  WEIR_CHECK(client.status >= 200 && client.status <= 599);
  WEIR_CHECK(client.fields.find(kToken) == std::string::npos);
  WEIR_CHECK(client.body.find(kToken) == std::string::npos);
  const bool open = client.path.starts_with("/health/");
  if (client.status == 200 && client.path.starts_with('/') && has_token && !open) {
    // Only what shows nothing of the process is answered to everybody: OPTIONS.
    WEIR_CHECK(client.bears_token || client.body.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static World& world = *new World();
  const bool has_token = (data[0] & 1) != 0;
  const bool fails = (data[0] & 2) != 0;
  const bool ends = (data[0] & 4) != 0;
  world.publish(has_token);
  const uint64_t asked_before = world.source.reloads_asked_for();

  Client client(world.worker);
  const std::string_view head(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (!client.ask(head)) return 0;
  if (const uint64_t asked = world.source.reloads_asked_for(); asked != asked_before) {
    WEIR_CHECK(client.is_post && client.waits());
    WEIR_CHECK(!has_token || client.bears_token);
    if (ends) {
      world.source.is_draining = true;
    } else if (fails) {
      world.source.publish({.number = 2, .errors = {"x: unknown key"}}, asked);
    } else {
      world.source.publish({.number = 2}, asked);
    }
    world.let_time_pass();
    WEIR_CHECK(client.status == (ends ? 409 : fails ? 422 : 200));
    world.source.is_draining = false;
  }
  if (client.waits()) world.let_time_pass();  // a page that waits for its body: none comes
  if (client.waits()) {
    client.leave();
    WEIR_CHECK(!client.waits());
    return 0;
  }
  check_answer(client, has_token);
  return 0;
}
