// Which requests get a shadow, how many there may be, and when they go out.
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "proxy/shadow.h"

namespace weir::proxy {

Shadows::Shadows(ProxyWorker& worker) : worker_(worker), slots_(limits::kShadowsMax) {}

Shadows::~Shadows() { WEIR_CHECK(live_.empty()); }

// By chance, request by request: a hash of the client would show the new server the same few
// clients again and again.
bool Shadows::drawn(double sample) {
  if (sample >= 1) return true;
  uint32_t number = 0;
  worker_.random_bytes(reinterpret_cast<uint8_t*>(&number), sizeof(number));
  return number < sample * 0x1p32;
}

Shadow* Shadows::begin(const Route& route, Epoch& epoch, const http::RequestHead& request) {
  const Mirror& mirror = *route.mirror;
  if (!drawn(mirror.sample)) return nullptr;
  const uint64_t length = request.framing == http::Framing::kLength ? request.content_length : 0;
  // Half of memory.buffers is the real requests' alone.
  const bool room = !worker_.draining() && slots_.size() < limits::kShadowsMax &&
                    !BlockBudget::scarce() && length <= mirror.max_body_bytes &&
                    held_bytes_ + length <= limits::kShadowBytesMax;
  if (!room) {
    count(route, MirrorResult::kSkipped);
    return nullptr;
  }
  auto shadow = std::make_unique<Shadow>(*this, route, epoch);
  shadow->id_ = slots_.insert(*shadow);
  live_.push_back(*shadow);
  return shadow.release();
}

void Shadows::count(const Route& route, MirrorResult result) {
  worker_.metrics().mirror_requests.add(
      Metrics::mirror_key(route.label, route.mirror->cluster->index, result));
}

// By way of the mailbox: this iteration's bytes, the real requests' among them, leave before.
void Shadows::queue(Shadow& shadow) {
  ready_.push_back(shadow);
  if (posted_) return;
  posted_ = true;
  worker_.net().post([this] { start_some(); });
}

// A few at a time: between them the loop serves others.
void Shadows::start_some() {
  posted_ = false;
  for (uint32_t i = 0; i < limits::kShadowsInARow; ++i) {
    Shadow* const shadow = ready_.pop_front();
    if (shadow == nullptr) return;
    shadow->start();
  }
  if (ready_.empty()) return;
  posted_ = true;
  worker_.net().post([this] { start_some(); });
}

void Shadows::cut_all() {
  while (Shadow* shadow = live_.front()) shadow->cut();
}

void Shadows::forget(Shadow& shadow) {
  held_bytes_ -= std::exchange(shadow.held_bytes_, 0);
  shadow.live_.unlink();
  shadow.ready_.unlink();
  slots_.erase(shadow.id_);
  worker_.unpin(&shadow.epoch_);
  worker_.net().bury(std::unique_ptr<net::Mortal>(&shadow));
}

// ---- the exchange's part ----

// A request that is a shadow itself is not mirrored again: a mirror that leads back to weir would
// never end. Clients cannot say so of theirs: servers might believe it. What trusted proxies say
// goes on.
void Exchange::read_mirror_mark() {
  request_.headers.remove_if([this](const http::Header& field) {
    if (!http::same_variable(field.name, kMirrorMark)) return false;
    may_mirror_ = false;
    return !identity_.peer_trusted;
  });
}

// The first head that a server gets is what is mirrored, and what has come of its body so far.
// Tunnels and gRPC, whose streams may live for hours, have no second listener.
void Exchange::begin_shadow(const upstream::OutgoingHead& sent) {
  may_mirror_ = false;
  if (!request_.upgrade.empty() || grpc_) return;
  Shadow* const shadow = worker_.shadows().begin(*route_, *pinned_, request_);
  if (shadow == nullptr) return;
  shadow_ = shadow->id();
  const upstream::Cluster& cluster = *route_->mirror->cluster;
  char preface[http::kProxyHeaderOutBytes];
  const size_t preface_bytes = format_preface(*cluster.transport, preface);
  shadow->take_head(sent, request_hash(cluster), {preface, preface_bytes});
  shadow->take_body(held_request_);
  if (request_done_) end_shadow_body();
}

void Exchange::end_shadow_body() {
  if (Shadow* shadow = worker_.shadows().find(shadow_)) shadow->complete(request_trailers_);
}

void Exchange::take_shadow_body(std::string_view piece) {
  if (Shadow* shadow = worker_.shadows().find(shadow_)) shadow->take_body(piece);
}

void Exchange::tell_shadow_status() {
  if (Shadow* shadow = worker_.shadows().find(shadow_)) {
    shadow->note_real_status(response_->status);
  }
}

void Exchange::leave_shadow() {
  if (Shadow* shadow = worker_.shadows().find(shadow_)) shadow->on_exchange_over();
  shadow_ = {};
}

}  // namespace weir::proxy
