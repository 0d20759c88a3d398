#include "net/tls_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <utility>

#include "base/check.h"
#include "net/tls_hooks.h"
#include "net/tls_text.h"

namespace weir::net {

namespace {

int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept {
  TlsTicket* ticket = TlsHooks::ticket(TlsHooks::tls_of(ssl));
  if (ticket == nullptr) return 0;
  ticket->keep(session);
  return 1;
}

std::string set_up_client(SSL_CTX* context, const TlsClientOptions& options, X509_STORE* trust) {
  if (!set_up_context(context) || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
    return openssl_error();
  }
  if (options.verify) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (trust != nullptr) {
      SSL_CTX_set1_cert_store(context, trust);
    } else if (SSL_CTX_set_default_verify_file(context) != 1 ||
               SSL_CTX_set_default_verify_dir(context) != 1) {
      // Not the third place that OpenSSL knows, a store: it reads the whole folder in the midst of
      // each handshake with a server that the other two do not know.
      return "the system's certificates: " + openssl_error();
    }
  }
  if (options.certificate != nullptr && !show_certificate(context, *options.certificate)) {
    return openssl_error();
  }
  const std::string alpn = alpn_wire(options.protocols);
  if (!alpn.empty() &&
      SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(alpn.data()),
                              static_cast<unsigned int>(alpn.size())) != 0) {
    return openssl_error();
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_new_session);
  return {};
}

}  // namespace

TlsTicket::~TlsTicket() { SSL_SESSION_free(session_); }

void TlsTicket::keep(ssl_session_st* session) {
  SSL_SESSION_free(std::exchange(session_, session));
}

Result<std::shared_ptr<const TlsClient>> TlsClient::make(TlsClientOptions options) {
  using Made = Result<std::shared_ptr<const TlsClient>>;
  WEIR_CHECK(options.workers > 0);
  std::string why;
  X509_STORE* trust = nullptr;
  if (options.verify && !options.ca.empty()) {
    trust = make_trust(options.ca, why);
    if (trust == nullptr) return Made::failure(why);
  }
  ERR_clear_error();
  std::shared_ptr<TlsClient> client(new TlsClient);
  for (uint32_t i = 0; i < options.workers && why.empty(); ++i) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    if (context == nullptr) {
      why = openssl_error();
      break;
    }
    client->contexts_.push_back(context);
    why = set_up_client(context, options, trust);
  }
  X509_STORE_free(trust);
  if (!why.empty()) return Made::failure(why);
  return Made(std::move(client));
}

TlsClient::~TlsClient() {
  for (SSL_CTX* context : contexts_) SSL_CTX_free(context);
}

}  // namespace weir::net
