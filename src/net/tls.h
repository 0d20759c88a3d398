// The TLS of one stream: ciphertext to plaintext and back. Knows no sockets. OpenSSL's callbacks
// only take notes (rule L6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "net/tls_client.h"
#include "net/tls_server.h"

namespace weir::net {

// What is known of the one who showed a certificate. Text is ASCII, fit for a header field.
struct TlsPeer {
  std::string verify;   // "SUCCESS", "NONE" (no certificate), "FAILED:why"
  std::string subject;  // RFC 4514; empty unless verified
  std::string names;    // "DNS:a, URI:b"; empty unless verified
};

// Owner: its Stream. Thread: its worker's.
class Tls {
 public:
  // `local_ip`: the address that the client has reached, as text; for clients that name no server.
  Tls(const TlsServer& server, uint32_t worker, BlockPool& blocks, std::string local_ip);
  // `server_name` is what the certificate must hold, and unless it is an address what is asked for.
  // `ticket` may be null.
  Tls(const TlsClient& client, uint32_t worker, BlockPool& blocks, const std::string& server_name,
      std::shared_ptr<TlsTicket> ticket);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  // ---- facts, once the handshake is done ----
  bool open() const { return state_ == State::kOpen; }
  bool resumed() const;
  const char* version() const;  // "TLSv1.3"
  const char* cipher() const;
  std::string_view protocol() const;  // by ALPN: "h2", "http/1.1"; empty: none was agreed on
  std::string_view server_name() const { return server_name_; }  // as the client asked
  // May a client on this connection ask for `host`? Yes when the certificate it was shown covers
  // that, or when it asked for no other name (RFC 9110 7.4: else 421).
  bool serves(std::string_view host) const;
  // Of a server that asks for certificates; else null.
  const TlsPeer* peer() const;
  // Of a client: the server's certificate is why it failed.
  bool distrusts() const { return distrusts_; }
  // Why it failed: a literal.
  const char* failure() const { return failure_; }

  // ---- for Stream ----
  static constexpr size_t kRecordBytes = 16 * 1024;
  // What encrypt() adds at most: a client may ask for records of 512 bytes (RFC 6066 4), so there
  // may be 32 of them, of up to 85 bytes each beyond the plaintext.
  static constexpr size_t kOverheadBytes = 4096;

  enum class Progress : uint8_t { kMore, kDone, kFailed };
  // Goes on with the handshake as far as `input` brings it; the rest of `input` is for decrypt().
  Progress handshake(std::string_view& input);
  // All of `input`; `out` has room for its size and kRecordBytes more. After it, failed() and
  // peer_closed() may have become true; what was decrypted before that is good.
  size_t decrypt(std::string_view input, char* out, size_t room);
  bool failed() const { return state_ == State::kFailed; }
  bool peer_closed() const;  // a close_notify has come: the end is no truncation
  // Records from at most kRecordBytes; `out` has room for kOverheadBytes more. 0: it failed.
  size_t encrypt(std::string_view plain, char* out);
  void close();  // puts a close_notify to pending()
  // Records of OpenSSL's own making that have yet to leave: handshake, tickets, alerts.
  Buffer& pending() { return pending_; }

 private:
  friend struct TlsBio;
  friend struct TlsHooks;
  enum class State : uint8_t { kHandshake, kOpen, kFailed };

  Tls(ssl_ctx_st* context, BlockPool& blocks);
  void fail();

  ssl_st* ssl_;
  Buffer pending_;
  std::string_view input_;  // what OpenSSL may still read, during a call
  char* output_ = nullptr;  // where OpenSSL's records go during encrypt(); null: pending_
  size_t output_bytes_ = 0;
  const TlsGroup* group_ = nullptr;  // lives as long as the context that ssl_ holds
  std::string server_name_;
  std::string local_ip_;
  std::shared_ptr<TlsTicket> ticket_;
  mutable std::unique_ptr<TlsPeer> peer_;  // made when first asked for
  const char* failure_ = "";
  State state_ = State::kHandshake;
  bool asks_for_certificate_ = false;
  bool close_sent_ = false;
  bool distrusts_ = false;
};

}  // namespace weir::net
