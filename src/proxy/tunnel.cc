// Upgraded connections: after a proven 101 bytes go through both ways as they are. A tunnel lets go
// of its config snapshot, so that a WebSocket of a day neither keeps nor loses it.
#include <utility>

#include "base/limits.h"
#include "base/strings.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "upstream/health.h"

namespace weir::proxy {

// The server says 101. Both sides must have asked for the same thing.
void Exchange::on_upgraded() {
  count_upstream_answer();
  if (request_.upgrade.empty() || !iequals(request_.upgrade, response_->upgrade)) {
    const Error error = {Source::kUpstream, ErrorKind::kMalformed, Retry::kNever,
                         "101 that nobody asked for"};
    note_attempt_failure(error);
    fail(error);
    return;
  }
  upstream::note_success(*server_);
  judged_ = true;
  upgraded_ = true;
  if (bond_ != nullptr) make_bond_cookie();
  step_ = Step::kResponse;
  advance();
}

Step Exchange::start_tunnel() {
  committed_ = true;
  response_->headers.add("Via", http::via_of(response_->version));
  client_.send_head(*response_, {}, response_->upgrade);
  tunnel_idle_ms_ = cluster_->timeouts.tunnel_ms;
  // What the log line and the filters' end still need of the snapshot.
  route_name_ = arena_.copy(route_name_);
  kept_filters_ = route_->filters;
  server_ = nullptr;  // in_flight_ stays: its pool holds it
  unpin();
  touch_tunnel();
  step_ = Step::kTunnel;
  if (gate_ != nullptr) gate_->tunnel_began();
  if (has_connection()) worker_.tunnel_began(client_.listener_slot());
  while (!held_response_.empty()) {
    const std::string_view front = held_response_.front();
    client_.send_tunnel(front);
    held_response_.consume(front.size());
  }
  if (!client_.congested()) conn_->resume();
  client_.start_tunnel();
  return over() ? Step::kOver : Step::kWait;
}

void Exchange::on_tunnel_bytes(std::string_view bytes) {
  if (step_ != Step::kTunnel) {
    held_response_.append(bytes);  // the 101 is still with the response filters
    if (holds_enough(held_response_)) conn_->pause();
    return;
  }
  touch_tunnel();
  client_.send_tunnel(bytes);
  if (client_.congested()) {
    conn_->pause();
    conn_->read_less();
  }
}

void Exchange::on_client_tunnel_bytes(std::string_view bytes) {
  if (conn_ == nullptr) return;
  touch_tunnel();
  bytes_in_ += bytes.size();
  conn_->send_tunnel(bytes);
  if (conn_->congested()) {
    body_waits_ = true;
    client_.pause_body();
  }
}

// One side has ended: the other hears of it and may still speak.
void Exchange::on_tunnel_eof() {
  server_tunnel_eof_ = true;
  if (step_ != Step::kTunnel) {
    fail({Source::kUpstream, ErrorKind::kReset, Retry::kNever, "closed after its 101"});
    return;
  }
  client_.shutdown_tunnel();
  leave_tunnel_if_done();
}

void Exchange::on_client_tunnel_eof() {
  client_tunnel_eof_ = true;
  if (conn_ != nullptr) conn_->shutdown_tunnel();
  leave_tunnel_if_done();
}

void Exchange::leave_tunnel_if_done() {
  // One side has ended: the other gets a while for its last words, not the hour of a live tunnel.
  if ((client_tunnel_eof_ || server_tunnel_eof_) && tunnel_idle_ms_ > limits::kHalfClosedTunnelMs) {
    tunnel_idle_ms_ = limits::kHalfClosedTunnelMs;
    touch_tunnel();
  }
  if (!client_tunnel_eof_ || !server_tunnel_eof_) return;
  if (client_.unsent() > 0 || (conn_ != nullptr && conn_->unsent() > 0)) return;
  end(false);
}

void Exchange::touch_tunnel() { deadline_.arm_ms(tunnel_idle_ms_); }

void Exchange::on_tunnel_idle() {
  // Nothing has come, but what came before may still be on its way to somebody slow.
  const size_t unsent = client_.unsent() + (conn_ == nullptr ? 0 : conn_->unsent());
  if (unsent > 0 && unsent != std::exchange(tunnel_unsent_bytes_, unsent)) {
    touch_tunnel();
    return;
  }
  // Once one side has ended the other is waited for; before that it is weir that ends it.
  const Source source = client_tunnel_eof_   ? Source::kUpstream
                        : server_tunnel_eof_ ? Source::kClient
                                             : Source::kWeir;
  if (!error_) error_ = {source, ErrorKind::kTimeout, Retry::kNever, "tunnel idle"};
  end(true);
}

}  // namespace weir::proxy
