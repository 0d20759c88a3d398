// Signed tokens (JWT in the compact form of JWS: RFC 7519, RFC 7515, RFC 8725): whether one holds,
// and what it says. Whatever comes in is a value or a fault; the work is bounded by the token's
// size.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "filters/auth/jwks.h"
#include "proxy/subject.h"

namespace weir::filters::auth {

enum class TokenFault : uint8_t {
  kNone,
  kMalformed,  // not a token at all, or one that two readers may read differently
  kAlgorithm,  // `alg` is not among those that are accepted
  kKey,        // no key of that name and for that algorithm
  kSignature,
  kExpired,
  kNotYet,  // by `nbf` or `iat`
  kIssuer,
  kAudience,
  kClaims,  // a claim is missing, or of the wrong type
};

struct TokenRules {
  uint32_t algorithms = 0;                  // bits by net::SignatureAlgorithm
  std::vector<std::string> issuers = {};    // empty: any
  std::vector<std::string> audiences = {};  // empty: any
  std::vector<std::string> required = {};   // claims that have to be there
  uint64_t leeway_s = 0;
  std::string user_claim = "sub";
};

struct VerifiedToken {
  std::shared_ptr<const proxy::Claims> claims;
  uint64_t until_s = UINT64_MAX;  // `exp`, with the leeway
  bool new_kid = false;           // it names a key, and none has that name
};

// Of one try: what it was held against may have keys that are fetched anew.
struct TokenKeys {
  const KeySet* own = nullptr;      // of the configuration; null: none
  const KeySet* fetched = nullptr;  // null: none
};

TokenFault verify_token(std::string_view token, const TokenKeys& keys, const TokenRules& rules,
                        uint64_t now_s, VerifiedToken& out);

}  // namespace weir::filters::auth
