// From OpenSSL's objects to ours, for its callbacks. For tls*.cc only.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <utility>

#include "net/tls.h"

namespace weir::net {

struct TlsHooks {
  static Tls& tls_of(const SSL* ssl) { return *static_cast<Tls*>(SSL_get_app_data(ssl)); }
  static const TlsServer::State& state_of(const SSL* ssl);
  static const TlsServer::State& state_of(const SSL_CTX* context);

  static const std::string& local_ip(const Tls& tls) { return tls.local_ip_; }
  static void choose(Tls& tls, std::string server_name, const TlsGroup& group) {
    tls.server_name_ = std::move(server_name);
    tls.group_ = &group;
  }
  static const TlsGroup& group(const Tls& tls) { return *tls.group_; }
  static TlsTicket* ticket(const Tls& tls) { return tls.ticket_.get(); }
};

// What both roles have in common; false with OpenSSL's error.
bool set_up_context(SSL_CTX* context);
bool show_certificate(SSL_CTX* context, const TlsCertificate& certificate);
// A store of the certificates of a PEM text; null with `why`.
X509_STORE* make_trust(std::string_view pem, std::string& why);
// Names as ALPN has them on the wire.
std::string alpn_wire(const std::vector<std::string>& protocols);

}  // namespace weir::net
