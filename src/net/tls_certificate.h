// A certificate with its chain, its private key and a stapled OCSP answer, as read from files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

// OpenSSL's, which only tls*.cc know.
struct evp_pkey_st;
struct ocsp_basic_response_st;
struct ocsp_cert_id_st;
struct stack_st_X509;
struct x509_st;

namespace weir::net {

// What a server shows to its clients, or a client to a server. Made on the config thread, immutable
// from then on; any thread reads.
class TlsCertificate {
 public:
  // PEM: the certificate first, then the chain towards the root.
  static Result<std::shared_ptr<TlsCertificate>> read(std::string_view pem);
  ~TlsCertificate();
  TlsCertificate(const TlsCertificate&) = delete;
  TlsCertificate& operator=(const TlsCertificate&) = delete;

  // PEM, without a passphrase. Empty, or why it is not this certificate's key.
  std::string add_key(std::string_view pem);
  // DER, as `openssl ocsp -respout` writes it. Empty, or why clients could not use it.
  std::string add_ocsp(std::string_view der, int64_t now_unix_s);
  // What is said there, where it is not "good": clients will turn away.
  const std::string& ocsp_warning() const { return ocsp_warning_; }

  // Lower case: DNS names ("example.com", "*.example.com") and addresses ("10.0.0.1") of the
  // subject's alternative names; where there is not one DNS name, the common name.
  const std::vector<std::string>& names() const { return names_; }
  // What metrics and messages call it: its first name, else its subject.
  const std::string& label() const { return label_; }
  const std::string& key_kind() const { return key_kind_; }  // "RSA", "EC", "ED25519", ...
  int64_t not_before_s() const { return not_before_s_; }     // since 1970
  int64_t not_after_s() const { return not_after_s_; }

  // RFC 6125 6.4: exactly, or by a wildcard for the whole left-most label. Case is ignored; an
  // IPv6 address may stand in brackets.
  bool covers(std::string_view host) const;

  // For tls*.cc.
  x509_st* x509() const { return x509_; }
  stack_st_X509* chain() const { return chain_; }
  evp_pkey_st* key() const { return key_; }
  // Empty where there is none, or none that is still good then.
  std::string_view ocsp(int64_t now_unix_s) const {
    return now_unix_s < ocsp_until_s_ ? std::string_view(ocsp_) : std::string_view();
  }

 private:
  TlsCertificate() = default;
  void read_names();
  bool is_named_by(const ocsp_cert_id_st* id) const;
  std::string read_ocsp(ocsp_basic_response_st* basic, int64_t now_unix_s);

  x509_st* x509_ = nullptr;
  stack_st_X509* chain_ = nullptr;
  evp_pkey_st* key_ = nullptr;
  std::string ocsp_;
  std::string ocsp_warning_;
  std::vector<std::string> names_;
  std::string label_;
  std::string key_kind_;
  int64_t not_before_s_ = 0;
  int64_t not_after_s_ = 0;
  int64_t ocsp_until_s_ = 0;
};

// "2026-01-31T12:00:00Z"
std::string utc_text(int64_t unix_s);
// "expires at 2026-01-31T12:00:00Z, in 20 days" from 21 days before the end on, "expired at ..."
// from the end on; else empty.
std::string expiry_text(const TlsCertificate& certificate, int64_t now_unix_s);

}  // namespace weir::net
