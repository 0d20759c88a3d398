// What a listener shows to its TLS clients: certificates by name, versions, ciphers, resumption,
// and whether it asks for a certificate of theirs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/tls_certificate.h"
#include "net/tls_memory.h"

// OpenSSL's, which only tls*.cc know.
struct ssl_ctx_st;
struct ssl_st;

namespace weir::net {

enum class TlsVersion : uint8_t { k12, k13 };
enum class ClientAuth : uint8_t { kOff, kOptional, kRequire };

struct TlsServerOptions {
  std::string listener;  // sessions are good for this name only
  std::vector<std::shared_ptr<const TlsCertificate>> certificates;  // the default first
  TlsVersion min_version = TlsVersion::k12;
  // In OpenSSL's words. Of TLS 1.2: forward secrecy and AEAD, for RSA and ECDSA.
  std::string ciphers =
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
  std::string suites_13 =
      "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
  std::string curves = "X25519:P-256:P-384";
  uint32_t security_level = 2;
  bool prefer_server_ciphers = true;  // but for clients that are fast at ChaCha20 only
  std::vector<std::string> protocols = {"http/1.1"};  // ALPN, the preferred one first
  size_t session_cache_bytes = 50u << 20;             // 0: none
  uint64_t session_timeout_ms = 86'400'000;           // of cached sessions and of tickets
  bool tickets = true;
  uint64_t ticket_rotate_ms = 43'200'000;
  std::vector<TicketKey> ticket_keys;  // from a file; empty: the process's own
  ClientAuth client_auth = ClientAuth::kOff;
  std::string client_ca;  // PEM; with client_auth
  std::shared_ptr<TlsMemory> memory;
  uint32_t workers = 1;
};

// Which certificates a cipher list can serve.
struct CipherUse {
  bool rsa = false;
  bool ecdsa = false;
  std::string without_forward_secrecy;  // the first such suite; empty: none
};
// `list` in OpenSSL's words for TLS 1.2. Fails when nothing of it exists.
Result<CipherUse> judge_ciphers(const std::string& list, uint32_t security_level);
// Empty, or why not: TLS 1.3 suites, groups, a PEM file of certificates to trust.
std::string why_no_suites(const std::string& list);
std::string why_no_curves(const std::string& list);
std::string why_no_trust(std::string_view pem);

// The certificates shown to whoever asks for one name: one of each kind of key. Sessions of one
// group are not resumed in another.
struct TlsGroup {
  std::vector<std::shared_ptr<const TlsCertificate>> certificates;
  std::string session_context;
  bool covers(std::string_view host) const;
};

// Immutable; any thread. Connections under way keep what they need of it.
class TlsServer {
 public:
  static Result<std::shared_ptr<const TlsServer>> make(TlsServerOptions options);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  // The group that a client with this server name is shown; an empty or unknown name: the default.
  const TlsGroup& group_for(std::string_view server_name) const;
  bool asks_for_certificate() const;
  // Whether both let in the same clients by their certificates.
  bool asks_like(const TlsServer& other) const;
  // Whether a client that names nobody is told apart by the address that it has reached.
  bool looks_at_address() const { return looks_at_address_; }

  // For tls*.cc. A worker has a context of its own: its reference count would be contended.
  struct State;
  ssl_ctx_st* context(uint32_t worker) const { return contexts_[worker % contexts_.size()]; }

 private:
  TlsServer() = default;
  std::shared_ptr<const State> state_;
  std::vector<ssl_ctx_st*> contexts_;
  bool looks_at_address_ = false;
};

}  // namespace weir::net
