// What OpenSSL asks a server during a handshake. For tls*.cc only.
#pragma once

#include <openssl/ssl.h>

#include "net/tls_server.h"

namespace weir::net {

void install_server_callbacks(SSL_CTX* context, const TlsServerOptions& options);

}  // namespace weir::net
