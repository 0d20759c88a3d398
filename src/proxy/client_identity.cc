// What servers are told of the certificate that a client has shown.
#include <algorithm>

#include "http/rules.h"
#include "net/tls.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

namespace {

// Look-alikes, too: many a backend cannot tell them from the field itself.
void drop(const std::vector<std::string>& names, http::HeaderList& fields) {
  if (names.empty()) return;
  fields.remove_if([&names](const http::Header& field) {
    return std::any_of(names.begin(), names.end(), [&field](const std::string& name) {
      return http::same_variable(field.name, name);
    });
  });
}

}  // namespace

void Exchange::drop_reserved_fields(http::HeaderList& fields) const {
  drop(pinned_->snapshot->reserved_fields, fields);
  if (site_ != nullptr) drop(site_->own_fields, fields);
}

const std::vector<std::string>& Exchange::site_fields() const { return site_->own_fields; }

void Exchange::drop_site_fields() { drop(site_fields(), request_.headers); }

// Before routes and filters look at the request: nobody but weir says who the client is.
void Exchange::tell_client_identity() {
  drop_reserved_fields(request_.headers);
  const net::Tls* tls = client_.tls();
  const net::TlsPeer* peer = tls == nullptr ? nullptr : tls->peer();
  if (peer == nullptr) return;
  const ClientIdentityFields& fields = pinned_->snapshot->listeners[listener_].client_fields;
  const auto add = [this](std::string_view name, std::string_view value) {
    if (!value.empty()) request_.headers.add(arena_.copy(name), arena_.copy(value));
  };
  add(fields.verify, peer->verify);
  add(fields.subject, peer->subject);
  add(fields.names, peer->names);
}

}  // namespace weir::proxy
