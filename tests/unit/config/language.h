// A file that says every key of the language once, and the world in which it loads: what tests of
// the whole language start from. It is also a seed of the config fuzzer.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "config/build.h"
#include "config/include.h"
#include "config/substitute.h"
#include "config/yaml.h"
#include "support/certificates.h"
#include "support/jws_vectors.h"
#include "world.h"

namespace weir::test {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::filesystem::path source_folder();  // reference_test.cc

// The main part; the included one goes into the world.
inline std::string every_key(World& world) {
  const std::string whole = read_text(source_folder() / "tests/fuzz/corpus/config/everything");
  const std::string border = "\n#####\n";
  const size_t end = whole.find(border);
  world.variables = {{"A", "127.0.0.1"}, {"B", "$uri"}};
  world.files = {{"/auth/keys.json", std::string(kRfc7515Keys)},
                 {"/auth/secret", std::string(32, 's')},
                 {"/auth/users", "a:$5$saltsalt$" + std::string(43, 'a')},
                 {"/run/secrets/t", "secret\n"},
                 {"conf.d/other", ""},
                 {"/members.json", "[{\"address\": \"127.0.0.1:5\"}]"},
                 {"/pages/404.html", "$status"},
                 {"/pages/5xx.json", "{}"},
                 {"/tls/a.crt", some_certificate().cert_pem()},
                 {"/tls/a.key", some_certificate().key_pem()},
                 {"/tls/a.ocsp", some_certificate().ocsp_der()},
                 {"/tls/ca.pem", some_certificate().cert_pem()},
                 {"/tls/tickets", std::string(160, 'k')},
                 {"a.yaml", whole.substr(end + border.size())}};
  return whole.substr(0, end + 1);
}

// load_text() with its steps laid open.
class OpenBuild {
 public:
  OpenBuild(World& world, const std::string& text)
      : environment_(world.environment()), build_{environment_, problems, snapshot_, {},
                                                  {},           {},       {},        {}} {
    documents_.push_back(config::parse_yaml(text, "weir.yaml", problems));
  }

  options::Node& root() { return *documents_.front()->root; }
  void run() {
    config::substitute(root(), environment_, problems);
    config::include_files(documents_, environment_, problems);
    config::build_top(build_, root());
    if (problems.ok()) config::bind_upstreams(build_);
  }

  options::Problems problems;

 private:
  config::Environment environment_;
  proxy::Snapshot snapshot_;
  config::Documents documents_;
  config::Build build_;
};

}  // namespace weir::test
