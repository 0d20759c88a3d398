// Every example loads, without a warning.
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>

#include "config/files.h"
#include "support/certificates.h"
#include "world.h"

namespace weir::config {
namespace {

std::vector<std::string> examples() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(WEIR_CONFIG_EXAMPLES)) {
    if (entry.path().extension() == ".yaml") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST_CASE("config: the examples load") {
  REQUIRE(examples().size() >= 8);
  for (const std::string& path : examples()) {
    CAPTURE(path);
    test::World world;
    world.variables = {{"ADMIN_TOKEN", "a-long-random-text"}};
    Environment environment = world.environment();
    // Certificates are made here; the rest is beside the examples.
    environment.file = [](const std::string& name, size_t max_bytes) -> Result<std::string> {
      static const test::MadeCertificate ec({.names = "DNS:example.com,DNS:www.example.com"});
      static const test::MadeCertificate rsa(
          {.names = "DNS:example.com,DNS:www.example.com", .key_kind = "RSA"});
      static const test::MadeCertificate shop({.names = "DNS:shop.example.com"});
      if (!name.starts_with("/etc/weir/")) return read_regular_file(name, max_bytes);
      const bool is_rsa = name.find("-rsa.") != std::string::npos;
      const bool is_shop = name.find("shop") != std::string::npos;
      const test::MadeCertificate& made = is_rsa ? rsa : is_shop ? shop : ec;
      if (name.ends_with(".ocsp")) return made.ocsp_der();
      return name.ends_with(".key") ? made.key_pem() : made.cert_pem();
    };
    environment.glob = glob_files;
    const LoadResult result = load(path, environment);
    CHECK(result.errors == std::vector<std::string>{});
    CHECK(result.warnings == std::vector<std::string>{});
    REQUIRE(result.ok());
    CHECK_FALSE(result.snapshot->sites.empty());
  }
}

}  // namespace
}  // namespace weir::config
