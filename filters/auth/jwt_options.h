// What auth.jwt has been told.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/siphash.h"
#include "filters/auth/key_wait.h"
#include "filters/auth/token.h"
#include "filters/registry.h"

namespace weir::filters::auth {

// A named part of a request.
struct Part {
  enum class Kind : uint8_t { kBearer, kHeader, kCookie, kQuery, kHost, kSubdomain };
  Kind kind = Kind::kBearer;
  std::string name = {};
};

struct ClaimHeader {
  std::string claim;
  std::string header;
};

struct ClaimRule {
  std::string claim;
  std::vector<std::string> values;  // one of them is enough
};

struct ClaimMatch {
  std::string claim;
  Part part;
};

struct JwtOptions {
  TokenRules rules;
  std::shared_ptr<const KeySet> own;  // of the configuration
  std::optional<KeyPlace> fetched;    // nothing: all keys are the configuration's
  SipKey cache_key = {0, 0};          // of all that decides whether a token holds
  std::vector<Part> from;             // where tokens are looked for
  std::vector<ClaimHeader> headers;
  std::vector<std::string> own_fields;  // the names of `headers`
  std::vector<ClaimRule> claims;
  std::vector<ClaimMatch> must_match;
  std::string challenge;
  bool optional = false;
  bool strip = false;
};

// Reports what is wrong.
JwtOptions read_jwt_options(const options::Node& value, const Reading& reading);

}  // namespace weir::filters::auth
