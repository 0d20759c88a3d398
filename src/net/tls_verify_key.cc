#include "net/tls_verify_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>
#include <string>

#include "base/check.h"

namespace weir::net {

namespace {

enum class Family : uint8_t { kSecret, kRsa, kEc, kEd };
enum class Scheme : uint8_t { kHmac, kRsa, kRsaPss, kEc, kEd };

struct Algorithm {
  std::string_view name;
  Scheme scheme;
  uint32_t bits;        // of the hash
  uint32_t coordinate;  // bytes of each half of a signature over a curve
};

constexpr std::array<Algorithm, kSignatureAlgorithms> kAlgorithms = {{
    {"HS256", Scheme::kHmac, 256, 0},
    {"HS384", Scheme::kHmac, 384, 0},
    {"HS512", Scheme::kHmac, 512, 0},
    {"RS256", Scheme::kRsa, 256, 0},
    {"RS384", Scheme::kRsa, 384, 0},
    {"RS512", Scheme::kRsa, 512, 0},
    {"PS256", Scheme::kRsaPss, 256, 0},
    {"PS384", Scheme::kRsaPss, 384, 0},
    {"PS512", Scheme::kRsaPss, 512, 0},
    {"ES256", Scheme::kEc, 256, 32},
    {"ES384", Scheme::kEc, 384, 48},
    {"ES512", Scheme::kEc, 512, 66},
    {"EdDSA", Scheme::kEd, 0, 0},
}};

const Algorithm& entry_of(SignatureAlgorithm algorithm) {
  return kAlgorithms[static_cast<size_t>(algorithm)];
}

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using KeyHandle = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using CurveSignature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Number number_of(std::string_view text) {
  return Number(BN_bin2bn(bytes_of(text), static_cast<int>(text.size()), nullptr));
}

// Looked up once: what EVP_sha256() returns is looked up by OpenSSL at each use.
const EVP_MD* digest_of(const Algorithm& algorithm) {
  static const EVP_MD* const k256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  static const EVP_MD* const k384 = EVP_MD_fetch(nullptr, "SHA384", nullptr);
  static const EVP_MD* const k512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
  switch (algorithm.bits) {
    case 256: return k256;
    case 384: return k384;
    case 512: return k512;
    default: return nullptr;
  }
}

KeyHandle key_of(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return KeyHandle(key);
}

bool is_sound(EVP_PKEY* key) {
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  const bool sound = context != nullptr && EVP_PKEY_public_check(context.get()) == 1;
  ERR_clear_error();
  return sound;
}

// JWS has the two numbers one after the other, OpenSSL takes them in DER.
std::string der_of(std::string_view signature) {
  const size_t half = signature.size() / 2;
  const CurveSignature both(ECDSA_SIG_new());
  Number r = number_of(signature.substr(0, half));
  Number s = number_of(signature.substr(half));
  if (both == nullptr || r == nullptr || s == nullptr) return {};
  WEIR_CHECK(ECDSA_SIG_set0(both.get(), r.release(), s.release()) == 1);
  unsigned char* out = nullptr;
  const int size = i2d_ECDSA_SIG(both.get(), &out);
  if (size <= 0) return {};
  std::string der(reinterpret_cast<const char*>(out), static_cast<size_t>(size));
  OPENSSL_free(out);
  return der;
}

bool verify_hmac(std::string_view secret, const Algorithm& algorithm, std::string_view message,
                 std::string_view signature) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned int size = 0;
  if (HMAC(digest_of(algorithm), secret.data(), static_cast<int>(secret.size()), bytes_of(message),
           message.size(), mac.data(), &size) == nullptr) {
    return false;
  }
  return signature.size() == size && CRYPTO_memcmp(mac.data(), signature.data(), size) == 0;
}

// All that does not depend on the message, so that each verification copies it (which any thread
// may) and looks nothing up. Null for the schemes that hash in a way of their own, and on failure.
KeyContext prepare(EVP_PKEY* key, const Algorithm& algorithm) {
  if (algorithm.scheme == Scheme::kEd) return nullptr;
  const EVP_MD* const digest = digest_of(algorithm);
  KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  bool good = context != nullptr && EVP_PKEY_verify_init(context.get()) == 1 &&
              EVP_PKEY_CTX_set_signature_md(context.get(), digest) == 1;
  if (good && algorithm.scheme == Scheme::kRsaPss) {
    good = EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest) == 1;
  }
  if (good) return context;
  ERR_clear_error();
  return nullptr;
}

bool verify_hashed(const EVP_PKEY_CTX* prepared, const Algorithm& algorithm,
                   std::string_view message, std::string_view signature) {
  std::string der;
  if (algorithm.scheme == Scheme::kEc) {
    if (signature.size() != size_t{2} * algorithm.coordinate) return false;
    der = der_of(signature);
    signature = der;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash;
  unsigned int size = 0;
  const KeyContext context(prepared == nullptr ? nullptr : EVP_PKEY_CTX_dup(prepared));
  const bool good =
      context != nullptr &&
      EVP_Digest(message.data(), message.size(), hash.data(), &size, digest_of(algorithm),
                 nullptr) == 1 &&
      EVP_PKEY_verify(context.get(), bytes_of(signature), signature.size(), hash.data(), size) == 1;
  if (!good) ERR_clear_error();
  return good;
}

bool verify_whole(EVP_PKEY* key, std::string_view message, std::string_view signature) {
  const DigestContext context(EVP_MD_CTX_new());
  const bool good = context != nullptr &&
                    EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
                    EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(),
                                     bytes_of(message), message.size()) == 1;
  if (!good) ERR_clear_error();
  return good;
}

}  // namespace

struct VerifyKey::Material {
  Material(Family of, uint32_t its_bytes, std::string_view its_secret, KeyHandle its_key)
      : family(of), bytes(its_bytes), secret(its_secret), key(std::move(its_key)) {
    for (size_t i = 0; key != nullptr && i < kSignatureAlgorithms; ++i) {
      if (fits(kAlgorithms[i])) prepared[i] = prepare(key.get(), kAlgorithms[i]);
    }
  }

  bool fits(const Algorithm& algorithm) const {
    switch (algorithm.scheme) {
      case Scheme::kHmac: return family == Family::kSecret && bytes * 8 >= algorithm.bits;
      case Scheme::kRsa:
      case Scheme::kRsaPss: return family == Family::kRsa;
      case Scheme::kEc: return family == Family::kEc && bytes == algorithm.coordinate;
      case Scheme::kEd: return family == Family::kEd;
    }
    return false;
  }

  const Family family;
  const uint32_t bytes;  // of a secret; of a curve's coordinate
  const std::string secret;
  const KeyHandle key;
  std::array<KeyContext, kSignatureAlgorithms> prepared = {};  // for the algorithms that it fits
};

std::optional<SignatureAlgorithm> signature_algorithm(std::string_view name) {
  for (size_t i = 0; i < kAlgorithms.size(); ++i) {
    if (kAlgorithms[i].name == name) return static_cast<SignatureAlgorithm>(i);
  }
  return std::nullopt;
}

std::string_view name_of(SignatureAlgorithm algorithm) { return entry_of(algorithm).name; }

VerifyKey::VerifyKey(std::unique_ptr<const Material> material) : material_(std::move(material)) {}

VerifyKey::~VerifyKey() = default;

Result<VerifyKey::Ptr> VerifyKey::of_secret(std::string_view bytes) {
  constexpr size_t kBytesMin = 32;  // RFC 7518 3.2, of HS256
  constexpr size_t kBytesMax = 4096;
  if (bytes.size() < kBytesMin) return Result<Ptr>::failure("is shorter than 32 bytes");
  if (bytes.size() > kBytesMax) return Result<Ptr>::failure("is longer than 4096 bytes");
  return Ptr(new VerifyKey(std::make_unique<const Material>(
      Family::kSecret, static_cast<uint32_t>(bytes.size()), bytes, nullptr)));
}

Result<VerifyKey::Ptr> VerifyKey::of_rsa(std::string_view modulus, std::string_view exponent) {
  constexpr int kBitsMin = 2048;  // RFC 7518 3.3
  constexpr int kBitsMax = 8192;
  constexpr int kExponentBitsMax = 64;
  constexpr size_t kBytesMax = kBitsMax / 8 + 1;
  if (modulus.size() > kBytesMax || exponent.size() > kBytesMax) {
    return Result<Ptr>::failure("is longer than 8192 bits");
  }
  const Number n = number_of(modulus);
  const Number e = number_of(exponent);
  WEIR_CHECK(n != nullptr && e != nullptr);
  const int bits = BN_num_bits(n.get());
  if (bits < kBitsMin) return Result<Ptr>::failure("is shorter than 2048 bits");
  if (bits > kBitsMax) return Result<Ptr>::failure("is longer than 8192 bits");
  const bool usable = BN_is_odd(n.get()) && BN_is_odd(e.get()) && !BN_is_one(e.get()) &&
                      BN_num_bits(e.get()) <= kExponentBitsMax;
  if (!usable) return Result<Ptr>::failure("is no RSA key");
  const Builder builder(OSSL_PARAM_BLD_new());
  WEIR_CHECK(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
             OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1);
  KeyHandle key = key_of("RSA", builder.get());
  if (key == nullptr) return Result<Ptr>::failure("is no RSA key");
  return Ptr(new VerifyKey(std::make_unique<const Material>(Family::kRsa, 0, "", std::move(key))));
}

Result<VerifyKey::Ptr> VerifyKey::of_ec(std::string_view curve, std::string_view x,
                                        std::string_view y) {
  const Algorithm* of = nullptr;
  if (curve == "P-256") of = &entry_of(SignatureAlgorithm::kEs256);
  if (curve == "P-384") of = &entry_of(SignatureAlgorithm::kEs384);
  if (curve == "P-521") of = &entry_of(SignatureAlgorithm::kEs512);
  if (of == nullptr) return Result<Ptr>::failure("is on an unknown curve");
  if (x.size() != of->coordinate || y.size() != of->coordinate) {
    return Result<Ptr>::failure("is no point of its curve");
  }
  const std::string point = std::string(1, '\x04').append(x).append(y);  // uncompressed
  const Builder builder(OSSL_PARAM_BLD_new());
  WEIR_CHECK(OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                             curve.data(), curve.size()) == 1 &&
             OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                              point.size()) == 1);
  KeyHandle key = key_of("EC", builder.get());
  if (key == nullptr || !is_sound(key.get())) {
    return Result<Ptr>::failure("is no point of its curve");
  }
  return Ptr(new VerifyKey(
      std::make_unique<const Material>(Family::kEc, of->coordinate, "", std::move(key))));
}

Result<VerifyKey::Ptr> VerifyKey::of_okp(std::string_view curve, std::string_view x) {
  int type = EVP_PKEY_NONE;
  if (curve == "Ed25519") type = EVP_PKEY_ED25519;
  if (curve == "Ed448") type = EVP_PKEY_ED448;
  if (type == EVP_PKEY_NONE) return Result<Ptr>::failure("is on an unknown curve");
  KeyHandle key(EVP_PKEY_new_raw_public_key(type, nullptr, bytes_of(x), x.size()));
  if (key == nullptr) {
    ERR_clear_error();
    return Result<Ptr>::failure("is no point of its curve");
  }
  return Ptr(new VerifyKey(std::make_unique<const Material>(Family::kEd, 0, "", std::move(key))));
}

bool VerifyKey::is_secret() const { return material_->family == Family::kSecret; }

bool VerifyKey::fits(SignatureAlgorithm algorithm) const {
  return material_->fits(entry_of(algorithm));
}

bool VerifyKey::verify(SignatureAlgorithm algorithm, std::string_view message,
                       std::string_view signature) const {
  WEIR_CHECK(fits(algorithm));
  const Algorithm& entry = entry_of(algorithm);
  if (is_secret()) return verify_hmac(material_->secret, entry, message, signature);
  if (entry.scheme == Scheme::kEd) return verify_whole(material_->key.get(), message, signature);
  const KeyContext& prepared = material_->prepared[static_cast<size_t>(algorithm)];
  return verify_hashed(prepared.get(), entry, message, signature);
}

}  // namespace weir::net
