#include "filters/auth/jwt_options.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "filters/auth/place.h"
#include "filters/auth/realm.h"
#include "filters/header_name.h"
#include "http/rules.h"

namespace weir::filters::auth {

namespace {

using net::SignatureAlgorithm;
using options::MapReader;
using options::Node;
using options::Problems;

constexpr size_t kItemsMax = 100;  // of any list or map here: each is looked at per request

// Found in examples all over the world, and so in everybody's list of guesses.
constexpr std::array<std::string_view, 8> kSampleSecrets = {
    "super_secure_production_secret_key",
    "your-super-secure-jwt-secret-here",
    "super-secret-jwt-key-minimum-32-characters",
    "your-256-bit-secret-your-256-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "your-super-secret-jwt-key-change-this-in-production",
    "your-super-secret-jwt-key-change-in-production",
    "change-me-change-me-change-me-change-me",
};

uint32_t bit(SignatureAlgorithm algorithm) { return 1u << static_cast<unsigned>(algorithm); }

void read_secret(const Node& node, Problems& problems, KeySet& keys) {
  std::string secret;
  if (!options::read_string(node, problems, secret)) return;
  constexpr const char* kHint = "make one with openssl rand -base64 48";
  if (std::count(kSampleSecrets.begin(), kSampleSecrets.end(), secret) != 0) {
    problems.error(node, "is a sample that everybody knows", kHint);
    return;
  }
  Result<net::VerifyKey::Ptr> key = net::VerifyKey::of_secret(secret);
  if (!key.ok()) {
    problems.error(node, key.error(), kHint);
  } else {
    keys.add(std::move(key.value()));
  }
}

void read_jwks(const Node& node, const Reading& reading, KeySet& keys, std::string& text) {
  if (node.text.starts_with("https://") || node.text.starts_with("http://")) {
    reading.problems.error(node, "is a URL; keys are fetched from an upstream",
                           "as in {upstream: id, path: /.well-known/jwks.json}");
    return;
  }
  if (!reading.file(node, text)) return;
  std::vector<KeySet::Fault> faults;
  const bool good = keys.add_jwks(text, true, faults);
  for (const KeySet::Fault& fault : faults) {
    const std::string what =
        node.shown() + (fault.path.empty() ? " " : " " + fault.path + " ") + fault.what;
    if (fault.fatal) {
      reading.problems.error(node, what);
    } else {
      reading.problems.warning(node, what, "it is left out");
    }
  }
  if (good && keys.size() == 0) {
    reading.problems.error(node, node.shown() + " holds no key that checks signatures");
  }
}

// Other configurations that name the place share what has been fetched from it.
void read_key_place(const Node& node, const Reading& reading, std::optional<KeyPlace>& out) {
  MapReader map(node, reading.problems);
  KeyPlace& place = out.emplace();
  read_place(map, reading, {place.route, place.target, place.host});
  constexpr uint64_t kDayMs = 86'400'000;
  map.duration_ms("refresh", {1000, kDayMs}, place.refresh_ms);
  map.finish();
  if (place.route.cluster == nullptr) return;
  const std::string& upstream = place.route.cluster->name;
  if (place.host.empty()) place.host = upstream;
  place.source = KeySource::of(upstream + '\n' + place.host + '\n' + place.target);
  place.source->expire();
}

// Why `keys` have none for it.
std::string hint_for(SignatureAlgorithm algorithm, const KeySet& keys) {
  if (algorithm > SignatureAlgorithm::kHs512) return {};
  if (keys.size() == 0) return "a secret is: what is fetched is public";
  if (algorithm == SignatureAlgorithm::kHs384) return "a secret of at least 48 bytes is";
  if (algorithm == SignatureAlgorithm::kHs512) return "a secret of at least 64 bytes is";
  return {};
}

// The names that `alg` may have, and the keys for them.
void read_algorithms(MapReader& map, const KeySet& keys, bool secret, bool jwks, bool fetched,
                     uint32_t& out) {
  std::vector<const Node*> items;
  if (!map.list("algorithms", items)) {
    if (secret) out |= bit(SignatureAlgorithm::kHs256);
    if (jwks) {
      out |= bit(SignatureAlgorithm::kRs256) | bit(SignatureAlgorithm::kEs256) |
             bit(SignatureAlgorithm::kEdDsa);
    }
    return;
  }
  if (items.empty()) map.problems().key_error(map.node(), "algorithms", "is empty");
  std::vector<std::string_view> names;
  for (size_t i = 0; i < net::kSignatureAlgorithms; ++i) {
    names.push_back(net::name_of(static_cast<SignatureAlgorithm>(i)));
  }
  // Those of a secret or a file that was refused are not.
  const bool knows_secrets = keys.size() != 0 || (fetched && !secret);
  for (const Node* item : items) {
    std::string name;
    if (!options::read_string(*item, map.problems(), name)) continue;
    const std::optional<SignatureAlgorithm> algorithm = net::signature_algorithm(name);
    if (!algorithm) {
      map.problems().unknown(*item, "algorithm", names);
      continue;
    }
    const bool may_come = fetched && *algorithm > SignatureAlgorithm::kHs512;
    if (knows_secrets && !may_come && !keys.fits_any(*algorithm)) {
      map.problems().error(*item, "no key is for " + name, hint_for(*algorithm, keys));
    } else {
      out |= bit(*algorithm);
    }
  }
}

// A text, or a list of them.
void read_texts(MapReader& map, std::string_view key, std::vector<std::string>& out) {
  const Node* const node = map.find(key);
  if (node == nullptr) return;
  std::vector<const Node*> items = {node};
  if (node->kind != options::Kind::kScalar && !options::read_list(*node, map.problems(), items)) {
    return;
  }
  if (items.empty() || items.size() > kItemsMax) {
    map.problems().error(*node, items.empty() ? "is empty" : "has too many items");
    return;
  }
  for (const Node* item : items) {
    std::string text;
    if (options::read_string(*item, map.problems(), text)) out.push_back(std::move(text));
  }
}

struct PartWord {
  std::string_view word;
  Part::Kind kind;
  bool named;  // "header:NAME"
};

// Nothing after reporting.
std::optional<Part> read_part(const Node& node, Problems& problems,
                              const std::vector<PartWord>& words) {
  std::string text;
  if (!options::read_string(node, problems, text)) return std::nullopt;
  const size_t colon = std::min(text.find(':'), text.size());
  std::string list;
  for (const PartWord& one : words) {
    const bool has_name = colon + 1 < text.size();
    if (text.substr(0, colon) == one.word && (one.named ? has_name : colon == text.size())) {
      Part part = {one.kind, has_name ? text.substr(colon + 1) : std::string()};
      if (one.named && !http::is_token(part.name)) {
        problems.error(node, options::quote(part.name) + " is not a name");
        return std::nullopt;
      }
      return part;
    }
    list += (list.empty() ? "" : ", ") + std::string(one.word) + (one.named ? ":NAME" : "");
  }
  problems.error(node, "must be one of " + list + ", not " + node.shown());
  return std::nullopt;
}

void read_from(MapReader& map, std::vector<Part>& out) {
  static const std::vector<PartWord> kWords = {{"bearer", Part::Kind::kBearer, false},
                                               {"header", Part::Kind::kHeader, true},
                                               {"cookie", Part::Kind::kCookie, true}};
  const Node* const node = map.find("from");
  if (node == nullptr) {
    out = {{Part::Kind::kBearer}};
    return;
  }
  std::vector<const Node*> items = {node};
  if (node->kind != options::Kind::kScalar && !options::read_list(*node, map.problems(), items)) {
    return;
  }
  if (items.empty()) map.problems().error(*node, "is empty");
  for (const Node* item : items) {
    if (std::optional<Part> part = read_part(*item, map.problems(), kWords)) {
      out.push_back(std::move(*part));
    }
  }
}

// Claims by name: each entry of a map. False when there is none.
bool read_entries(MapReader& map, std::string_view key, std::vector<const Node*>& out) {
  const Node* const node = map.find(key);
  if (node == nullptr || !MapReader(*node, map.problems()).is_map()) return false;
  if (node->children.size() > kItemsMax) {
    map.problems().error(*node, "has more than " + std::to_string(kItemsMax) + " entries");
    return false;
  }
  for (const auto& entry : node->children) out.push_back(entry.get());
  return true;
}

void add_header(const Node& node, std::string claim, std::string name, Problems& problems,
                JwtOptions& options) {
  for (const ClaimHeader& other : options.headers) {
    if (!http::same_variable(other.header, name)) continue;
    if (other.claim != claim) {
      problems.error(node, options::quote(name) + " has the claim " + options::quote(other.claim) +
                               " already");
    }
    return;
  }
  options.own_fields.push_back(name);
  options.headers.push_back({std::move(claim), std::move(name)});
}

void read_headers(MapReader& map, JwtOptions& options) {
  std::vector<const Node*> entries;
  read_entries(map, "claims_to_headers", entries);
  for (const Node* entry : entries) {
    std::string name;
    if (options::read_string(*entry, map.problems(), name) &&
        check_own_header_name(*entry, name, map.problems())) {
      add_header(*entry, entry->key, std::move(name), map.problems(), options);
    }
  }
}

void read_claims(MapReader& map, std::vector<ClaimRule>& out) {
  std::vector<const Node*> entries;
  if (!read_entries(map, "claims", entries)) return;
  MapReader claims(*map.find("claims"), map.problems());
  for (const Node* entry : entries) {
    ClaimRule rule = {entry->key, {}};
    read_texts(claims, entry->key, rule.values);
    out.push_back(std::move(rule));
  }
}

// A field that has to say the same as the token is told to servers as the token has it.
void read_must_match(MapReader& map, JwtOptions& options) {
  static const std::vector<PartWord> kWords = {{"header", Part::Kind::kHeader, true},
                                               {"query", Part::Kind::kQuery, true},
                                               {"cookie", Part::Kind::kCookie, true},
                                               {"host", Part::Kind::kHost, false},
                                               {"subdomain", Part::Kind::kSubdomain, false}};
  std::vector<const Node*> entries;
  read_entries(map, "must_match", entries);
  for (const Node* entry : entries) {
    std::optional<Part> part = read_part(*entry, map.problems(), kWords);
    if (!part) continue;
    if (part->kind == Part::Kind::kHeader) {
      if (!check_own_header_name(*entry, part->name, map.problems())) continue;
      add_header(*entry, entry->key, part->name, map.problems(), options);
    }
    options.must_match.push_back({entry->key, std::move(*part)});
  }
}

// Two sets of rules have one key only where a token that holds for one does for the other.
SipKey cache_key_of(const JwtOptions& options, const std::string& secret, const std::string& jwks) {
  static const SipKey process_key = SipKey::random();
  std::string text;
  const auto add = [&text](std::string_view part) {
    text += std::to_string(part.size()) + ':';
    text += part;
  };
  const auto add_all = [&](const std::vector<std::string>& parts) {
    add(std::to_string(parts.size()));
    for (const std::string& part : parts) add(part);
  };
  const TokenRules& rules = options.rules;
  add(secret);
  add(jwks);
  add(std::to_string(rules.algorithms));
  add_all(rules.issuers);
  add_all(rules.audiences);
  add_all(rules.required);
  add(std::to_string(rules.leeway_s));
  add(rules.user_claim);
  return SipKey(process_key.hash(text));
}

}  // namespace

JwtOptions read_jwt_options(const Node& value, const Reading& reading) {
  JwtOptions options;
  MapReader map(value, reading.problems);
  const auto keys = std::make_shared<KeySet>();
  const Node* const secret = map.find("secret");
  const Node* const jwks = map.find("jwks");
  std::string jwks_text;
  if (secret != nullptr) read_secret(*secret, reading.problems, *keys);
  if (jwks != nullptr && jwks->kind == options::Kind::kMap) {
    read_key_place(*jwks, reading, options.fetched);
  } else if (jwks != nullptr) {
    read_jwks(*jwks, reading, *keys, jwks_text);
  }
  if (map.is_map() && secret == nullptr && jwks == nullptr) {
    reading.problems.error(value, "has no key", "one of secret and jwks is due, or both");
  }
  read_algorithms(map, *keys, secret != nullptr, jwks != nullptr, options.fetched.has_value(),
                  options.rules.algorithms);
  options.own = keys;
  read_texts(map, "issuer", options.rules.issuers);
  read_texts(map, "audience", options.rules.audiences);
  options.rules.required = {"exp"};
  if (const Node* required = map.find("required")) {
    std::vector<const Node*> items;
    options.rules.required.clear();
    options::read_list(*required, reading.problems, items);
    for (const Node* item : items) {
      std::string name;
      if (options::read_string(*item, reading.problems, name)) {
        options.rules.required.push_back(std::move(name));
      }
    }
  }
  uint64_t leeway_ms = 0;
  map.duration_ms("leeway", {0, 600'000}, leeway_ms);
  options.rules.leeway_s = leeway_ms / 1000;
  map.string("user_claim", options.rules.user_claim);
  read_from(map, options.from);
  read_headers(map, options);
  read_claims(map, options.claims);
  read_must_match(map, options);
  options.challenge = "Bearer " + read_realm(map);
  map.boolean("optional", options.optional);
  map.boolean("strip", options.strip);
  map.finish();
  options.cache_key = cache_key_of(options, secret == nullptr ? "" : secret->text, jwks_text);
  return options;
}

}  // namespace weir::filters::auth
