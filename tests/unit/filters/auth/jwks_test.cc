// What a key set is made of, and which of its keys a token gets.
#include "filters/auth/jwks.h"

#include <catch2/catch.hpp>

#include "filters/auth/token.h"
#include "support/jws_vectors.h"
#include "support/tokens.h"

namespace weir::filters::auth {
namespace {

using net::SignatureAlgorithm;

std::string lines(std::string_view text, bool secrets = true) {
  KeySet keys;
  std::vector<KeySet::Fault> faults;
  const bool good = keys.add_jwks(text, secrets, faults);
  std::string out = std::to_string(keys.size()) + (good ? " good" : " bad");
  for (const KeySet::Fault& fault : faults) {
    out += "|" + fault.path + " " + fault.what + (fault.fatal ? "" : " (left out)");
  }
  return out;
}

std::string with(std::string_view members) { return "{\"keys\":[{" + std::string(members) + "}]}"; }

TEST_CASE("jwks: what is no set") {
  const char* kNone = "0 bad| is no JWK set: {\"keys\": [...]}";
  for (const char* text : {"", "{}", "[]", "{\"keys\":{}}", "{\"keys\":1}", "{\"keys\":[]}}",
                           "{\"keys\":[],\"keys\":[]}"}) {
    CAPTURE(text);
    CHECK(lines(text) == kNone);
  }
  CHECK(lines("{\"keys\":[" + std::string(300 << 10, ' ') + "]}") == kNone);
  CHECK(lines(R"({"keys":[]})") == "0 good");
  CHECK(lines(R"({"keys":[1]})") == "0 bad|keys[0] is no key");
  CHECK(lines(R"({"keys":[{"kty":1}]})") == "0 bad|keys[0] is no key");
  std::string many = "{\"keys\":[{}";
  for (int i = 0; i < 100; ++i) many += ",{}";
  CHECK(lines(many + "]}") == "0 bad| holds more than 100 keys");
}

TEST_CASE("jwks: keys of no use are left out") {
  const std::string k = R"("kty":"oct","k":")" + test::base64url(test::kSecret) + '"';
  CHECK(lines(with(k)) == "1 good");
  CHECK(lines(with(k), false) == "0 bad|keys[0] is a secret that everybody can read");
  CHECK(lines(with(k + R"(,"use":"sig","alg":"HS256")")) == "1 good");
  CHECK(lines(with(k + R"(,"use":"enc")")) == "0 good");
  CHECK(lines(with(k + R"(,"use":1)")) == "0 good");
  CHECK(lines(with(k + R"(,"key_ops":["sign","verify"])")) == "1 good");
  CHECK(lines(with(k + R"(,"key_ops":["sign"])")) == "0 good");
  CHECK(lines(with(k + R"(,"key_ops":"verify")")) == "0 good");
  CHECK(lines(with(k + R"(,"alg":"A128KW")")) == "0 good");
  CHECK(lines(with(R"("kty":"AKP")")) == "0 good");
  CHECK(lines(with(R"("kty":"oct","k":"c2hvcnQ")")) ==
        "0 good|keys[0] is shorter than 32 bytes (left out)");
  CHECK(lines(with(R"("kty":"oct","k":"a b")")) ==
        "0 good|keys[0] lacks a part of the key, or has it not in base64url (left out)");
  CHECK(lines(with(R"("kty":"EC","crv":"secp256k1","x":"AA","y":"AA")")) ==
        "0 good|keys[0] is on an unknown curve (left out)");
  CHECK(lines(with(R"("kty":"EC","crv":"P-256","x":"AA")")) ==
        "0 good|keys[0] lacks a part of the key, or has it not in base64url (left out)");
  CHECK(lines(with(R"("kty":"RSA","n":"AA","e":"AQAB","d":"AA")")) ==
        "0 bad|keys[0] holds a private key, which only the issuer should have");
}

size_t found(const KeySet& keys, std::string_view kid, SignatureAlgorithm algorithm,
             bool* known = nullptr) {
  KeySet::Candidates candidates;
  keys.find_named(kid, algorithm, candidates);
  keys.find_others(kid, algorithm, candidates);
  if (known != nullptr) *known = candidates.known_kid;
  return candidates.count;
}

TEST_CASE("jwks: a token gets the key that it names, if it is for its algorithm") {
  KeySet keys;
  std::vector<KeySet::Fault> faults;
  REQUIRE(keys.add_jwks(test::kRfc7520Keys, true, faults));
  constexpr std::string_view kBilbo = "bilbo.baggins@hobbiton.example";
  constexpr std::string_view kUuid = "018c0ae5-4d9b-471b-bfd6-eef314bc7037";
  bool known = false;
  CHECK(found(keys, kBilbo, SignatureAlgorithm::kRs256, &known) == 1);
  CHECK(known);
  CHECK(found(keys, kBilbo, SignatureAlgorithm::kEs512) == 1);
  CHECK(found(keys, kBilbo, SignatureAlgorithm::kEs256, &known) == 0);
  CHECK(known);
  CHECK(found(keys, kBilbo, SignatureAlgorithm::kHs256) == 0);
  CHECK(found(keys, kUuid, SignatureAlgorithm::kHs256) == 1);
  CHECK(found(keys, {}, SignatureAlgorithm::kHs256) == 1);
  CHECK(found(keys, "other", SignatureAlgorithm::kHs256, &known) == 0);
  CHECK_FALSE(known);

  keys.add(net::VerifyKey::of_secret(std::string(64, 's')).value());
  CHECK(found(keys, kUuid, SignatureAlgorithm::kHs256) == 2);
  CHECK(found(keys, kUuid, SignatureAlgorithm::kHs512) == 1);  // the other is for HS256 alone
  CHECK(keys.fits_any(SignatureAlgorithm::kHs512));
  CHECK_FALSE(keys.fits_any(SignatureAlgorithm::kEdDsa));
}

TEST_CASE("jwks: no token makes more work than that of eight keys") {
  KeySet keys;
  for (char c = 'a'; c <= 'z'; ++c) {
    keys.add(net::VerifyKey::of_secret(std::string(32, c)).value());
  }
  CHECK(found(keys, "any", SignatureAlgorithm::kHs256) == KeySet::kTriedMax);
}

TEST_CASE("jwks: the key that a token names is tried first, wherever it stands") {
  KeySet nameless;
  for (char c = 'a'; c <= 'z'; ++c) {
    nameless.add(net::VerifyKey::of_secret(std::string(32, c)).value());
  }
  const std::string text =
      R"({"keys":[{"kty":"oct","kid":"mine","k":")" + test::base64url(test::kSecret) + R"("}]})";
  KeySet both = nameless;
  KeySet fetched;
  std::vector<KeySet::Fault> faults;
  REQUIRE(both.add_jwks(text, true, faults));
  REQUIRE(fetched.add_jwks(text, true, faults));

  const TokenRules rules = {.algorithms = 1u << static_cast<unsigned>(SignatureAlgorithm::kHs256)};
  const std::string token = test::token(R"({"exp":9999999999})", R"({"alg":"HS256","kid":"mine"})");
  VerifiedToken out;
  CHECK(verify_token(token, {&both, nullptr}, rules, 1, out) == TokenFault::kNone);
  CHECK(verify_token(token, {&nameless, &fetched}, rules, 1, out) == TokenFault::kNone);
  CHECK(verify_token(token, {&nameless, nullptr}, rules, 1, out) == TokenFault::kSignature);
}

TEST_CASE("jwks: a ring has a version per set of keys") {
  KeyRing ring;
  CHECK(ring.keys() == nullptr);
  const auto first = std::make_shared<const KeySet>();
  ring.replace(first, "a");
  const uint64_t version = ring.version();
  CHECK(ring.keys() == first);
  ring.replace(std::make_shared<const KeySet>(), "a");
  CHECK(ring.version() == version);
  ring.replace(std::make_shared<const KeySet>(), "b");
  CHECK_FALSE(ring.version() == version);
}

}  // namespace
}  // namespace weir::filters::auth
