// How weir, as a client, meets the servers of one upstream: whom it trusts, who it says it is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/tls_certificate.h"
#include "net/tls_server.h"

struct ssl_session_st;

namespace weir::net {

struct TlsClientOptions {
  bool verify = true;
  std::string ca;                                     // PEM of whom to trust; empty: the system's
  std::shared_ptr<const TlsCertificate> certificate;  // null: none is shown
  std::vector<std::string> protocols;                 // ALPN; empty: none is asked for
  uint32_t workers = 1;
};

// The last session that a server gave, for the next connection to it. Owned by whoever dials that
// server, and by the connections under way. One worker.
class TlsTicket {
 public:
  TlsTicket() = default;
  ~TlsTicket();
  TlsTicket(const TlsTicket&) = delete;
  TlsTicket& operator=(const TlsTicket&) = delete;

  // For tls*.cc.
  void keep(ssl_session_st* session);  // takes it over
  ssl_session_st* session() const { return session_; }

 private:
  ssl_session_st* session_ = nullptr;
};

// Immutable; any thread. Connections under way keep what they need of it.
class TlsClient {
 public:
  static Result<std::shared_ptr<const TlsClient>> make(TlsClientOptions options);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // For tls*.cc.
  ssl_ctx_st* context(uint32_t worker) const { return contexts_[worker % contexts_.size()]; }

 private:
  TlsClient() = default;
  std::vector<ssl_ctx_st*> contexts_;
};

}  // namespace weir::net
