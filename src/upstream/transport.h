// How the servers of a cluster are spoken to. Immutable; belongs to a config snapshot and to the
// connections that were made by it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "http/proxy_protocol.h"
#include "net/tls_client.h"

namespace weir::upstream {

enum class Protocol : uint8_t {
  kHttp1,  // HTTP/1.1
  kH2c,    // HTTP/2 with prior knowledge
  kHttps,  // HTTP/1.1 over TLS
  kH2,     // over TLS HTTP/2 or HTTP/1.1, as the server chooses by ALPN
};

struct Transport {
  Protocol protocol = Protocol::kHttp1;
  // A connection begins with a header that names the client of its one request.
  http::ProxyVersion proxy_protocol = http::ProxyVersion::kNone;
  std::shared_ptr<const net::TlsClient> tls;  // null in the clear
  std::string server_name;                    // for TLS; empty: the host of the server's address
  uint64_t identity = 0;                      // digest of all that `tls` was made of

  bool may_be_h2() const { return protocol == Protocol::kH2c || protocol == Protocol::kH2; }
  // Connections of one are as good for the other.
  bool same_as(const Transport& other) const {
    return protocol == other.protocol && proxy_protocol == other.proxy_protocol &&
           server_name == other.server_name && identity == other.identity;
  }
};

}  // namespace weir::upstream
