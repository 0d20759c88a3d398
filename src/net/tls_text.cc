#include "net/tls_text.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include "net/tls_names.h"

namespace weir::net {

namespace {

// Values end up in header fields and logs: what is not printable ASCII, and the separators of the
// list, are written as %XX.
void append_escaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != ',' && c != '%') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

void append_name(std::string& out, const char* kind, std::string_view text) {
  if (!out.empty()) out += ", ";
  out += kind;
  append_escaped(out, text);
}

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

}  // namespace

std::string openssl_error() {
  const unsigned long code = ERR_peek_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown error" : reason;
}

void BioDeleter::operator()(bio_st* bio) const { BIO_free(bio); }

BioPtr bio_over(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string subject_text(const x509_st* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0,
                     XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_UTF8_CONVERT));
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(length)};
}

std::string alternative_names_text(const x509_st* certificate) {
  const AlternativeNames names(certificate);
  std::string out;
  for (int i = 0; i < names.size(); ++i) {
    const GENERAL_NAME* name = names.at(i);
    switch (name->type) {
      case GEN_DNS: append_name(out, "DNS:", text_of(name->d.dNSName)); break;
      case GEN_EMAIL: append_name(out, "email:", text_of(name->d.rfc822Name)); break;
      case GEN_URI: append_name(out, "URI:", text_of(name->d.uniformResourceIdentifier)); break;
      case GEN_IPADD: append_name(out, "IP:", address_text(text_of(name->d.iPAddress))); break;
      default: break;  // others have no short text
    }
  }
  return out;
}

}  // namespace weir::net
