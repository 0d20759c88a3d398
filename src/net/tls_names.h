// The alternative names in a certificate. For tls*.cc only.
#pragma once

#include <openssl/x509v3.h>

#include <string>
#include <string_view>

namespace weir::net {

class AlternativeNames {
 public:
  explicit AlternativeNames(const x509_st* certificate)
      : names_(static_cast<GENERAL_NAMES*>(
            X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))) {}
  ~AlternativeNames() { GENERAL_NAMES_free(names_); }
  AlternativeNames(const AlternativeNames&) = delete;
  AlternativeNames& operator=(const AlternativeNames&) = delete;

  int size() const { return names_ == nullptr ? 0 : sk_GENERAL_NAME_num(names_); }
  const GENERAL_NAME* at(int index) const { return sk_GENERAL_NAME_value(names_, index); }

 private:
  GENERAL_NAMES* names_;
};

// Of 4 or 16 bytes; empty for others.
std::string address_text(std::string_view bytes);

}  // namespace weir::net
