#include "proxy/arrival.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "http/proxy_protocol.h"
#include "net/tls.h"
#include "net/worker.h"
#include "proxy/connection.h"
#include "proxy/h2_connection.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

bool Arrival::needed(const ListenerConfig& listener) {
  return listener.proxy_protocol || listener.tls != nullptr || listener.protocols.h2c;
}

Arrival::Arrival(ProxyWorker& worker, Client&& client)
    : ClientConnection(worker, std::move(client)),
      timer_(worker.net().timers(), this, &net::Timer::call<Arrival, &Arrival::on_timeout>) {
  const ListenerConfig& listener = worker.listener_config(client_.slot);
  client_.stream->start_reading();
  if (listener.proxy_protocol) {
    phase_ = Phase::kProxyHeader;
    timer_.arm_ms(listener.timeouts.header_ms);
  } else {
    await_protocol();
  }
}

void Arrival::on_bytes(std::string_view bytes) {
  switch (phase_) {
    case Phase::kProxyHeader: take_proxy_header(bytes); return;
    case Phase::kProtocol: read_protocol(bytes); return;
    case Phase::kRefused:
      refused_bytes_ += bytes.size();
      if (refused_bytes_ > limits::kLingerBytes) end();
      return;
    case Phase::kHandshake:
    case Phase::kOver: return;
  }
}

void Arrival::on_eof() {
  // A balancer that looks whether the port is open says nothing.
  if (phase_ == Phase::kProxyHeader && !held_.empty()) {
    refuse_proxy_header("closed in the header");
  } else if (phase_ == Phase::kHandshake) {
    fail_tls("closed");
  } else {
    end();
  }
}

void Arrival::on_broken(int) {
  if (phase_ != Phase::kHandshake) {
    end(true);
    return;
  }
  const net::Tls* tls = client_.stream->tls();
  fail_tls(tls != nullptr && tls->failed() ? tls->failure() : "closed");
}

void Arrival::on_timeout() {
  if (phase_ == Phase::kProxyHeader) {
    refuse_proxy_header("header timeout");
  } else if (phase_ == Phase::kHandshake || (phase_ == Phase::kProtocol && owes_hello())) {
    fail_tls("timeout");
  } else {
    end();
  }
}

// A client that has just connected has a request on its way: whoever speaks with it then lets it
// have its answer. One that has not said a word need not be waited for as long as it may take.
void Arrival::drain() {
  if (phase_ == Phase::kProxyHeader || phase_ == Phase::kProtocol) {
    timer_.arm_ms(std::min(timer_.left_ms(), limits::kLastRequestMs));
  }
}

// ---- the PROXY header ----

void Arrival::take_proxy_header(std::string_view bytes) {
  if (!held_.empty()) bytes = held_.append(bytes);
  const http::ProxyHeader header = http::parse_proxy_header(bytes);
  switch (header.state) {
    case http::ProxyHeader::State::kPartial:
      if (held_.empty()) held_.assign(bytes);
      return;
    case http::ProxyHeader::State::kBad: refuse_proxy_header(header.reason); return;
    case http::ProxyHeader::State::kComplete: break;
  }
  if (header.has_ends) {
    client_.peer = header.ends.source;
    client_.ends = std::make_unique<http::ConnectionEnds>(header.ends);
    if (!worker_.reseat(client_)) {
      end();
      return;
    }
  }
  std::string held;
  if (!held_.empty()) {
    held.swap(held_);
    bytes = held;
  }
  await_protocol();
  if (bytes.size() > header.size_bytes) on_bytes(bytes.substr(header.size_bytes));
}

// What comes next is the client's own.
void Arrival::await_protocol() {
  const ListenerTimeouts& timeouts = worker_.listener_config(client_.slot).timeouts;
  phase_ = Phase::kProtocol;
  timer_.arm_ms(owes_hello() ? timeouts.handshake_ms : timeouts.header_ms);
}

// By the rules of now: a reload may have given the listener TLS, or taken it away, since the client
// connected. One that has begun to speak in the clear goes on so.
bool Arrival::owes_hello() const {
  return held_.empty() && worker_.listener_config(client_.slot).tls != nullptr;
}

// No answer: nobody knows in which protocol.
void Arrival::refuse_proxy_header(const char* reason) {
  rare_counters().add("weir_protocol_errors_total", {{"protocol", "proxy"}, {"reason", reason}});
  char text[45];
  static LogThrottle throttle(10'000);
  log_warn_once_per(throttle, "listener {}: PROXY header from {}: {}; closed",
                    worker_.listener_config(client_.slot).name,
                    std::string_view(text, client_.peer.format(text)), reason);
  end();
}

// ---- TLS ----

// A handshake begins with this kind of record (RFC 8446 5.1); a method of HTTP begins with a
// letter.
void Arrival::begin_tls(std::string_view bytes) {
  constexpr char kHandshakeRecord = 22;
  if (bytes[0] == kHandshakeRecord) {
    phase_ = Phase::kHandshake;
    client_.stream->start_tls(worker_.listener_config(client_.slot).tls, bytes);
  } else if (bytes[0] >= 'A' && bytes[0] <= 'Z') {
    refuse_plain_http();
  } else {
    fail_tls("malformed");
  }
}

void Arrival::on_connected() {
  const net::Tls& tls = *client_.stream->tls();
  Metrics& metrics = worker_.metrics();
  (tls.resumed() ? metrics.tls_resumed : metrics.tls_full).add();
  if (tls.protocol() == "h2") {
    become_h2({});
  } else if (worker_.listener_config(client_.slot).protocols.http1) {
    become_h1({});
  } else {
    fail_tls("no_h2");  // a client without ALPN, where nothing else is spoken
  }
}

void Arrival::fail_tls(const char* why) {
  worker_.metrics().tls_failed.add();
  rare_counters().add("weir_protocol_errors_total", {{"protocol", "tls"}, {"reason", why}});
  static LogThrottle throttle(10'000);
  char peer[46];
  log_warn_once_per(throttle, "listener {}: TLS handshake with {}: {}",
                    worker_.listener_config(client_.slot).name,
                    std::string_view(peer, client_.peer.format(peer)), why);
  end();
}

// The answer is what a person sees who left out the "s" of the URL.
void Arrival::refuse_plain_http() {
  constexpr std::string_view kBody = "This port speaks HTTPS; the request was plain HTTP.\n";
  phase_ = Phase::kRefused;
  timer_.arm_ms(limits::kLingerMs);
  rare_counters().add("weir_protocol_errors_total",
                      {{"protocol", "tls"}, {"reason", "plain_http"}});
  std::string answer = "HTTP/1.1 400 Bad Request\r\nDate: ";
  answer += worker_.date();
  answer += "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(kBody.size());
  answer += "\r\nConnection: close\r\n\r\n";
  answer += kBody;
  client_.stream->write(answer);
  client_.stream->shutdown_when_flushed();
}

// ---- who speaks with it from here on ----

// In the clear: a client with prior knowledge says so by the preface (RFC 9113 3.3). On a listener
// for nothing else, its absence is an error of HTTP/2.
void Arrival::read_protocol(std::string_view bytes) {
  if (owes_hello()) {
    begin_tls(bytes);
    return;
  }
  const Protocols& protocols = worker_.listener_config(client_.slot).protocols;
  if (!protocols.h2c) {
    become_h1(bytes);
    return;
  }
  held_ += bytes;
  const size_t seen = std::min(held_.size(), http::kH2Preface.size());
  const bool fits = http::kH2Preface.substr(0, seen) == std::string_view(held_).substr(0, seen);
  if (fits && seen < http::kH2Preface.size()) return;
  const std::string early = std::move(held_);
  if (fits || !protocols.http1) {
    become_h2(early);
  } else {
    become_h1(early);
  }
}

// The client speaks that; `early` is what it has said already.
template <typename Speaker>
void Arrival::become(std::string_view early) {
  phase_ = Phase::kOver;
  timer_.cancel();
  auto connection = std::make_unique<Speaker>(worker_, std::move(client_));
  Speaker& successor = *connection;
  worker_.adopt(std::move(connection));
  worker_.forget(*this);
  if (worker_.must_leave(successor)) successor.drain();
  if (!early.empty()) successor.on_bytes(early);
}

void Arrival::end(bool reset) {
  if (phase_ == Phase::kOver) return;
  phase_ = Phase::kOver;
  timer_.cancel();
  client_.stream->end(reset);
  worker_.net().bury(std::move(client_.stream));
  worker_.forget(*this);
}

}  // namespace weir::proxy
