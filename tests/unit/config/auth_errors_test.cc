// auth: what it cannot be, with the exact lines.
#include <catch2/catch.hpp>

#include "support/jws_vectors.h"
#include "support/tokens.h"
#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;

constexpr const char* kHash =
    "$5$saltsalt$"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

struct Case {
  std::string auth;
  Lines errors;  // of a route whose auth, in column 34 of line 6, is this
};

LoadResult load_auth(const std::string& auth) {
  test::World world;
  world.variables = {{"SECRET", std::string(test::kSecret)}, {"SHORT", "short"}};
  world.files = {
      {"users", std::string("a:") + kHash + "\n"},
      {"bad",
       std::string("a:") + kHash + "\n\nb:$apr1$abcdefgh$KUJ8ktPJXA5N5vVbzbTWg.\nc:plain\nd"},
      {"empty", ""},
      {"keys.json", std::string(test::kRfc7515Keys)},
      {"ed.json", std::string(test::kRfc8037Keys)},
      {"weak.json", R"({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]})"},
      {"private.json", R"({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}]})"},
      {"text", "hello"}};
  return world.load(test::with_route("{path: /, upstream: app, auth: " + auth + "}"));
}

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CAPTURE(one.auth);
    Lines expected;
    for (const std::string& line : one.errors) {
      expected.push_back("weir.yaml:6:" + line.substr(0, line.find(' ')) +
                         " sites[0].routes[0].auth" + line.substr(line.find(' ') + 1));
    }
    const LoadResult result = load_auth(one.auth);
    CHECK(result.errors == expected);
    CHECK(result.ok() == expected.empty());
  }
}

TEST_CASE("auth errors: the ways") {
  check({
      {"off", {}},
      {"{}", {"34: : is empty; one of basic, jwt and forward is due"}},
      {"{basic: {users_file: users}, jwt: {secret: \"${SECRET}\"}}",
       {"69: .jwt: stands beside basic; a route has one way to prove who it is"}},
      {"{basik: {}}",
       {"34: : is empty; one of basic, jwt and forward is due",
        "41: .basik: unknown key; did you mean \"basic\"?"}},
      {"basic", {"34: : must be a map or off, not \"basic\""}},
  });
}

TEST_CASE("auth errors: basic") {
  check({
      {"{basic: {users_file: users}}", {}},
      {"{basic: {}}", {"41: .basic.users_file: is required; lines of user:hash"}},
      {"{basic: {users_file: none}}",
       {"49: .basic.users_file: \"none\" cannot be read: No such file or directory"}},
      {"{basic: {users_file: empty}}",
       {"49: .basic.users_file: \"empty\" holds no users; a line is user:hash; htpasswd -B makes "
        "one"}},
      {"{basic: {users_file: bad}}",
       {"49: .basic.users_file: \"bad\", line 3, holds an apr1 hash: MD5 is too weak; make one "
        "with "
        "htpasswd -B or mkpasswd -m yescrypt",
        "49: .basic.users_file: \"bad\", line 4, holds no hash of bcrypt, yescrypt, sha256crypt or "
        "sha512crypt; make one with htpasswd -B or mkpasswd -m yescrypt",
        "49: .basic.users_file: \"bad\", line 5, holds no colon; a line is user:hash; htpasswd -B "
        "makes one"}},
      {"{basic: {users_file: users, realm: 'a\"b'}}",
       {"68: .basic.realm: \"a\\\"b\" is not a realm: printable ASCII without quotes and "
        "backslashes"}},
      {"{basic: {users_file: users, user_header: Connection}}",
       {"68: .basic.user_header: \"Connection\" is managed by weir and cannot be configured"}},
      {"{basic: {users_file: users, user_header: authorization}}",
       {"68: .basic.user_header: \"authorization\" is what clients prove themselves by; it would "
        "be "
        "taken from them on every route of the site"}},
      {"{basic: {users_file: users, strip: yes}}",
       {"68: .basic.strip: must be true or false, not \"yes\""}},
  });
}

TEST_CASE("auth errors: keys and algorithms of jwt") {
  check({
      {"{jwt: {secret: \"${SECRET}\"}}", {}},
      {"{jwt: {jwks: keys.json}}", {}},
      {"{jwt: {secret: \"${SECRET}\", jwks: ed.json, algorithms: [HS256, EdDSA]}}", {}},
      {"{jwt: {}}", {"41: .jwt: has no key; one of secret and jwks is due, or both"}},
      {"{jwt: {secret: \"${SHORT}\"}}",
       {"47: .jwt.secret: is shorter than 32 bytes; make one with openssl rand -base64 48"}},
      {"{jwt: {secret: super_secure_production_secret_key}}",
       {"47: .jwt.secret: is a sample that everybody knows; make one with openssl rand -base64 "
        "48"}},
      {"{jwt: {secret: \"${SECRET}\", algorithms: [none]}}",
       {"81: .jwt.algorithms[0]: no algorithm \"none\""}},
      {"{jwt: {secret: \"${SECRET}\", algorithms: [HS265]}}",
       {"81: .jwt.algorithms[0]: no algorithm \"HS265\"; did you mean \"HS256\"?"}},
      {"{jwt: {secret: \"${SECRET}\", algorithms: []}}", {"68: .jwt.algorithms: is empty"}},
      {"{jwt: {secret: \"${SECRET}\", algorithms: [HS384, HS512, RS256]}}",
       {"81: .jwt.algorithms[0]: no key is for HS384; a secret of at least 48 bytes is",
        "88: .jwt.algorithms[1]: no key is for HS512; a secret of at least 64 bytes is",
        "95: .jwt.algorithms[2]: no key is for RS256"}},
      {"{jwt: {jwks: text}}", {"47: .jwt.jwks: \"text\" is no JWK set: {\"keys\": [...]}"}},
      {"{jwt: {jwks: private.json}}",
       {"47: .jwt.jwks: \"private.json\" keys[0] holds a private key, which only the issuer should "
        "have"}},
      {"{jwt: {jwks: weak.json}}",
       {"47: .jwt.jwks: \"weak.json\" holds no key that checks signatures"}},
      {"{jwt: {jwks: none}}",
       {"47: .jwt.jwks: \"none\" cannot be read: No such file or directory"}},
      {"{jwt: {jwks: \"https://id.test/keys\"}}",
       {"47: .jwt.jwks: is a URL; keys are fetched from an upstream; as in {upstream: id, path: "
        "/.well-known/jwks.json}"}},
      {"{jwt: {jwks: {upstream: app, path: /keys, host: id.test, refresh: 1m, timeout: 1s}}}", {}},
      {"{jwt: {secret: \"${SECRET}\", jwks: {upstream: app, path: /}, algorithms: [RS256, HS256]}}",
       {}},
      {"{jwt: {jwks: {upstream: app, path: /}, algorithms: [RS256, HS256]}}",
       {"99: .jwt.algorithms[1]: no key is for HS256; a secret is: what is fetched is public"}},
      {"{jwt: {secret: \"${SHORT}\", jwks: {upstream: app, path: /}, algorithms: [HS256]}}",
       {"47: .jwt.secret: is shorter than 32 bytes; make one with openssl rand -base64 48"}},
      {"{jwt: {jwks: {upstream: ap, refresh: 0s, url: /}}}",
       {"47: .jwt.jwks.path: is required; as in path: /verify",
        "54: .jwt.jwks.upstream: no upstream \"ap\"; did you mean \"app\"?",
        "68: .jwt.jwks.refresh: \"0s\" is out of range; allowed: 1s to 1d",
        "81: .jwt.jwks.url: unknown key"}},
  });
  const LoadResult weak = load_auth("{jwt: {secret: \"${SECRET}\", jwks: weak.json}}");
  CHECK(weak.warnings ==
        Lines{"weir.yaml:6:68: sites[0].routes[0].auth.jwt.jwks: \"weak.json\" keys[0] is shorter "
              "than 2048 bits; it is left out"});
}

TEST_CASE("auth errors: the rules of jwt") {
  const auto jwt = [](const std::string& keys) {
    return "{jwt: {secret: \"${SECRET}\", " + keys + "}}";
  };
  check({
      {jwt("issuer: a, audience: [b, c], leeway: 1m, required: [], from: cookie:s"), {}},
      {jwt("claims: {role: [a, b], scope: c}, claims_to_headers: {sub: X-User}"), {}},
      {jwt("must_match: {a: host, b: subdomain, c: query:x, d: cookie:y, e: header:X-Z}"), {}},
      {jwt("claims_to_headers: {a: Authorization, b: Cookie}"),
       {"88: .jwt.claims_to_headers.a: \"Authorization\" is what clients prove themselves by; it "
        "would be taken from them on every route of the site",
        "106: .jwt.claims_to_headers.b: \"Cookie\" is what clients prove themselves by; it would "
        "be "
        "taken from them on every route of the site"}},
      {jwt("must_match: {a: 'header:Cookie'}"),
       {"81: .jwt.must_match.a: \"Cookie\" is what clients prove themselves by; it would be taken "
        "from them on every route of the site"}},
      {jwt("issuer: []"), {"68: .jwt.issuer: is empty"}},
      {jwt("audience: {}"), {"68: .jwt.audience: must be a list, not a map"}},
      {jwt("leeway: 30"),
       {"68: .jwt.leeway: \"30\" needs a unit; one of ms, s, m, h, d, w or y, as in 30s"}},
      {jwt("leeway: 1h"), {"68: .jwt.leeway: \"1h\" is out of range; allowed: 0ms to 10m"}},
      {jwt("from: query:t"),
       {"68: .jwt.from: must be one of bearer, header:NAME, cookie:NAME, not \"query:t\""}},
      {jwt("from: [bearer, 'cookie:']"),
       {"83: .jwt.from[1]: must be one of bearer, header:NAME, cookie:NAME, not \"cookie:\""}},
      {jwt("from: 'header:a b'"), {"68: .jwt.from: \"a b\" is not a name"}},
      {jwt("from: []"), {"68: .jwt.from: is empty"}},
      {jwt("claims: [role]"), {"68: .jwt.claims: must be a map, not a list"}},
      {jwt("claims: {role: []}"), {"77: .jwt.claims.role: is empty"}},
      {jwt("claims_to_headers: {sub: 'X User'}"),
       {"88: .jwt.claims_to_headers.sub: \"X User\" is not a header name"}},
      {jwt("claims_to_headers: {sub: X-Forwarded-For}"),
       {"88: .jwt.claims_to_headers.sub: \"X-Forwarded-For\" is managed by weir and cannot be "
        "configured"}},
      {jwt("claims_to_headers: {sub: X-User, name: x_user}"),
       {"101: .jwt.claims_to_headers.name: \"x_user\" has the claim \"sub\" already"}},
      {jwt("claims_to_headers: {sub: X-T}, must_match: {t: header:X-T}"),
       {"112: .jwt.must_match.t: \"X-T\" has the claim \"sub\" already"}},
      {jwt("must_match: {t: path}"),
       {"81: .jwt.must_match.t: must be one of header:NAME, query:NAME, cookie:NAME, host, "
        "subdomain, not \"path\""}},
      {jwt("optionl: true"), {"68: .jwt.optionl: unknown key; did you mean \"optional\"?"}},
  });
}

TEST_CASE("auth: fields that it tells servers are nobody's on any route of the site") {
  test::World world;
  world.files = {{"users", std::string("a:") + kHash}};
  const LoadResult result = world.load(R"(listeners: {http: {address: "127.0.0.1:0"}}
sites:
  - hosts: [a]
    routes:
      - {path: /1, respond: {}, auth: {basic: {users_file: users, user_header: X-User}}}
      - {path: /2, respond: {}, auth: {basic: {users_file: users, user_header: X-User}}}
      - {path: /3, respond: {}, auth: {basic: {users_file: users}}}
      - {path: /4, respond: {}}
  - hosts: [b]
    routes: [{path: /, respond: {}}]
)");
  CHECK(result.errors == Lines{});
  REQUIRE(result.ok());
  const proxy::Site& site = result.snapshot->sites[0];
  CHECK(site.own_fields == Lines{"X-User"});
  CHECK_FALSE(site.routes[0].drops_site_fields);
  CHECK_FALSE(site.routes[1].drops_site_fields);
  CHECK(site.routes[2].drops_site_fields);
  CHECK(site.routes[3].drops_site_fields);
  CHECK(result.snapshot->sites[1].own_fields.empty());
  CHECK_FALSE(result.snapshot->sites[1].routes[0].drops_site_fields);
}

}  // namespace
}  // namespace weir::config
