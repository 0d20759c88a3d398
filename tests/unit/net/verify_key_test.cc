// Signatures as the RFCs print them, and what is none.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/base64.h"
#include "filters/auth/jwks.h"
#include "net/tls_verify_key.h"
#include "support/jws_vectors.h"

namespace weir::net {
namespace {

using Algorithm = SignatureAlgorithm;
using filters::auth::KeySet;

struct Signed {
  std::string message;
  std::string signature;
};

Signed parts_of(std::string_view token) {
  const size_t dot = token.rfind('.');
  Signed parts = {std::string(token.substr(0, dot)), {}};
  REQUIRE(decode_base64(Base64::kUrl, token.substr(dot + 1), parts.signature));
  return parts;
}

// The only key of the set that is for the algorithm.
const VerifyKey& key_for(const KeySet& keys, Algorithm algorithm) {
  KeySet::Candidates found;
  keys.find_others({}, algorithm, found);
  REQUIRE(found.count == 1);
  return *found.keys[0];
}

KeySet keys_of(std::string_view text) {
  KeySet keys;
  std::vector<KeySet::Fault> faults;
  REQUIRE(keys.add_jwks(text, true, faults));
  REQUIRE(faults.empty());
  return keys;
}

void check_token(std::string_view keys_text, std::string_view token, Algorithm algorithm) {
  CAPTURE(name_of(algorithm));
  const KeySet keys = keys_of(keys_text);
  const VerifyKey& key = key_for(keys, algorithm);
  const Signed parts = parts_of(token);
  CHECK(key.verify(algorithm, parts.message, parts.signature));

  CHECK_FALSE(key.verify(algorithm, parts.message + "x", parts.signature));
  CHECK_FALSE(key.verify(algorithm, parts.message, {}));
  CHECK_FALSE(key.verify(algorithm, parts.message, parts.signature + "x"));
  CHECK_FALSE(
      key.verify(algorithm, parts.message, parts.signature.substr(0, parts.signature.size() - 1)));
  CHECK_FALSE(key.verify(algorithm, parts.message, std::string(parts.signature.size(), '\0')));
  for (const size_t at : {size_t{0}, parts.signature.size() / 2, parts.signature.size() - 1}) {
    std::string forged = parts.signature;
    forged[at] = static_cast<char>(forged[at] ^ 1);
    CHECK_FALSE(key.verify(algorithm, parts.message, forged));
  }
}

TEST_CASE("verify key: the signatures of RFC 7515, 7520 and 8037") {
  check_token(test::kRfc7515Keys, test::kRfc7515Hs256, Algorithm::kHs256);
  check_token(test::kRfc7515Keys, test::kRfc7515Rs256, Algorithm::kRs256);
  check_token(test::kRfc7515Keys, test::kRfc7515Es256, Algorithm::kEs256);
  check_token(test::kRfc7520Keys, test::kRfc7520Rs256, Algorithm::kRs256);
  check_token(test::kRfc7520Keys, test::kRfc7520Ps384, Algorithm::kPs384);
  check_token(test::kRfc7520Keys, test::kRfc7520Es512, Algorithm::kEs512);
  check_token(test::kRfc7520Keys, test::kRfc7520Hs256, Algorithm::kHs256);
  check_token(test::kRfc8037Keys, test::kRfc8037EdDsa, Algorithm::kEdDsa);
}

TEST_CASE("verify key: a signature of one algorithm is none of another with the same key") {
  const KeySet keys = keys_of(test::kRfc7520Keys);
  const VerifyKey& key = key_for(keys, Algorithm::kPs384);
  const Signed rs256 = parts_of(test::kRfc7520Rs256);
  const Signed ps384 = parts_of(test::kRfc7520Ps384);
  for (const Algorithm other : {Algorithm::kRs384, Algorithm::kRs512, Algorithm::kPs256}) {
    CHECK_FALSE(key.verify(other, rs256.message, rs256.signature));
    CHECK_FALSE(key.verify(other, ps384.message, ps384.signature));
  }
}

TEST_CASE("verify key: an algorithm takes one type of key, curve and length") {
  const std::string secret(48, 's');
  const VerifyKey::Ptr hmac = VerifyKey::of_secret(secret).value();
  CHECK(hmac->is_secret());
  const KeySet keys = keys_of(test::kRfc7515Keys);
  for (size_t i = 0; i < kSignatureAlgorithms; ++i) {
    const auto algorithm = static_cast<Algorithm>(i);
    const std::string_view name = name_of(algorithm);
    CAPTURE(name);
    CHECK(signature_algorithm(name) == algorithm);
    CHECK(hmac->fits(algorithm) == (name == "HS256" || name == "HS384"));
    CHECK(key_for(keys, Algorithm::kRs256).fits(algorithm) ==
          (name.starts_with("RS") || name.starts_with("PS")));
    CHECK(key_for(keys, Algorithm::kEs256).fits(algorithm) == (name == "ES256"));
  }
  for (const char* name : {"none", "None", "", "hs256", "HS257", "ES256K", "RSA-OAEP"}) {
    CHECK(signature_algorithm(name) == std::nullopt);
  }
}

std::string fault_of(Result<VerifyKey::Ptr> made) { return made.ok() ? "" : made.error(); }

TEST_CASE("verify key: what is no key") {
  CHECK(fault_of(VerifyKey::of_secret(std::string(31, 's'))) == "is shorter than 32 bytes");
  CHECK(fault_of(VerifyKey::of_secret(std::string(5000, 's'))) == "is longer than 4096 bytes");
  const std::string e = "\x01" + std::string(1, '\0') + "\x01";
  CHECK(fault_of(VerifyKey::of_rsa(std::string(128, '\xff'), e)) == "is shorter than 2048 bits");
  CHECK(fault_of(VerifyKey::of_rsa(std::string(2000, '\xff'), e)) == "is longer than 8192 bits");
  CHECK(fault_of(VerifyKey::of_rsa(std::string(256, '\xff'), "\x01")) == "is no RSA key");
  CHECK(fault_of(VerifyKey::of_rsa(std::string(256, '\xff'), std::string(200, '\xff'))) ==
        "is no RSA key");
  CHECK(fault_of(VerifyKey::of_rsa(std::string(255, '\xff') + '\xfe', e)) == "is no RSA key");
  CHECK(fault_of(VerifyKey::of_rsa({}, {})) == "is shorter than 2048 bits");
  CHECK(fault_of(VerifyKey::of_ec("P-256", std::string(32, 'x'), std::string(32, 'y'))) ==
        "is no point of its curve");
  CHECK(fault_of(VerifyKey::of_ec("P-256", std::string(32, '\0'), std::string(32, '\0'))) ==
        "is no point of its curve");
  CHECK(fault_of(VerifyKey::of_ec("P-256", {}, {})) == "is no point of its curve");
  CHECK(fault_of(VerifyKey::of_ec("secp256k1", std::string(32, 'x'), std::string(32, 'y'))) ==
        "is on an unknown curve");
  CHECK(fault_of(VerifyKey::of_okp("Ed25519", std::string(31, 'x'))) == "is no point of its curve");
  CHECK(fault_of(VerifyKey::of_okp("X25519", std::string(32, 'x'))) == "is on an unknown curve");
}

}  // namespace
}  // namespace weir::net
