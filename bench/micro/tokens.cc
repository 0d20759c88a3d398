#include "tokens.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "filters/auth/token.h"
#include "rig.h"

namespace weir::micro {

namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using ContextPtr = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

constexpr unsigned kBits = 2048;
constexpr uint64_t kNowS = 1'800'000'000;

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string base64url(const std::string& bytes) {
  std::string out(bytes.size() / 3 * 4 + 5, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes_of(bytes),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  while (out.ends_with('=')) out.pop_back();
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

std::string number_of(const EVP_PKEY& key, const char* name) {
  BIGNUM* number = nullptr;
  WEIR_CHECK(EVP_PKEY_get_bn_param(&key, name, &number) == 1);
  std::string bytes(static_cast<size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_free(number);
  return base64url(bytes);
}

struct Signed {
  std::string message;    // header.payload
  std::string signature;  // its bytes
  std::string token;
};

Signed sign(EVP_PKEY& key) {
  Signed out;
  out.message = base64url(R"({"alg":"RS256","typ":"JWT","kid":"k"})") + "." +
                base64url(R"({"sub":"0b6f0d3e-6f0e-4f6e-9a55-4d4d0c1d6a0c",)"
                          R"("email":"anna@example.com","tenantId":"acme","role":"admin",)"
                          R"("permissions":["orders:read","orders:write"],)"
                          R"("iss":"https://id.example.com","aud":"api",)"
                          R"("iat":1700000000,"exp":4102444800})");
  const ContextPtr context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  size_t size = kBits / 8;
  out.signature.resize(size);
  WEIR_CHECK(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, &key) == 1);
  WEIR_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.signature.data()),
                            &size, bytes_of(out.message), out.message.size()) == 1);
  out.token = out.message + "." + base64url(out.signature);
  return out;
}

template <typename Verify>
double round_of(uint64_t tokens, Verify verify) {
  const double begin_ns = thread_cpu_ns();
  for (uint64_t i = 0; i < tokens; ++i) WEIR_CHECK(verify());
  return (thread_cpu_ns() - begin_ns) / static_cast<double>(tokens);
}

}  // namespace

void run_tokens(uint64_t tokens, int rounds, std::string_view only) {
  if (!only.empty() && only != "rs256") return;
  const KeyPtr key(EVP_RSA_gen(kBits), &EVP_PKEY_free);
  const Signed one = sign(*key);
  filters::auth::KeySet keys;
  std::vector<filters::auth::KeySet::Fault> faults;
  WEIR_CHECK(keys.add_jwks(R"({"keys":[{"kty":"RSA","kid":"k","n":")" +
                               number_of(*key, OSSL_PKEY_PARAM_RSA_N) + R"(","e":")" +
                               number_of(*key, OSSL_PKEY_PARAM_RSA_E) + R"("}]})",
                           false, faults));
  filters::auth::TokenRules rules;
  rules.algorithms = 1u << static_cast<unsigned>(net::SignatureAlgorithm::kRs256);
  rules.issuers = {"https://id.example.com"};
  rules.audiences = {"api"};
  const auto openssl = [&] {
    const ContextPtr context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
           EVP_DigestVerify(context.get(), bytes_of(one.signature), one.signature.size(),
                            bytes_of(one.message), one.message.size()) == 1;
  };
  const auto cold = [&] {
    filters::auth::VerifiedToken out;
    return filters::auth::verify_token(one.token, {.own = &keys}, rules, kNowS, out) ==
           filters::auth::TokenFault::kNone;
  };
  std::vector<double> openssl_ns;
  std::vector<double> cold_ns;
  std::vector<double> ratios;
  for (int round = 0; round < rounds; ++round) {
    openssl_ns.push_back(round_of(tokens, openssl));
    cold_ns.push_back(round_of(tokens, cold));
    ratios.push_back(cold_ns.back() / openssl_ns.back());
  }
  const double openssl_median = median(openssl_ns);
  const double cold_median = median(cold_ns);
  std::printf("%-14s %9.0f %9.0f\n", "rs256, openssl", openssl_median, openssl_ns.front());
  std::printf("%-14s %9.0f %9.0f   x %.3f\n", "rs256, cold", cold_median, cold_ns.front(),
              median(ratios));
}

}  // namespace weir::micro
