// Certificates for tests, made on the spot: self-signed or by another one of them.
#pragma once

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>

#include "base/check.h"
#include "net/tls_certificate.h"

namespace weir::test {

struct Wanted {
  std::string common_name = "test";
  std::string names;            // "DNS:a.test,IP:127.0.0.1"; empty: no such extension
  const char* key_kind = "EC";  // or "RSA"
  int64_t from_s = -86'400;     // from now
  int64_t until_s = 90 * 86'400;
  bool is_ca = false;
};

class MadeCertificate;

struct WantedOcsp {
  int64_t until_s = 86'400;                 // from now
  int status = 0;                           // V_OCSP_CERTSTATUS_GOOD
  const MadeCertificate* issuer = nullptr;  // null: it is its own
};

class MadeCertificate {
 public:
  explicit MadeCertificate(const Wanted& wanted, const MadeCertificate* issuer = nullptr)
      : key_(std::string_view(wanted.key_kind) == "RSA" ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"),
             EVP_PKEY_free),
        x509_(X509_new(), X509_free) {
    X509* made = x509_.get();
    X509_set_version(made, X509_VERSION_3);
    static long serial = 1000;
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_time_adj_ex(X509_getm_notBefore(made), 0, wanted.from_s, nullptr);
    X509_time_adj_ex(X509_getm_notAfter(made), 0, wanted.until_s, nullptr);
    const auto* name = reinterpret_cast<const unsigned char*>(wanted.common_name.data());
    X509_NAME* subject = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name,
                               static_cast<int>(wanted.common_name.size()), -1, 0);
    X509_set_issuer_name(made,
                         issuer == nullptr ? subject : X509_get_subject_name(issuer->x509_.get()));
    X509_set_pubkey(made, key_.get());
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer == nullptr ? made : issuer->x509_.get(), made, nullptr, nullptr,
                   0);
    if (!wanted.names.empty()) extend(context, NID_subject_alt_name, wanted.names.c_str());
    extend(context, NID_basic_constraints, wanted.is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    EVP_PKEY* signer = issuer == nullptr ? key_.get() : issuer->key_.get();
    WEIR_CHECK(X509_sign(made, signer, EVP_sha256()) > 0);
  }

  std::string cert_pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, x509_.get());
    return text_of(bio);
  }
  std::string key_pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return text_of(bio);
  }

  // What its issuer says of it.
  std::string ocsp_der(const WantedOcsp& wanted = {}) const {
    const MadeCertificate& issuer = wanted.issuer == nullptr ? *this : *wanted.issuer;
    OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
    ASN1_TIME* from = X509_gmtime_adj(nullptr, -60);
    ASN1_TIME* until = X509_time_adj_ex(nullptr, 0, wanted.until_s, nullptr);
    OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha256(), x509_.get(), issuer.x509_.get());
    ASN1_TIME* revoked = wanted.status == V_OCSP_CERTSTATUS_REVOKED ? from : nullptr;
    OCSP_basic_add1_status(basic, id, wanted.status, 0, revoked, from, until);
    OCSP_basic_sign(basic, issuer.x509_.get(), issuer.key_.get(), EVP_sha256(), nullptr, 0);
    OCSP_RESPONSE* answer = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char* bytes = nullptr;
    const int size = i2d_OCSP_RESPONSE(answer, &bytes);
    std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    OPENSSL_free(bytes);
    OCSP_RESPONSE_free(answer);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    OCSP_BASICRESP_free(basic);
    return der;
  }

 private:
  void extend(X509V3_CTX& context, int kind, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
    WEIR_CHECK(extension != nullptr);
    X509_add_ext(x509_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  static std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<size_t>(size));
    BIO_free(bio);
    return text;
  }

  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> x509_;
};

inline std::shared_ptr<const net::TlsCertificate> loaded(const MadeCertificate& made) {
  std::shared_ptr<net::TlsCertificate> certificate =
      net::TlsCertificate::read(made.cert_pem()).value();
  WEIR_CHECK(certificate->add_key(made.key_pem()).empty());
  return certificate;
}

// One pair for tests that only need some: a.test and 127.0.0.1, valid for 90 days.
inline const MadeCertificate& some_certificate() {
  static const MadeCertificate made({.names = "DNS:a.test,IP:127.0.0.1"});
  return made;
}

}  // namespace weir::test
