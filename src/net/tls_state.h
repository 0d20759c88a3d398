// What the contexts of a TlsServer share. For tls*.cc only.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "base/strings.h"
#include "net/tls_server.h"

namespace weir::net {

// Immutable after construction; any thread. Lives as long as a context does.
struct TlsServer::State {
  TlsServerOptions options;
  std::string alpn;  // as on the wire
  std::vector<TlsGroup> groups;
  uint32_t default_group = 0;
  // By name, wildcards under ".example.com"; addresses as text.
  std::unordered_map<std::string, uint32_t, TextHash, std::equal_to<>> group_by_name;
  X509_STORE* trust = nullptr;  // with client_auth

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { X509_STORE_free(trust); }

  const TlsGroup& group_for(std::string_view name) const;
  // For a client that names nobody: the default, unless another one has the address it has reached.
  const TlsGroup& group_at(std::string_view local_ip) const;
};

}  // namespace weir::net
