#include "filters/auth/token.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/limits.h"
#include "base/strings.h"
#include "filters/auth/claims.h"
#include "filters/auth/json.h"
#include "http/chars.h"

namespace weir::filters::auth {

namespace {

using net::SignatureAlgorithm;

struct Parts {
  std::string_view header;
  std::string_view payload;
  std::string_view signature;
  std::string_view signed_text;  // header.payload
};

bool split(std::string_view token, Parts& parts) {
  if (token.size() > limits::kTokenBytes) return false;
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos) return false;
  parts = {token.substr(0, first), token.substr(first + 1, second - first - 1),
           token.substr(second + 1), token.substr(0, second)};
  return parts.signature.find('.') == std::string_view::npos;
}

// RFC 8725 3.11: a token of another kind, such as one that refreshes, is not for this use.
bool is_accepted_type(const Json& header) {
  const auto found = header.find("typ");
  if (found == header.end()) return true;
  const auto* const text = found->get_ptr<const std::string*>();
  if (text == nullptr) return false;
  std::string_view type = *text;
  constexpr std::string_view kApplication = "application/";
  if (iequals(type.substr(0, kApplication.size()), kApplication)) {
    type.remove_prefix(kApplication.size());
  }
  return iequals(type, "JWT") || iequals(type, "at+jwt");
}

// What a header says, whoever is asked whether that is enough.
struct Header {
  std::string encoded;                          // as the token has it
  std::optional<SignatureAlgorithm> algorithm;  // nothing: one that is not known
  std::string kid;
};

bool parse_header(std::string_view encoded, Header& out) {
  std::string text;
  if (!decode_base64(Base64::kUrl, encoded, text)) return false;
  const std::optional<Json> header = parse_json_object(text);
  // What `crit` lists has to be understood (RFC 7515 4.1.11), and nothing of it is.
  if (!header || header->contains("crit") || !is_accepted_type(*header)) return false;
  const std::string* const alg = text_member(*header, "alg");
  if (alg == nullptr) return false;
  out.algorithm = net::signature_algorithm(*alg);
  if (header->contains("kid")) {
    const std::string* const name = text_member(*header, "kid");
    if (name == nullptr) return false;
    out.kid = *name;
  }
  out.encoded = encoded;
  return true;
}

// Null: it is malformed. The tokens of an issuer have one header, byte for byte, as long as it
// signs with one key: the last one of each thread is not parsed again.
const Header* read_header(std::string_view encoded) {
  static thread_local Header last;
  if (last.encoded == encoded && !encoded.empty()) return &last;
  Header header;
  if (!parse_header(encoded, header)) return nullptr;
  last = std::move(header);
  return &last;
}

bool allows(const TokenRules& rules, std::optional<SignatureAlgorithm> algorithm) {
  return algorithm && (rules.algorithms >> static_cast<unsigned>(*algorithm) & 1) != 0;
}

TokenFault check_signature(const Parts& parts, const TokenKeys& keys, SignatureAlgorithm algorithm,
                           std::string_view kid, bool& new_kid) {
  std::string signature;
  if (!decode_base64(Base64::kUrl, parts.signature, signature)) return TokenFault::kMalformed;
  KeySet::Candidates candidates;
  const KeySet* const sets[] = {keys.own, keys.fetched};
  for (const KeySet* set : sets) {
    if (set != nullptr) set->find_named(kid, algorithm, candidates);
  }
  for (const KeySet* set : sets) {
    if (set != nullptr) set->find_others(kid, algorithm, candidates);
  }
  new_kid = !kid.empty() && !candidates.known_kid;
  if (candidates.count == 0) return TokenFault::kKey;
  for (size_t i = 0; i < candidates.count; ++i) {
    if (candidates.keys[i]->verify(algorithm, parts.signed_text, signature)) {
      return TokenFault::kNone;
    }
  }
  return TokenFault::kSignature;
}

bool is_one_of(const Json& value, const std::vector<std::string>& accepted) {
  const auto* const text = value.get_ptr<const std::string*>();
  return text != nullptr && std::find(accepted.begin(), accepted.end(), *text) != accepted.end();
}

// RFC 7519 4.1.3: one name, or a list of which one is enough.
bool is_for(const Json& audience, const std::vector<std::string>& accepted) {
  if (!audience.is_array()) return is_one_of(audience, accepted);
  return std::any_of(audience.begin(), audience.end(),
                     [&](const Json& one) { return is_one_of(one, accepted); });
}

// A NumericDate (RFC 7519 2): seconds since 1970, perhaps with a fraction. Nothing: not there.
struct Dates {
  std::optional<double> exp, nbf, iat;
};

bool read_date(const Json& payload, const char* name, std::optional<double>& out) {
  const auto found = payload.find(name);
  if (found == payload.end()) return true;
  if (!found->is_number()) return false;
  out = found->get<double>();
  return std::isfinite(*out);
}

TokenFault check_dates(const Json& payload, const TokenRules& rules, uint64_t now_s,
                       uint64_t& until_s) {
  constexpr double kLatest = 1e15;  // what is later is not meant to end
  constexpr double kClocksDifferS = 5;
  Dates dates;
  if (!read_date(payload, "exp", dates.exp) || !read_date(payload, "nbf", dates.nbf) ||
      !read_date(payload, "iat", dates.iat)) {
    return TokenFault::kClaims;
  }
  const auto now = static_cast<double>(now_s);
  const auto leeway = static_cast<double>(rules.leeway_s);
  if (dates.exp) {
    if (now >= *dates.exp + leeway) return TokenFault::kExpired;
    until_s = static_cast<uint64_t>(std::min(std::ceil(*dates.exp), kLatest)) + rules.leeway_s;
  }
  // Two clocks that are kept differ by less than this, and a token is used at once.
  const double ahead = std::max(leeway, kClocksDifferS);
  if (dates.nbf && *dates.nbf > now + ahead) return TokenFault::kNotYet;
  if (dates.iat && *dates.iat > now + ahead) return TokenFault::kNotYet;
  return TokenFault::kNone;
}

TokenFault check_claims(const Json& payload, const TokenRules& rules, uint64_t now_s,
                        uint64_t& until_s) {
  const TokenFault dates = check_dates(payload, rules, now_s, until_s);
  if (dates != TokenFault::kNone) return dates;
  const auto issuer = payload.find("iss");
  if (!rules.issuers.empty() && (issuer == payload.end() || !is_one_of(*issuer, rules.issuers))) {
    return TokenFault::kIssuer;
  }
  const auto audience = payload.find("aud");
  if (!rules.audiences.empty() &&
      (audience == payload.end() || !is_for(*audience, rules.audiences))) {
    return TokenFault::kAudience;
  }
  for (const std::string& name : rules.required) {
    const auto found = payload.find(name);
    if (found == payload.end() || found->is_null()) return TokenFault::kClaims;
  }
  return TokenFault::kNone;
}

}  // namespace

TokenFault verify_token(std::string_view token, const TokenKeys& keys, const TokenRules& rules,
                        uint64_t now_s, VerifiedToken& out) {
  Parts parts;
  if (!split(token, parts)) return TokenFault::kMalformed;
  const Header* const header = read_header(parts.header);
  if (header == nullptr) return TokenFault::kMalformed;
  if (!allows(rules, header->algorithm)) return TokenFault::kAlgorithm;
  TokenFault fault = check_signature(parts, keys, *header->algorithm, header->kid, out.new_kid);
  if (fault != TokenFault::kNone) return fault;

  std::string text;
  const std::optional<Json> payload =
      decode_base64(Base64::kUrl, parts.payload, text) ? parse_json_object(text) : std::nullopt;
  if (!payload) return TokenFault::kMalformed;
  fault = check_claims(*payload, rules, now_s, out.until_s);
  if (fault != TokenFault::kNone) return fault;
  out.claims = claims_of(*payload);
  const proxy::Claims::Entry* const user = out.claims->find(rules.user_claim);
  if (user != nullptr && http::has_control(user->text)) return TokenFault::kClaims;
  return TokenFault::kNone;
}

}  // namespace weir::filters::auth
