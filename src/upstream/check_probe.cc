#include "upstream/check_probe.h"

#include <fmt/format.h>

#include <utility>

#include "base/limits.h"
#include "net/worker.h"
#include "upstream/grpc_health.h"

namespace weir::upstream {

namespace {

// The probe's own timer ends it, and says what was late.
constexpr uint64_t kSlackMs = 1'000;

// A connection says nothing of what is spoken over it: not a byte of a protocol is sent.
std::shared_ptr<const Transport> transport_of(const Cluster& cluster) {
  Transport transport = *cluster.transport;
  if (!cluster.check->sni.empty()) transport.server_name = cluster.check->sni;
  if (cluster.check->type == CheckType::kTcp) {
    transport.protocol = transport.tls == nullptr ? Protocol::kHttp1 : Protocol::kHttps;
  }
  return std::make_shared<const Transport>(std::move(transport));
}

std::string host_of(const CheckConfig& check, const Server& server) {
  if (!check.host.empty()) return check.host;
  return std::string(own_host(server.address));
}

std::string reason_of(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kConnect: return fmt::format("no connection: {}", error.detail);
    case ErrorKind::kTls:
    case ErrorKind::kCertificate: return fmt::format("TLS: {}", error.detail);
    case ErrorKind::kMalformed: return fmt::format("broken answer: {}", error.detail);
    case ErrorKind::kReset: return fmt::format("connection lost: {}", error.detail);
    default: return error.detail;
  }
}

bool is_good(const CheckConfig& check, int status) {
  for (const StatusRange& range : check.statuses) {
    if (status >= range.min && status <= range.max) return true;
  }
  return false;
}

}  // namespace

Probe::Probe(net::Worker& worker, Owner& owner, const Cluster& cluster, const Server& server,
             const net::SocketAddress& address)
    : worker_(worker),
      owner_(owner),
      timer_(worker.timers(), this, &net::Timer::call<Probe, &Probe::on_timeout>),
      arena_(worker.blocks()) {
  cluster_.name = cluster.name;
  cluster_.check = cluster.check;
  cluster_.check->host = host_of(*cluster.check, server);
  cluster_.transport = transport_of(cluster);
  cluster_.keepalive = {.idle = 0, .timeout_ms = 1, .requests = 1};
  const uint64_t patience_ms = cluster.check->timeout_ms + kSlackMs;
  cluster_.timeouts = {.connect_ms = patience_ms, .send_ms = patience_ms, .read_ms = patience_ms};
  Server& only = cluster_.servers.emplace_back();
  only.address = server.address;
  only.state = std::make_shared<EndpointState>(cluster.name, server.address, 0);
  only.state->set_addresses({address});
  pool_ = std::make_unique<Pool>(worker, observer_, only.state);
}

Probe::~Probe() {
  if (conn_ != nullptr) conn_->abandon();
  pool_->end_all();
}

void Probe::ask() {
  net::Turn turn(worker_);
  asking_ = true;
  asked_us_ = worker_.now_us();
  trailers_ = nullptr;
  head_ = nullptr;
  body_.clear();
  arena_.reset();
  timer_.arm_ms(cluster_.check->timeout_ms);
  conn_ = &pool_->lease(cluster_, cluster_.servers.front(), *this, true);
  if (conn_->ready()) on_conn_ready(*conn_);
}

// Names no client: there is none.
void Probe::write_preface(Buffer& out) {
  constexpr std::string_view kV1 = "PROXY UNKNOWN\r\n";
  constexpr std::string_view kV2Local("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
  switch (cluster_.transport->proxy_protocol) {
    case http::ProxyVersion::kNone: break;
    case http::ProxyVersion::kV1: out.append(kV1); break;
    case http::ProxyVersion::kV2: out.append(kV2Local); break;
  }
}

void Probe::on_conn_ready(ServerSide& side) {
  conn_ = &side;
  if (cluster_.check->type == CheckType::kTcp) {
    pass();
  } else {
    send_request();
  }
}

void Probe::send_request() {
  const CheckConfig& check = *cluster_.check;
  const bool grpc = check.type == CheckType::kGrpc;
  http::RequestHead head(arena_);
  head.method = grpc ? http::Method::kPost : http::Method::kGet;
  head.method_text = http::method_name(head.method);
  head.target = grpc ? kGrpcHealthPath : std::string_view(check.path);
  head.authority = check.host;
  head.headers.add("User-Agent", "weir-health-check");
  std::string message;
  if (grpc) {
    message = grpc_health_request(check.service);
    head.headers.add("Content-Type", "application/grpc");
    head.headers.add("TE", "trailers");
    head.version = http::Version::kHttp2;
    head.framing = http::Framing::kLength;
    head.content_length = message.size();
  }
  conn_->send_head({head, 0, nullptr, 0});
  if (!message.empty()) conn_->send_body(message);
  conn_->send_end(nullptr);
}

http::ResponseHead& Probe::next_response_head() {
  head_ = arena_.make<http::ResponseHead>(arena_);
  return *head_;
}

http::HeaderList& Probe::response_trailers() {
  if (trailers_ == nullptr) trailers_ = arena_.make<http::HeaderList>(arena_);
  return *trailers_;
}

void Probe::on_upgraded() { end_with("status 101"); }

void Probe::on_response_head() {
  const CheckConfig& check = *cluster_.check;
  if (check.type == CheckType::kGrpc) {
    if (head_->status != 200) end_with(fmt::format("status {}", head_->status));
  } else if (!is_good(check, head_->status)) {
    end_with(fmt::format("status {}", head_->status));
  } else if (check.body.empty()) {
    pass();
  }
}

void Probe::on_response_body(std::string_view piece) {
  if (!asking_) return;
  const CheckConfig& check = *cluster_.check;
  body_.append(piece.substr(0, limits::kCheckBodyBytes - body_.size()));
  if (check.type == CheckType::kHttp && body_.find(check.body) != std::string::npos) {
    pass();
  } else if (body_.size() == limits::kCheckBodyBytes) {
    end_with(fmt::format("the body does not match in its first {} bytes", body_.size()));
  }
}

void Probe::on_response_end() {
  if (!asking_) return;
  if (cluster_.check->type != CheckType::kGrpc) {
    end_with("the body does not match");
    return;
  }
  // A failure may stand in the head alone.
  const bool in_head = head_->headers.find("grpc-status") != nullptr;
  end_with(judge_grpc_health(in_head ? head_->headers : response_trailers(), body_));
}

void Probe::on_conn_failed(const Error& error) {
  conn_ = nullptr;
  // Without a descriptor left, say, nothing was learned of the server.
  if (asking_) end_with(reason_of(error), error.source == Source::kUpstream);
}

void Probe::on_timeout() {
  const uint64_t ms = cluster_.check->timeout_ms;
  const bool connected = conn_ != nullptr && conn_->ready();
  end_with(!connected         ? fmt::format("no connection within {} ms", ms)
           : head_ == nullptr ? fmt::format("no answer within {} ms", ms)
                              : fmt::format("no whole answer within {} ms", ms));
}

void Probe::end_with(std::string why, bool conclusive) {
  asking_ = false;
  timer_.cancel();
  ServerSide* conn = std::exchange(conn_, nullptr);
  if (conn != nullptr) conn->abandon();
  ProbeResult result;
  result.passed = why.empty();
  result.conclusive = conclusive;
  result.latency_us = worker_.now_us() - asked_us_;
  result.reason = std::move(why);
  owner_.on_probed(result);
}

}  // namespace weir::upstream
