// Words for what OpenSSL reports, shared by the tls*.cc files.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct bio_st;
struct x509_st;

namespace weir::net {

// What the last failed call said, and empties OpenSSL's queue of errors.
std::string openssl_error();

// A certificate's subject as RFC 4514 writes it, in ASCII.
std::string subject_text(const x509_st* certificate);
// Its alternative names as "DNS:a, IP:10.0.0.1, URI:spiffe://b", in ASCII; empty when it has none.
std::string alternative_names_text(const x509_st* certificate);

struct BioDeleter {
  void operator()(bio_st* bio) const;
};
using BioPtr = std::unique_ptr<bio_st, BioDeleter>;
// Reads from `text`, which must outlive it.
BioPtr bio_over(std::string_view text);

}  // namespace weir::net
