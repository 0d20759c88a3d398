#include "filters/auth/jwt.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/limits.h"
#include "base/strings.h"
#include "filters/auth/jwt_options.h"
#include "filters/auth/refusal.h"
#include "filters/auth/request_part.h"
#include "filters/auth/verified_table.h"
#include "filters/shared_settings.h"
#include "http/chars.h"
#include "http/rules.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "proxy/subject.h"

namespace weir::filters::auth {

namespace {

using proxy::Claims;
using ClaimsPtr = std::shared_ptr<const Claims>;

struct TokenRefusal {
  Refusal refusal;
  const char* error;  // the rest of the challenge (RFC 6750 3)
};

constexpr const char* kInvalid = ", error=\"invalid_token\"";

constexpr TokenRefusal kMissing = {{401, "missing", "no token"}, ""};
constexpr TokenRefusal kTwice = {{400, "malformed", "several tokens"},
                                 ", error=\"invalid_request\""};
constexpr TokenRefusal kNoKeys = {{503, "keys", "no keys of the issuer"}, ""};
constexpr TokenRefusal kForbidden = {{403, "forbidden", "the token does not allow it"},
                                     ", error=\"insufficient_scope\""};
constexpr TokenRefusal kMismatch = {{403, "mismatch", "the request is for somebody else's part"},
                                    ", error=\"insufficient_scope\""};
constexpr TokenRefusal kUnfit = {{403, "unfit", "a claim that no field can carry"},
                                 ", error=\"insufficient_scope\""};

TokenRefusal refusal_of(TokenFault fault) {
  switch (fault) {
    case TokenFault::kNone:
    case TokenFault::kMalformed: return {{401, "malformed", "not a token"}, kInvalid};
    case TokenFault::kAlgorithm:
      return {{401, "algorithm", "the token's alg is not accepted"}, kInvalid};
    case TokenFault::kKey: return {{401, "key", "no key for the token"}, kInvalid};
    case TokenFault::kSignature: return {{401, "signature", "a wrong signature"}, kInvalid};
    case TokenFault::kExpired:
      return {{401, "expired", "the token has expired"},
              ", error=\"invalid_token\", error_description=\"the token has expired\""};
    case TokenFault::kNotYet:
      return {{401, "early", "the token is not valid yet"},
              ", error=\"invalid_token\", error_description=\"the token is not valid yet\""};
    case TokenFault::kIssuer: return {{401, "issuer", "another issuer's token"}, kInvalid};
    case TokenFault::kAudience: return {{401, "audience", "a token for others"}, kInvalid};
    case TokenFault::kClaims: return {{401, "claims", "a claim is missing or broken"}, kInvalid};
  }
  return {{401, "malformed", "not a token"}, kInvalid};
}

VerifiedTable<ClaimsPtr>& known_tokens() {
  static VerifiedTable<ClaimsPtr> table(limits::kVerifiedTokens);
  return table;
}

// Both are lists for people: RFC 8693 4.2, and what others made of it.
bool is_scope(std::string_view claim) { return claim == "scope" || claim == "scp"; }

bool has_item(std::string_view list, char separator, std::string_view item) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(separator), list.size());
    if (list.substr(0, end) == item) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

bool allows(const ClaimRule& rule, const Claims& claims) {
  const Claims::Entry* const entry = claims.find(rule.claim);
  if (entry == nullptr) return false;
  return std::any_of(rule.values.begin(), rule.values.end(), [&](const std::string& value) {
    if (entry->list) return has_item(entry->text, ',', value);
    return is_scope(rule.claim) ? has_item(entry->text, ' ', value) : entry->text == value;
  });
}

// What a field may carry and a reader gets as it was sent (RFC 9110 5.5).
bool fits_field(std::string_view text) {
  return !http::has_control(text) && trim_ows(text) == text;
}

// Lives in its exchange's arena; thread: the worker's.
class Jwt final : public proxy::Filter, public KeyWait::User {
 public:
  explicit Jwt(const JwtOptions& options) : options_(options) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& head) override {
    proxy::Exchange& exchange = context.exchange();
    const FoundToken found = find_token(options_.from, head.headers);
    if (found.several) return refuse_with(kTwice);
    token_ = found.token;
    if (!token_.empty()) {
      return options_.fetched ? ask_for_keys(context) : judge(exchange, verify(exchange));
    }
    if (!options_.optional) return refuse_with(kMissing);
    return let_in(exchange);
  }

  void on_end(const proxy::Summary&) noexcept override { wait_.reset(); }

  void on_keys() override {
    proxy::Exchange& exchange = wait_->exchange();
    proxy::Verdict verdict = judge(exchange, verify(exchange));
    proxy::Resume resume = wait_->take_resume();
    auto* const refused = std::get_if<proxy::LocalReply>(&verdict);
    if (refused != nullptr) return std::move(resume).reply(std::move(*refused));
    std::move(resume).next();
  }

 private:
  // What is known of the issuer's keys may be nothing, too old, or too little for this token.
  proxy::Verdict ask_for_keys(proxy::FilterContext& context) {
    using Need = KeySource::Need;
    using Turn = KeySource::Turn;
    proxy::Exchange& exchange = context.exchange();
    KeySource& source = *options_.fetched->source;
    const uint64_t now_ms = exchange.worker().net().now_us() / 1000;
    Need need = Need::kFresh;
    Turn turn = source.ask(need, now_ms);
    if (turn != Turn::kFetch) {
      const TokenFault fault = verify(exchange);
      if (fault != TokenFault::kNone && new_kid_ && turn == Turn::kGoOn) {
        need = Need::kNewKid;
        turn = source.ask(need, now_ms);
      }
      if (fault == TokenFault::kNone || turn == Turn::kGoOn) return judge(exchange, fault);
    }
    std::pair<proxy::Parked, proxy::Resume> parked = context.park();
    wait_.emplace(*options_.fetched, need, std::move(parked.second), exchange, *this);
    wait_->start(turn);
    return parked.first;
  }

  proxy::Verdict judge(proxy::Exchange& exchange, TokenFault fault) {
    const bool no_keys = options_.fetched && options_.fetched->source->ring().keys() == nullptr;
    if (no_keys && (fault == TokenFault::kKey || fault == TokenFault::kSignature)) {
      return refuse_with(kNoKeys);
    }
    if (fault != TokenFault::kNone) return refuse_with(refusal_of(fault));
    if (const TokenRefusal* refusal = forbids(exchange.request())) return refuse_with(*refusal);
    return let_in(exchange);
  }

  proxy::Verdict let_in(proxy::Exchange& exchange) {
    if (!options_.own_fields.empty()) exchange.drop_site_fields();
    if (claims_ != nullptr) tell(exchange, exchange.request().headers);
    return proxy::Next{};
  }

  TokenFault verify(proxy::Exchange& exchange) {
    const uint64_t now_s = exchange.worker().wall_us() / 1'000'000;
    const KeyRing* const ring = options_.fetched ? &options_.fetched->source->ring() : nullptr;
    Hash128 key = options_.cache_key.hash(token_);
    // Before the keys themselves are asked for: see KeyRing.
    if (ring != nullptr) key.high ^= ring->version();
    if (known_tokens().find(key, now_s, claims_)) return TokenFault::kNone;
    std::shared_ptr<const KeySet> fetched;
    if (ring != nullptr) fetched = ring->keys();
    VerifiedToken verified;
    const TokenFault fault =
        verify_token(token_, {options_.own.get(), fetched.get()}, options_.rules, now_s, verified);
    new_kid_ = verified.new_kid;
    if (fault != TokenFault::kNone) return fault;
    claims_ = std::move(verified.claims);
    known_tokens().put(key, std::min(verified.until_s, now_s + limits::kVerifiedTokenS), claims_);
    return TokenFault::kNone;
  }

  // Null: nothing does.
  const TokenRefusal* forbids(const http::RequestHead& head) const {
    for (const ClaimRule& rule : options_.claims) {
      if (!allows(rule, *claims_)) return &kForbidden;
    }
    for (const ClaimMatch& match : options_.must_match) {
      const Claims::Entry* const entry = claims_->find(match.claim);
      // Who has no part of his own has none at all: servers would be told nothing of whose it is.
      if (entry == nullptr || entry->text.empty() || !matches(match.part, entry->text, head)) {
        return &kMismatch;
      }
    }
    for (const ClaimHeader& header : options_.headers) {
      const Claims::Entry* const entry = claims_->find(header.claim);
      if (entry != nullptr && !fits_field(entry->text)) return &kUnfit;
    }
    return nullptr;
  }

  void tell(proxy::Exchange& exchange, http::HeaderList& headers) {
    if (options_.strip) {
      for (const Part& part : options_.from) {
        if (part.kind == Part::Kind::kBearer) headers.remove(http::HeaderId::kAuthorization);
        if (part.kind != Part::Kind::kHeader) continue;
        headers.remove_if([&part](const http::Header& field) {
          return http::same_variable(field.name, part.name);
        });
      }
    }
    for (const ClaimHeader& header : options_.headers) {
      const Claims::Entry* const entry = claims_->find(header.claim);
      if (entry != nullptr && !entry->text.empty()) headers.add(header.header, entry->text);
    }
    const Claims::Entry* const user = claims_->find(options_.rules.user_claim);
    if (user != nullptr) subject_.name = user->text;
    subject_.claims = claims_.get();
    exchange.set_subject(subject_);
  }

  proxy::LocalReply refuse_with(const TokenRefusal& refusal) const {
    const bool asks = refusal.refusal.status != 503;
    return refuse("jwt", refusal.refusal,
                  asks ? options_.challenge + refusal.error : std::string());
  }

  const JwtOptions& options_;  // the snapshot's, which the exchange pins
  std::string_view token_;
  ClaimsPtr claims_;  // what fields of the request point into
  proxy::Subject subject_;
  std::optional<KeyWait> wait_;
  bool new_kid_ = false;  // of the token, among the keys that it was last held against
};

class Factory final : public SharedFactory<Jwt, JwtOptions> {
 public:
  using SharedFactory::SharedFactory;
  std::string_view name() const override { return "auth"; }
  bool asks_for_proof() const override { return true; }
  std::span<const std::string> own_fields() const override { return options().own_fields; }
  static bool tells(User user) { return user != User::kNobody; }
};

}  // namespace

SettingsPtr jwt_read(const options::Node& value, const Reading& reading) {
  return shared_settings<Factory>(read_jwt_options(value, reading));
}

}  // namespace weir::filters::auth
