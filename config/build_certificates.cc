// certificates: [{cert: /etc/weir/example.crt, key: /etc/weir/example.key}], and the files of TLS.
#include <string>
#include <utility>

#include "config/build.h"
#include "config/files.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;

constexpr size_t kFileMaxBytes = size_t{1} << 20;

// As a message names it: a path that came from outside the file stays unsaid.
std::string shown_path(const Node& node) {
  return node.secret() ? node.shown() : options::quote(path_beside(*node.file, node.text));
}

void judge_dates(Build& build, const Node& node, const net::TlsCertificate& certificate) {
  const int64_t now_s = build.environment.unix_s();
  if (certificate.not_before_s() > now_s) {
    build.problems.error(node, shown_path(node) + " is not valid before " +
                                   net::utc_text(certificate.not_before_s()));
    return;
  }
  const std::string text = net::expiry_text(certificate, now_s);
  if (text.empty()) return;
  if (certificate.not_after_s() <= now_s) {
    build.problems.error(node, shown_path(node) + " " + text);
  } else {
    build.problems.warning(node, shown_path(node) + " " + text);
  }
}

void read_ocsp(Build& build, const Node& node, net::TlsCertificate& certificate) {
  std::string der;
  if (!read_named_file(build, node, der)) return;
  const std::string why = certificate.add_ocsp(der, build.environment.unix_s());
  if (!why.empty()) build.problems.error(node, shown_path(node) + " " + why);
  if (!certificate.ocsp_warning().empty()) {
    build.problems.warning(node, shown_path(node) + " " + certificate.ocsp_warning(),
                           "clients that ask for it turn away");
  }
}

void build_certificate(Build& build, const Node& node) {
  MapReader map(node, build.problems);
  if (!map.is_map()) return;
  const Node* cert = map.require("cert", "a file in PEM: the certificate, then its chain");
  const Node* key = map.require("key", "the file in PEM with its private key");
  const Node* ocsp = map.find("ocsp");
  map.finish();
  if (cert == nullptr || key == nullptr) return;
  std::shared_ptr<net::TlsCertificate> certificate = read_certificate(build, *cert, *key);
  if (certificate == nullptr) return;
  if (ocsp != nullptr) read_ocsp(build, *ocsp, *certificate);
  if (certificate->names().empty()) {
    build.problems.warning(*cert, shown_path(*cert) + " names no host",
                           "only the first of the "
                           "list is shown to anybody then");
  }
  for (const auto& other : build.snapshot.certificates) {
    if (other->key_kind() != certificate->key_kind() || other->names() != certificate->names()) {
      continue;
    }
    build.problems.warning(*cert, shown_path(*cert) + " has the names of an earlier one",
                           "it is shown to nobody");
    break;
  }
  build.snapshot.certificates.push_back(std::move(certificate));
}

}  // namespace

bool read_named_file(Build& build, const Node& node, std::string& out) {
  std::string written;
  if (!read_string(node, build.problems, written)) return false;
  Result<std::string> content =
      build.environment.file(path_beside(*node.file, written), kFileMaxBytes);
  if (!content.ok()) {
    build.problems.error(node, shown_path(node) + " cannot be read: " + content.error());
    return false;
  }
  out = std::move(content.value());
  return true;
}

std::shared_ptr<net::TlsCertificate> read_certificate(Build& build, const Node& cert,
                                                      const Node& key) {
  std::string cert_pem;
  std::string key_pem;
  const bool has_cert = read_named_file(build, cert, cert_pem);
  const bool has_key = read_named_file(build, key, key_pem);
  if (!has_cert) return nullptr;
  Result<std::shared_ptr<net::TlsCertificate>> read = net::TlsCertificate::read(cert_pem);
  if (!read.ok()) {
    build.problems.error(cert, shown_path(cert) + " " + read.error());
    return nullptr;
  }
  std::shared_ptr<net::TlsCertificate> certificate = read.value();
  judge_dates(build, cert, *certificate);
  if (!has_key) return nullptr;
  const std::string why = certificate->add_key(key_pem);
  if (why.empty()) return certificate;
  const bool other = why.find("of the certificate") != std::string::npos;
  build.problems.error(key, shown_path(key) + " " + why + (other ? " " + shown_path(cert) : ""));
  return nullptr;
}

bool read_trust(Build& build, const Node& node, std::string& pem) {
  if (!read_named_file(build, node, pem)) return false;
  const std::string why = net::why_no_trust(pem);
  if (!why.empty()) build.problems.error(node, shown_path(node) + " " + why);
  return why.empty();
}

void build_certificates(Build& build, const Node& section) {
  constexpr size_t kCertificatesMax = 10'000;
  std::vector<const Node*> items;
  if (!read_list(section, build.problems, items)) return;
  if (items.size() > kCertificatesMax) {
    build.problems.error(section,
                         "more than " + std::to_string(kCertificatesMax) + " certificates");
    return;
  }
  build.has_certificates = !items.empty();
  for (const Node* item : items) build_certificate(build, *item);
}

}  // namespace weir::config
