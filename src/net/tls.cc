#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "net/tls_hooks.h"
#include "net/tls_text.h"

namespace weir::net {

namespace {

// Closed: they are label values of a metric.
const char* word_for(unsigned long code) {
  switch (ERR_GET_REASON(code)) {
    case SSL_R_NO_SHARED_CIPHER: return "no_shared_cipher";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_WRONG_SSL_VERSION: return "no_shared_version";
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_GROUPS: return "no_shared_curve";
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS: return "no_shared_signature_algorithm";
    case SSL_R_NO_APPLICATION_PROTOCOL: return "no_shared_protocol";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return "no_certificate";
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return "bad_certificate";
    default: break;
  }
  // Alerts have reasons of their own, from here on.
  return ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET ? "alert" : "malformed";
}

}  // namespace

// OpenSSL's way to bytes: what was read is there for the taking, what is written is kept.
struct TlsBio {
  static int read(BIO* bio, char* out, int size) noexcept {
    Tls& tls = *static_cast<Tls*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (tls.input_.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const size_t taken = std::min(tls.input_.size(), static_cast<size_t>(size));
    std::memcpy(out, tls.input_.data(), taken);
    tls.input_.remove_prefix(taken);
    return static_cast<int>(taken);
  }

  static int write(BIO* bio, const char* bytes, int size) noexcept {
    Tls& tls = *static_cast<Tls*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const auto count = static_cast<size_t>(size);
    if (tls.output_ == nullptr) {
      tls.pending_.append({bytes, count});
      return size;
    }
    WEIR_CHECK(tls.output_bytes_ + count <= Tls::kRecordBytes + Tls::kOverheadBytes);
    std::memcpy(tls.output_ + tls.output_bytes_, bytes, count);
    tls.output_bytes_ += count;
    return size;
  }

  static long control(BIO*, int command, long, void*) noexcept {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static BIO* make(Tls* tls) {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir");
      BIO_meth_set_read(made, read);
      BIO_meth_set_write(made, write);
      BIO_meth_set_ctrl(made, control);
      return made;
    }();
    BIO* bio = BIO_new(method);
    WEIR_CHECK(bio != nullptr);
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
  }
};

Tls::Tls(ssl_ctx_st* context, BlockPool& blocks) : ssl_(SSL_new(context)), pending_(blocks) {
  WEIR_CHECK(ssl_ != nullptr);
  SSL_set_app_data(ssl_, this);
  BIO* bio = TlsBio::make(this);
  SSL_set_bio(ssl_, bio, bio);
}

Tls::Tls(const TlsServer& server, uint32_t worker, BlockPool& blocks, std::string local_ip)
    : Tls(server.context(worker), blocks) {
  local_ip_ = std::move(local_ip);
  asks_for_certificate_ = server.asks_for_certificate();
  SSL_set_accept_state(ssl_);
}

Tls::Tls(const TlsClient& client, uint32_t worker, BlockPool& blocks,
         const std::string& server_name, std::shared_ptr<TlsTicket> ticket)
    : Tls(client.context(worker), blocks) {
  server_name_ = server_name;
  ticket_ = std::move(ticket);
  X509_VERIFY_PARAM* checks = SSL_get0_param(ssl_);
  if (X509_VERIFY_PARAM_set1_ip_asc(checks, server_name.c_str()) != 1) {
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    X509_VERIFY_PARAM_set1_host(checks, server_name.data(), server_name.size());
    SSL_set_tlsext_host_name(ssl_, server_name.c_str());
  }
  if (ticket_ != nullptr && ticket_->session() != nullptr) {
    SSL_set_session(ssl_, ticket_->session());
  }
  SSL_set_connect_state(ssl_);
}

Tls::~Tls() {
  // However it ended: the session may be resumed.
  SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl_);
}

// ---- bytes ----

Tls::Progress Tls::handshake(std::string_view& input) {
  if (state_ == State::kFailed) return Progress::kFailed;
  input_ = input;
  ERR_clear_error();
  const int status = SSL_do_handshake(ssl_);
  const int error = SSL_get_error(ssl_, status);
  input = std::exchange(input_, {});
  if (status == 1) {
    state_ = State::kOpen;
    local_ip_ = {};
    return Progress::kDone;
  }
  if (error == SSL_ERROR_WANT_READ) return Progress::kMore;
  fail();
  return Progress::kFailed;
}

void Tls::fail() {
  state_ = State::kFailed;
  const unsigned long code = ERR_peek_error();
  failure_ = word_for(code);
  if (SSL_is_server(ssl_) == 0 && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    failure_ = X509_verify_cert_error_string(SSL_get_verify_result(ssl_));
    distrusts_ = true;
  }
  ERR_clear_error();
}

size_t Tls::decrypt(std::string_view input, char* out, size_t room) {
  if (state_ != State::kOpen) return 0;
  input_ = input;
  size_t total = 0;
  ERR_clear_error();
  // The last read, which would only say that there is no more, is left out.
  while (total < room && (!input_.empty() || SSL_has_pending(ssl_) == 1)) {
    size_t count = 0;
    const int status = SSL_read_ex(ssl_, out + total, room - total, &count);
    if (status == 1) {
      total += count;
      continue;
    }
    const int error = SSL_get_error(ssl_, status);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_ZERO_RETURN) fail();
    if (error != SSL_ERROR_WANT_READ || input_.empty()) break;
  }
  input_ = {};
  return total;
}

size_t Tls::encrypt(std::string_view plain, char* out) {
  if (state_ != State::kOpen) return 0;
  output_ = out;
  output_bytes_ = 0;
  size_t count = 0;
  ERR_clear_error();
  const int status = SSL_write_ex(ssl_, plain.data(), plain.size(), &count);
  output_ = nullptr;
  if (status == 1 && count == plain.size()) return output_bytes_;
  fail();
  return 0;
}

void Tls::close() {
  if (state_ != State::kOpen || close_sent_) return;
  close_sent_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

bool Tls::peer_closed() const { return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0; }

// ---- facts ----

bool Tls::resumed() const { return SSL_session_reused(ssl_) == 1; }

const char* Tls::version() const { return SSL_get_version(ssl_); }

const char* Tls::cipher() const { return SSL_get_cipher_name(ssl_); }

std::string_view Tls::protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool Tls::serves(std::string_view host) const {
  return server_name_.empty() || iequals(server_name_, host) || group_->covers(host);
}

const TlsPeer* Tls::peer() const {
  if (!asks_for_certificate_) return nullptr;
  if (peer_ != nullptr) return peer_.get();
  peer_ = std::make_unique<TlsPeer>();
  X509* certificate = SSL_get1_peer_certificate(ssl_);
  if (certificate == nullptr) {
    peer_->verify = "NONE";
    return peer_.get();
  }
  const long result = SSL_get_verify_result(ssl_);
  if (result == X509_V_OK) {
    peer_->verify = "SUCCESS";
    peer_->subject = subject_text(certificate);
    peer_->names = alternative_names_text(certificate);
  } else {
    peer_->verify = std::string("FAILED:") + X509_verify_cert_error_string(result);
  }
  X509_free(certificate);
  return peer_.get();
}

}  // namespace weir::net
