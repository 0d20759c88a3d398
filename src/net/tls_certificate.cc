#include "net/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <time.h>

#include <algorithm>

#include "base/strings.h"
#include "net/tls_names.h"
#include "net/tls_text.h"

namespace weir::net {

namespace {

int64_t unix_s_of(const ASN1_TIME* time) {
  tm utc = {};
  return ASN1_TIME_to_tm(time, &utc) == 1 ? static_cast<int64_t>(timegm(&utc)) : 0;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = to_lower(c);
  return out;
}

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

// A name with a NUL in it would be another one to whoever reads it as C does.
bool is_name(std::string_view text) {
  return !text.empty() && text.find('\0') == std::string_view::npos;
}

int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

std::string utc_text(int64_t unix_s) {
  const auto time = static_cast<time_t>(unix_s);
  tm utc = {};
  gmtime_r(&time, &utc);
  char text[32];
  const size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {text, length};
}

std::string expiry_text(const TlsCertificate& certificate, int64_t now_unix_s) {
  constexpr int64_t kDayS = 86'400;
  constexpr int64_t kWarnDays = 21;
  const int64_t end_s = certificate.not_after_s();
  if (end_s <= now_unix_s) return "expired at " + utc_text(end_s);
  const int64_t days = (end_s - now_unix_s) / kDayS;
  if (days >= kWarnDays) return {};
  return "expires at " + utc_text(end_s) + ", in " + std::to_string(days) +
         (days == 1 ? " day" : " days");
}

std::string address_text(std::string_view bytes) {
  char text[INET6_ADDRSTRLEN];
  const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
  if (bytes.size() != 4 && bytes.size() != 16) return {};
  return inet_ntop(family, bytes.data(), text, sizeof(text)) == nullptr ? "" : text;
}

Result<std::shared_ptr<TlsCertificate>> TlsCertificate::read(std::string_view pem) {
  using Read = Result<std::shared_ptr<TlsCertificate>>;
  ERR_clear_error();
  std::shared_ptr<TlsCertificate> made(new TlsCertificate);
  const BioPtr bio = bio_over(pem);
  made->x509_ = PEM_read_bio_X509_AUX(bio.get(), nullptr, no_passphrase, nullptr);
  if (made->x509_ == nullptr) {
    const bool none = ERR_GET_REASON(ERR_peek_error()) == PEM_R_NO_START_LINE;
    const std::string why = openssl_error();
    return Read::failure(none ? "holds no certificate in PEM" : "is no certificate: " + why);
  }
  made->chain_ = sk_X509_new_null();
  made->not_before_s_ = unix_s_of(X509_get0_notBefore(made->x509_));
  made->not_after_s_ = unix_s_of(X509_get0_notAfter(made->x509_));
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) {
    sk_X509_push(made->chain_, next);
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return Read::failure("has a broken certificate in its chain: " + openssl_error());
  }
  ERR_clear_error();
  const EVP_PKEY* key = X509_get0_pubkey(made->x509_);
  const char* kind = key == nullptr ? nullptr : EVP_PKEY_get0_type_name(key);
  if (kind == nullptr) return Read::failure("has a public key of an unknown kind");
  made->key_kind_ = kind;
  made->read_names();
  return made;
}

TlsCertificate::~TlsCertificate() {
  X509_free(x509_);
  sk_X509_pop_free(chain_, X509_free);
  EVP_PKEY_free(key_);
}

void TlsCertificate::read_names() {
  const AlternativeNames names(x509_);
  bool has_dns = false;
  const auto add = [this](std::string name) {
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) {
      names_.push_back(std::move(name));
    }
  };
  for (int i = 0; i < names.size(); ++i) {
    const GENERAL_NAME* name = names.at(i);
    if (name->type == GEN_DNS) {
      has_dns = true;
      const std::string_view text = text_of(name->d.dNSName);
      if (is_name(text)) add(lower(text));
    } else if (name->type == GEN_IPADD) {
      std::string text = address_text(text_of(name->d.iPAddress));
      if (!text.empty()) add(std::move(text));
    }
  }
  if (!has_dns) {
    X509_NAME* subject = X509_get_subject_name(x509_);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0) {
      const ASN1_STRING* common = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
      if (is_name(text_of(common))) add(lower(text_of(common)));
    }
  }
  label_ = names_.empty() ? subject_text(x509_) : names_.front();
}

std::string TlsCertificate::add_key(std::string_view pem) {
  ERR_clear_error();
  const BioPtr bio = bio_over(pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr);
  if (key == nullptr) {
    const bool locked = pem.find("ENCRYPTED") != std::string_view::npos;
    const bool none = pem.find("PRIVATE KEY-----") == std::string_view::npos;
    const std::string why = openssl_error();
    if (locked) return "is locked by a passphrase";
    return none ? "holds no private key in PEM" : "is no private key: " + why;
  }
  EVP_PKEY_free(key_);
  key_ = key;
  const bool match = X509_check_private_key(x509_, key_) == 1;
  ERR_clear_error();
  return match ? "" : "is not the key of the certificate";
}

// By serial number and issuer (RFC 6960 4.1.1); the issuer's key is compared where it is at hand.
bool TlsCertificate::is_named_by(const OCSP_CERTID* id) const {
  ASN1_OCTET_STRING* issuer_name = nullptr;
  ASN1_OCTET_STRING* issuer_key = nullptr;
  ASN1_OBJECT* algorithm = nullptr;
  ASN1_INTEGER* serial = nullptr;
  // It only reads, whatever its type says.
  OCSP_id_get0_info(&issuer_name, &algorithm, &issuer_key, &serial, const_cast<OCSP_CERTID*>(id));
  const EVP_MD* digest = EVP_get_digestbyobj(algorithm);
  if (digest == nullptr) return false;
  if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(x509_)) != 0) return false;
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const auto is = [&](const ASN1_OCTET_STRING* said) {
    return text_of(said) == std::string_view(reinterpret_cast<const char*>(bytes), size);
  };
  const X509_NAME* issuer = X509_get_issuer_name(x509_);
  if (X509_NAME_digest(issuer, digest, bytes, &size) != 1 || !is(issuer_name)) return false;
  for (int i = -1; i < sk_X509_num(chain_); ++i) {
    const X509* known = i < 0 ? x509_ : sk_X509_value(chain_, i);
    if (X509_NAME_cmp(X509_get_subject_name(known), issuer) != 0) continue;
    return X509_pubkey_digest(known, digest, bytes, &size) == 1 && is(issuer_key);
  }
  return true;
}

// Empty, or why clients could not use it.
std::string TlsCertificate::read_ocsp(OCSP_BASICRESP* basic, int64_t now_unix_s) {
  for (int i = 0; i < OCSP_resp_count(basic); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(basic, i);
    if (!is_named_by(OCSP_SINGLERESP_get0_id(single))) continue;
    ASN1_GENERALIZEDTIME* next = nullptr;
    const int status = OCSP_single_get0_status(single, nullptr, nullptr, nullptr, &next);
    const int64_t until_s = next == nullptr ? INT64_MAX : unix_s_of(next);
    if (until_s <= now_unix_s) return "is an OCSP answer whose time is over";
    ocsp_until_s_ = until_s;
    if (status == V_OCSP_CERTSTATUS_REVOKED) ocsp_warning_ = "says that the certificate is revoked";
    if (status == V_OCSP_CERTSTATUS_UNKNOWN) ocsp_warning_ = "knows nothing of the certificate";
    return {};
  }
  return "is an OCSP answer for another certificate";
}

std::string TlsCertificate::add_ocsp(std::string_view der, int64_t now_unix_s) {
  ERR_clear_error();
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  OCSP_RESPONSE* answer = d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size()));
  OCSP_BASICRESP* basic = nullptr;
  std::string why;
  if (answer == nullptr) {
    why = "is no OCSP answer in DER";
  } else if (OCSP_response_status(answer) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    why = std::string("is an OCSP answer that says ") +
          OCSP_response_status_str(OCSP_response_status(answer));
  } else if ((basic = OCSP_response_get1_basic(answer)) == nullptr) {
    why = "is an OCSP answer without a status";
  } else if (why = read_ocsp(basic, now_unix_s); why.empty()) {
    ocsp_ = der;
  }
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(answer);
  ERR_clear_error();
  return why;
}

bool TlsCertificate::covers(std::string_view host) const {
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  const size_t dot = host.find('.');
  for (const std::string& name : names_) {
    if (iequals(name, host)) return true;
    const bool wild = name.size() > 2 && name[0] == '*' && name[1] == '.';
    if (wild && dot != std::string_view::npos && dot > 0 &&
        iequals(std::string_view(name).substr(1), host.substr(dot))) {
      return true;
    }
  }
  return false;
}

}  // namespace weir::net
