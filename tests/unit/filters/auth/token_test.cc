// Which tokens hold, and what they say.
#include "filters/auth/token.h"

#include <catch2/catch.hpp>

#include "base/limits.h"
#include "support/jws_vectors.h"
#include "support/tokens.h"

namespace weir::filters::auth {
namespace {

using net::SignatureAlgorithm;
using test::token;

constexpr uint64_t kNow = 1'700'000'000;

uint32_t bit(SignatureAlgorithm algorithm) { return 1u << static_cast<unsigned>(algorithm); }

struct World {
  World() { keys.add(net::VerifyKey::of_secret(test::kSecret).value()); }

  TokenFault fault(std::string_view text) {
    result = {};
    return verify_token(text, {&keys, nullptr}, rules, now, result);
  }
  std::string claim(std::string_view name) const {
    const proxy::Claims::Entry* entry = result.claims->find(name);
    return entry == nullptr ? "(none)" : (entry->list ? "[" + entry->text + "]" : entry->text);
  }

  KeySet keys;
  TokenRules rules = {.algorithms = bit(SignatureAlgorithm::kHs256)};
  uint64_t now = kNow;
  VerifiedToken result;
};

TEST_CASE("token: RFC 7515 A.1 to A.3") {
  World world;
  std::vector<KeySet::Fault> faults;
  REQUIRE(world.keys.add_jwks(test::kRfc7515Keys, true, faults));
  world.now = 1'300'819'379;
  for (const auto& [text, algorithm] :
       {std::pair(test::kRfc7515Hs256, SignatureAlgorithm::kHs256),
        std::pair(test::kRfc7515Rs256, SignatureAlgorithm::kRs256),
        std::pair(test::kRfc7515Es256, SignatureAlgorithm::kEs256)}) {
    CAPTURE(text);
    world.rules.algorithms = bit(algorithm);
    CHECK(world.fault(text) == TokenFault::kNone);
    CHECK(world.claim("iss") == "joe");
    CHECK(world.claim("exp") == "1300819380");
    CHECK(world.claim("http://example.com/is_root") == "true");
    CHECK(world.result.until_s == 1'300'819'380);
    world.rules.algorithms = ~bit(algorithm);
    CHECK(world.fault(text) == TokenFault::kAlgorithm);
  }
  ++world.now;
  CHECK(world.fault(test::kRfc7515Es256) == TokenFault::kAlgorithm);
  world.rules.algorithms = ~0u;
  CHECK(world.fault(test::kRfc7515Es256) == TokenFault::kExpired);
}

TEST_CASE("token: what is none, though its signature is good") {
  World world;
  const std::string good = R"({"sub":"a"})";
  CHECK(world.fault(token(good)) == TokenFault::kNone);
  const struct {
    const char* header;
    TokenFault fault;
  } headers[] = {
      {R"({"alg":"HS256"})", TokenFault::kNone},
      {R"({"alg":"HS256","typ":"at+jwt"})", TokenFault::kNone},
      {R"({"alg":"HS256","typ":"application/jwt"})", TokenFault::kNone},
      {R"({"alg":"HS256","typ":"refresh+jwt"})", TokenFault::kMalformed},
      {R"({"alg":"HS256","typ":"JWE"})", TokenFault::kMalformed},
      {R"({"alg":"HS256","typ":1})", TokenFault::kMalformed},
      {R"({"alg":"HS256","crit":["exp"],"exp":1})", TokenFault::kMalformed},
      {R"({"alg":"HS256","crit":[]})", TokenFault::kMalformed},
      {R"({"alg":"HS256","b64":false,"crit":["b64"]})", TokenFault::kMalformed},
      {R"({"alg":"HS256","alg":"HS256"})", TokenFault::kMalformed},
      {R"({"alg":"HS256","\u0061lg":"none"})", TokenFault::kMalformed},
      {R"({"alg":["HS256"]})", TokenFault::kMalformed},
      {R"({})", TokenFault::kMalformed},
      {R"([])", TokenFault::kMalformed},
      {R"({"alg":"HS256"} )", TokenFault::kNone},
      {R"({"alg":"HS256"}x)", TokenFault::kMalformed},
      {R"({"alg":"HS256","kid":7})", TokenFault::kMalformed},
      {R"({"alg":"HS256","kid":"any"})", TokenFault::kNone},  // the key has no name
      {R"({"alg":"none"})", TokenFault::kAlgorithm},
      {R"({"alg":"None"})", TokenFault::kAlgorithm},
      {R"({"alg":"hs256"})", TokenFault::kAlgorithm},
      {R"({"alg":"HS384"})", TokenFault::kAlgorithm},
      {R"({"alg":"RS256"})", TokenFault::kAlgorithm},
      {R"({"alg":""})", TokenFault::kAlgorithm},
  };
  for (const auto& row : headers) {
    CAPTURE(row.header);
    CHECK(world.fault(token(good, row.header)) == row.fault);
    CHECK(world.fault(token(good, row.header)) == row.fault);  // what is remembered of it
  }
  for (const char* payload :
       {"", "1", "[]", "\"a\"", "{\"a\":1,\"a\":1}", "{\"a\":{\"b\":1,\"b\":2}}",
        "{\"a\":\"\xff\"}", "{\"a\":1}x", "{a:1}", "{\"a\":1e999}", "{\"a\":01}", "// c\n{}"}) {
    CAPTURE(payload);
    CHECK(world.fault(token(payload)) == TokenFault::kMalformed);
  }
  // One name may stand in several maps.
  CHECK(world.fault(token(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})")) == TokenFault::kNone);
  const std::string deep = "{\"a\":" + std::string(15, '[') + std::string(15, ']') + "}";
  CHECK(world.fault(token(deep)) == TokenFault::kNone);
  const std::string deeper = "{\"a\":" + std::string(16, '[') + std::string(16, ']') + "}";
  CHECK(world.fault(token(deeper)) == TokenFault::kMalformed);
  CHECK(world.fault(token("{\"a\":" + std::string(4000, '['))) == TokenFault::kMalformed);
}

TEST_CASE("token: parts that are not those of one token") {
  World world;
  const std::string good = token(R"({"sub":"a"})");
  const std::string head = good.substr(0, good.find('.'));
  const std::string unsigned_text = good.substr(0, good.rfind('.'));
  for (const std::string& text :
       {std::string(), std::string("."), std::string(".."), std::string("..."), std::string("a"),
        unsigned_text, good + ".", good + ".x", "." + good, good + "=", good + " ", " " + good,
        head + ".." + good.substr(good.rfind('.') + 1), head + "=." + good.substr(head.size() + 1),
        std::string(limits::kTokenBytes + 1, 'a')}) {
    CAPTURE(text);
    const TokenFault fault = world.fault(text);
    CHECK((fault == TokenFault::kMalformed || fault == TokenFault::kSignature));
  }
  CHECK(world.fault(unsigned_text + ".") == TokenFault::kSignature);
  const std::string none =
      test::base64url(R"({"alg":"none"})") + "." + test::base64url(R"({"sub":"a"})") + ".";
  CHECK(world.fault(none) == TokenFault::kAlgorithm);
  CHECK(world.fault(token(R"({"sub":"a"})", R"({"alg":"HS256"})",
                          "another secret of at least thirty-two bytes")) ==
        TokenFault::kSignature);
  // The last character of 43 holds two bits that no byte takes: there is one spelling only.
  std::string other = good;
  for (const char c :
       std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")) {
    other.back() = c;
    CHECK((world.fault(other) == TokenFault::kNone) == (other == good));
  }
}

TEST_CASE("token: a public key is no secret") {
  World world;
  world.keys = {};
  std::vector<KeySet::Fault> faults;
  REQUIRE(world.keys.add_jwks(test::kRfc7520Keys, false, faults) == false);  // holds a secret
  world.keys = {};
  const std::string_view all = test::kRfc7515Keys;
  const std::string rsa = "{\"keys\":[" + std::string(all.substr(all.find("{\"kty\":\"RSA\"")));
  REQUIRE(world.keys.add_jwks(rsa, false, faults));
  world.rules.algorithms = ~0u;
  for (const std::string_view secret : {std::string_view(rsa), all}) {
    CHECK(world.fault(token(R"({"sub":"a"})", R"({"alg":"HS256"})", secret)) == TokenFault::kKey);
  }
}

TEST_CASE("token: dates") {
  World world;
  const auto with = [](const std::string& name, const std::string& value) {
    return token("{\"" + name + "\":" + value + "}");
  };
  const auto at = [](int64_t seconds) {
    return std::to_string(static_cast<int64_t>(kNow) + seconds);
  };
  CHECK(world.fault(with("exp", at(1))) == TokenFault::kNone);
  CHECK(world.result.until_s == kNow + 1);
  CHECK(world.fault(with("exp", at(0))) == TokenFault::kExpired);
  CHECK(world.fault(with("exp", at(0) + ".5")) == TokenFault::kNone);
  CHECK(world.result.until_s == kNow + 1);
  CHECK(world.fault(with("exp", "-1")) == TokenFault::kExpired);
  CHECK(world.fault(with("exp", "0")) == TokenFault::kExpired);
  CHECK(world.fault(with("exp", "1e300")) == TokenFault::kNone);
  CHECK(world.fault(with("exp", "18446744073709551615")) == TokenFault::kNone);
  for (const char* name : {"nbf", "iat"}) {
    CHECK(world.fault(with(name, at(0))) == TokenFault::kNone);
    CHECK(world.fault(with(name, at(5))) == TokenFault::kNone);
    CHECK(world.fault(with(name, at(6))) == TokenFault::kNotYet);
    CHECK(world.fault(with(name, "1e300")) == TokenFault::kNotYet);
  }
  for (const char* name : {"exp", "nbf", "iat"}) {
    for (const char* value : {"\"2000000000\"", "null", "true", "[1]", "{}"}) {
      CHECK(world.fault(with(name, value)) == TokenFault::kClaims);
    }
  }
  world.rules.leeway_s = 30;
  CHECK(world.fault(with("exp", at(-29))) == TokenFault::kNone);
  CHECK(world.result.until_s == kNow + 1);
  CHECK(world.fault(with("exp", at(-30))) == TokenFault::kExpired);
  CHECK(world.fault(with("nbf", at(30))) == TokenFault::kNone);
  CHECK(world.fault(with("nbf", at(31))) == TokenFault::kNotYet);
}

TEST_CASE("token: issuer, audience and what has to be there") {
  World world;
  world.rules.issuers = {"https://a", "https://b"};
  CHECK(world.fault(token(R"({"iss":"https://b"})")) == TokenFault::kNone);
  for (const char* payload : {R"({})", R"({"iss":"https://b/"})", R"({"iss":["https://a"]})",
                              R"({"iss":null})", R"({"iss":"https://"})"}) {
    CHECK(world.fault(token(payload)) == TokenFault::kIssuer);
  }
  world.rules.issuers.clear();
  world.rules.audiences = {"api", "web"};
  CHECK(world.fault(token(R"({"aud":"api"})")) == TokenFault::kNone);
  CHECK(world.fault(token(R"({"aud":["x",1,"web"]})")) == TokenFault::kNone);
  for (const char* payload : {R"({})", R"({"aud":"ap"})", R"({"aud":[]})", R"({"aud":{"api":1}})",
                              R"({"aud":[["api"]]})"}) {
    CHECK(world.fault(token(payload)) == TokenFault::kAudience);
  }
  world.rules.audiences.clear();
  world.rules.required = {"exp", "tenant"};
  CHECK(world.fault(token(R"({"exp":9999999999,"tenant":"t"})")) == TokenFault::kNone);
  CHECK(world.fault(token(R"({"exp":9999999999})")) == TokenFault::kClaims);
  CHECK(world.fault(token(R"({"exp":9999999999,"tenant":null})")) == TokenFault::kClaims);
  world.rules.required.clear();
  CHECK(world.fault(token("{\"sub\":\"a\\r\\nX: y\"}")) == TokenFault::kClaims);
}

TEST_CASE("token: claims as text") {
  World world;
  REQUIRE(world.fault(token(R"({"sub":"Jörg","n":7,"f":1.5,"t":true,"z":null,"e":[],
      "list":["a","b",3],"comma":["a,b","c"],"mixed":["a",{"b":1}],
      "realm_access":{"roles":["admin","user"],"deep":{"er":{"est":{"x":1}}}},
      "realm_access.n":"theirs","line":"a\nb","quote":{"a":"\"ü"}})")) == TokenFault::kNone);
  CHECK(world.claim("sub") == "J\xc3\xb6rg");
  CHECK(world.claim("n") == "7");
  CHECK(world.claim("f") == "1.5");
  CHECK(world.claim("t") == "true");
  CHECK(world.claim("z") == "(none)");
  CHECK(world.claim("e") == "[]");
  CHECK(world.claim("list") == "[a,b,3]");
  CHECK(world.claim("comma") == R"(["a,b","c"])");
  CHECK(world.claim("mixed") == R"(["a",{"b":1}])");
  CHECK(world.claim("realm_access.roles") == "[admin,user]");
  CHECK(world.claim("realm_access.deep.er") == R"({"est":{"x":1}})");
  CHECK(world.claim("realm_access.deep.er.est") == R"({"x":1})");
  CHECK(world.claim("realm_access.deep.er.est.x") == "(none)");
  CHECK(world.claim("realm_access.n") == "theirs");
  CHECK(world.claim("line") == "a\nb");
  CHECK(world.claim("quote") == R"({"a":"\"\u00fc"})");
  CHECK(world.claim("su") == "(none)");
  CHECK(world.claim("") == "(none)");
}

TEST_CASE("token: what is known of its claims is bounded in bytes") {
  World world;
  // Of the members "0" to "449", with this before their names.
  const auto bytes = [&world](const std::string& prefix) {
    size_t sum = 0;
    for (int i = 0; i < 450; ++i) {
      const auto* const entry = world.result.claims->find(prefix + std::to_string(i));
      if (entry != nullptr) sum += sizeof *entry + entry->name.size() + entry->text.size();
    }
    return sum;
  };
  std::string members = R"("sub":"ann")";
  for (int i = 0; i < 450; ++i) members += ",\"" + std::to_string(i) + "\":1";
  REQUIRE(world.fault(token("{" + members + "}")) == TokenFault::kNone);
  CHECK(bytes({}) <= limits::kClaimsBytes);

  const std::string outer(1200, 'o');
  REQUIRE(world.fault(token(R"({"sub":"ann",")" + outer + R"(":{)" + members + "}}")) ==
          TokenFault::kNone);
  CHECK(bytes(outer + ".") <= limits::kClaimsBytes);
  CHECK(world.claim("sub") == "ann");  // outer members come first
  CHECK(world.claim(outer + ".0") == "1");
  CHECK(world.claim(outer + ".449") == "(none)");
}

}  // namespace
}  // namespace weir::filters::auth
