#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "net/tls_hooks.h"
#include "net/tls_text.h"

namespace weir::net {

bool set_up_context(SSL_CTX* context) {
  // Compression is CRIME, renegotiation a lever for floods and confusion.
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  // Idle connections hold no buffers; who writes again after a full socket may bring other memory;
  // chains are sent as they are in the file.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_NO_AUTO_CHAIN);
  return SSL_CTX_set_max_early_data(context, 0) == 1;
}

bool show_certificate(SSL_CTX* context, const TlsCertificate& certificate) {
  return SSL_CTX_use_cert_and_key(context, certificate.x509(), certificate.key(),
                                  certificate.chain(), 1) == 1;
}

X509_STORE* make_trust(std::string_view pem, std::string& why) {
  ERR_clear_error();
  X509_STORE* store = X509_STORE_new();
  const BioPtr bio = bio_over(pem);
  size_t count = 0;
  bool good = store != nullptr;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    good = good && X509_STORE_add_cert(store, certificate) == 1;
    X509_free(certificate);
    ++count;
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (good && count > 0 && at_end) {
    ERR_clear_error();
    return store;
  }
  const std::string error = openssl_error();
  why = count == 0 && at_end ? "holds no certificate in PEM" : "has a broken certificate: " + error;
  X509_STORE_free(store);
  return nullptr;
}

std::string alpn_wire(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const std::string& protocol : protocols) {
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

}  // namespace weir::net
