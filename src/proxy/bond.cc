// Sticky upstreams: whom the client is bound to, and the cookie that binds it.
#include "http/set_cookie.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "upstream/sticky.h"

namespace weir::proxy {

const upstream::Server* Exchange::bound_server() {
  if (bond_ == nullptr) {
    bond_ = arena_.make<upstream::Bond>(
        cluster_->sticky->read(request_.headers, worker_.wall_us() / 1'000'000));
  }
  const bool bound = bond_->server != upstream::Bond::kNobody;
  return bound ? &cluster_->servers[bond_->server] : nullptr;
}

// What a client is bound to the server of the present try for, others do not have.
bool Exchange::is_bound_here() { return cluster_->sticky != nullptr && bound_server() == server_; }

// The cookie names the server that has answered. A server that fails binds nobody.
void Exchange::make_bond_cookie() {
  constexpr int kFirstOfServerErrors = 500;
  if (response_->status >= kFirstOfServerErrors) return;
  if (server_ == bound_server() && !bond_->renew) return;
  char value[upstream::Sticky::kValueBytes];
  const upstream::Sticky& sticky = *cluster_->sticky;
  bond_cookie_ = arena_.copy(sticky.write(*server_, worker_.wall_us() / 1'000'000, value));
}

void Exchange::tell_bond() {
  const upstream::Sticky& sticky = *cluster_->sticky;
  http::add_cookie(response_->headers, sticky.cookie(), bond_cookie_, sticky.ttl_s(),
                   scheme() == "https");
}

}  // namespace weir::proxy
