#include "filters/auth/jwks.h"

#include <algorithm>
#include <utility>

#include "base/base64.h"
#include "base/siphash.h"
#include "filters/auth/json.h"

namespace weir::filters::auth {

namespace {

using net::VerifyKey;

constexpr size_t kKeysMax = 100;

// Nothing where the member is no base64url text.
std::optional<std::string> bytes_member(const Json& jwk, const char* name) {
  const std::string* const text = text_member(jwk, name);
  std::string bytes;
  if (text == nullptr || !decode_base64(Base64::kUrl, *text, bytes)) return std::nullopt;
  return bytes;
}

Result<VerifyKey::Ptr> missing() {
  return Result<VerifyKey::Ptr>::failure("lacks a part of the key, or has it not in base64url");
}

Result<VerifyKey::Ptr> key_of(const Json& jwk, std::string_view type) {
  if (type == "oct") {
    const auto secret = bytes_member(jwk, "k");
    return secret ? VerifyKey::of_secret(*secret) : missing();
  }
  if (type == "RSA") {
    const auto n = bytes_member(jwk, "n");
    const auto e = bytes_member(jwk, "e");
    return n && e ? VerifyKey::of_rsa(*n, *e) : missing();
  }
  const std::string* const curve = text_member(jwk, "crv");
  const auto x = bytes_member(jwk, "x");
  if (curve == nullptr || !x) return missing();
  if (type == "OKP") return VerifyKey::of_okp(*curve, *x);
  const auto y = bytes_member(jwk, "y");
  return y ? VerifyKey::of_ec(*curve, *x, *y) : missing();
}

bool is_known_type(std::string_view type) {
  return type == "oct" || type == "RSA" || type == "EC" || type == "OKP";
}

// RFC 7517 4.2, 4.3: what is said of the use is meant.
bool is_for_signatures(const Json& jwk) {
  if (jwk.contains("use")) {
    const std::string* const use = text_member(jwk, "use");
    if (use == nullptr || *use != "sig") return false;
  }
  const auto operations = jwk.find("key_ops");
  if (operations == jwk.end()) return true;
  return operations->is_array() &&
         std::any_of(operations->begin(), operations->end(),
                     [](const Json& one) { return one.is_string() && one == "verify"; });
}

}  // namespace

bool KeySet::add_jwks(std::string_view text, bool secrets, std::vector<Fault>& faults) {
  const std::optional<Json> set =
      text.size() <= kTextBytes ? parse_json_object(text) : std::nullopt;
  const auto keys = set ? set->find("keys") : Json::const_iterator();
  if (!set || keys == set->end() || !keys->is_array()) {
    faults.push_back({{}, "is no JWK set: {\"keys\": [...]}"});
    return false;
  }
  if (keys->size() > kKeysMax) {
    faults.push_back({{}, "holds more than " + std::to_string(kKeysMax) + " keys"});
    return false;
  }
  bool good = true;
  for (size_t i = 0; i < keys->size(); ++i) {
    const Json& jwk = (*keys)[i];
    const auto fault = [&](std::string what, bool fatal) {
      faults.push_back({"keys[" + std::to_string(i) + "]", std::move(what), fatal});
      good = good && !fatal;
    };
    const std::string* const type = jwk.is_object() ? text_member(jwk, "kty") : nullptr;
    if (type == nullptr) {
      fault("is no key", true);
      continue;
    }
    if (!is_known_type(*type) || !is_for_signatures(jwk)) continue;
    if (*type != "oct" && jwk.contains("d")) {
      fault("holds a private key, which only the issuer should have", true);
      continue;
    }
    if (*type == "oct" && !secrets) {
      fault("is a secret that everybody can read", true);
      continue;
    }
    Key key;
    if (const std::string* alg = text_member(jwk, "alg")) {
      key.only = net::signature_algorithm(*alg);
      if (!key.only) continue;  // for encryption, or of a later time
    }
    if (const std::string* kid = text_member(jwk, "kid")) key.kid = *kid;
    Result<VerifyKey::Ptr> made = key_of(jwk, *type);
    if (!made.ok()) {
      fault(made.error(), false);
      continue;
    }
    key.key = std::move(made.value());
    keys_.push_back(std::move(key));
  }
  return good;
}

void KeySet::add(VerifyKey::Ptr key) { keys_.push_back({{}, std::nullopt, std::move(key)}); }

void KeySet::Key::offer(net::SignatureAlgorithm algorithm, Candidates& out) const {
  if (out.count != out.keys.size() && is_for(algorithm)) out.keys[out.count++] = key.get();
}

void KeySet::find_named(std::string_view kid, net::SignatureAlgorithm algorithm,
                        Candidates& out) const {
  if (kid.empty()) return;
  for (const Key& key : keys_) {
    if (key.kid != kid) continue;
    out.known_kid = true;
    key.offer(algorithm, out);
  }
}

void KeySet::find_others(std::string_view kid, net::SignatureAlgorithm algorithm,
                         Candidates& out) const {
  for (const Key& key : keys_) {
    if (kid.empty() || key.kid.empty()) key.offer(algorithm, out);
  }
}

bool KeySet::fits_any(net::SignatureAlgorithm algorithm) const {
  return std::any_of(keys_.begin(), keys_.end(),
                     [algorithm](const Key& key) { return key.is_for(algorithm); });
}

void KeyRing::replace(std::shared_ptr<const KeySet> keys, std::string_view text) {
  static const SipKey process_key = SipKey::random();
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
  version_.store(process_key.hash(text).low, std::memory_order_release);
}

std::shared_ptr<const KeySet> KeyRing::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

}  // namespace weir::filters::auth
