// Keys that check the signatures of tokens: HMAC, RSA, ECDSA and EdDSA (RFC 7518 3, RFC 8037 3.1).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace weir::net {

enum class SignatureAlgorithm : uint8_t {
  kHs256,
  kHs384,
  kHs512,
  kRs256,
  kRs384,
  kRs512,
  kPs256,
  kPs384,
  kPs512,
  kEs256,
  kEs384,
  kEs512,
  kEdDsa,
};
inline constexpr size_t kSignatureAlgorithms = 13;

// "HS256", as `alg` has it; nothing for what this build does not check, "none" above all.
std::optional<SignatureAlgorithm> signature_algorithm(std::string_view name);
std::string_view name_of(SignatureAlgorithm algorithm);

// Immutable; any thread.
class VerifyKey {
 public:
  using Ptr = std::shared_ptr<const VerifyKey>;
  // Numbers and points as big-endian bytes. A key that is too weak, too dear to use or not on its
  // curve is a failure: "is shorter than 2048 bits".
  static Result<Ptr> of_secret(std::string_view bytes);
  static Result<Ptr> of_rsa(std::string_view modulus, std::string_view exponent);
  static Result<Ptr> of_ec(std::string_view curve, std::string_view x, std::string_view y);
  static Result<Ptr> of_okp(std::string_view curve, std::string_view x);

  ~VerifyKey();
  VerifyKey(const VerifyKey&) = delete;
  VerifyKey& operator=(const VerifyKey&) = delete;

  // Whether the key is of the type, curve and length that the algorithm is for: no other may be
  // checked with it.
  bool fits(SignatureAlgorithm algorithm) const;
  bool is_secret() const;
  // Whether `signature`, as JWS has it, is this key's of `message`. REQUIRES: fits(algorithm).
  bool verify(SignatureAlgorithm algorithm, std::string_view message,
              std::string_view signature) const;

 private:
  struct Material;
  explicit VerifyKey(std::unique_ptr<const Material> material);
  const std::unique_ptr<const Material> material_;
};

}  // namespace weir::net
