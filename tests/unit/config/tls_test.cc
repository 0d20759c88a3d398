// certificates and listeners.NAME.tls: what they become, and what they cannot be.
#include <catch2/catch.hpp>

#include "support/certificates.h"
#include "world.h"

namespace weir::config {
namespace {

using Lines = std::vector<std::string>;
using test::MadeCertificate;

const std::string kPair = "{cert: /a.crt, key: /a.key}";

void add_files(test::World& world) {
  static const MadeCertificate other({.names = "DNS:b.test"});
  static const MadeCertificate rsa({.names = "DNS:a.test", .key_kind = "RSA"});
  static const MadeCertificate old({.names = "DNS:a.test", .until_s = -3600});
  static const MadeCertificate future({.names = "DNS:a.test", .from_s = 3600});
  static const MadeCertificate soon({.names = "DNS:a.test", .until_s = 5 * 86'400 + 60});
  static const MadeCertificate nameless({.common_name = "", .names = ""});
  const auto put = [&](const std::string& name, const MadeCertificate& made) {
    world.files[name + ".crt"] = made.cert_pem();
    world.files[name + ".key"] = made.key_pem();
  };
  put("/a", test::some_certificate());
  put("/b", other);
  put("/rsa", rsa);
  put("/old", old);
  put("/future", future);
  put("/soon", soon);
  put("/nameless", nameless);
  world.files["/broken.crt"] = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  world.files["/text"] = "no PEM at all";
  world.files["/chain.crt"] = world.files["/a.crt"] + world.files["/broken.crt"];
  world.files["/locked.key"] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n";
  world.files["/a.ocsp"] = test::some_certificate().ocsp_der();
  world.files["/late.ocsp"] = test::some_certificate().ocsp_der({.until_s = -10});
  world.files["/b.ocsp"] = other.ocsp_der();
  world.files["/revoked.ocsp"] = test::some_certificate().ocsp_der({.status = 1});
  world.files["/unknown.ocsp"] = test::some_certificate().ocsp_der({.status = 2});
  world.files["/tickets"] = std::string(80, 'k');
}

struct WorldWithFiles : test::World {
  WorldWithFiles() { add_files(*this); }
};

// Line 1 holds the certificates, line 2 the listener.
std::string file(const std::string& certificates, const std::string& tls) {
  return "certificates: [" + certificates + "]\n" +
         "listeners: {l: {address: \"127.0.0.1:0\", tls: " + tls + "}}\n" +
         "sites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n";
}

std::string utc(int64_t from_now_s) { return net::utc_text(std::time(nullptr) + from_now_s); }

struct Case {
  std::string text;
  Lines errors;  // without "weir.yaml:"
};

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CAPTURE(one.text);
    WorldWithFiles world;
    Lines expected;
    for (const std::string& line : one.errors) expected.push_back("weir.yaml:" + line);
    CHECK(world.load(one.text).errors == expected);
  }
}

TEST_CASE("config tls: certificates that nobody could be shown") {
  const auto pair = [](const std::string& cert, const std::string& key, std::string more = "") {
    return file("{cert: " + cert + ", key: " + key + more + "}", "{}");
  };
  const std::string cert = "1:17: certificates[0].cert: ";
  check({
      {pair("/a.crt", "/a.key"), {}},
      {pair("/a.crt", "/a.key", ", ocsp: /a.ocsp"), {}},
      {pair("/none", "/a.key"), {cert + "\"/none\" cannot be read: No such file or directory"}},
      {pair("/text", "/a.key"), {cert + "\"/text\" holds no certificate in PEM"}},
      {pair("/broken.crt", "/a.key"),
       {cert + "\"/broken.crt\" is no certificate: header too long"}},
      {pair("/chain.crt", "/a.key"),
       {cert + "\"/chain.crt\" has a broken certificate in its chain: header too long"}},
      {pair("/a.crt", "/b.key"),
       {"1:31: certificates[0].key: \"/b.key\" is not the key of the certificate \"/a.crt\""}},
      {pair("/a.crt", "/a.crt"),
       {"1:31: certificates[0].key: \"/a.crt\" holds no private key in PEM"}},
      {pair("/a.crt", "/locked.key"),
       {"1:31: certificates[0].key: \"/locked.key\" is locked by a passphrase"}},
      {pair("/a.crt", "/none"),
       {"1:31: certificates[0].key: \"/none\" cannot be read: No such file or directory"}},
      {pair("/a.crt", "/a.key", ", ocsp: /text"),
       {"1:44: certificates[0].ocsp: \"/text\" is no OCSP answer in DER"}},
      {pair("/a.crt", "/a.key", ", ocsp: /late.ocsp"),
       {"1:44: certificates[0].ocsp: \"/late.ocsp\" is an OCSP answer whose time is over"}},
      {pair("/a.crt", "/a.key", ", ocsp: /b.ocsp"),
       {"1:44: certificates[0].ocsp: \"/b.ocsp\" is an OCSP answer for another certificate"}},
      {file("{cert: /a.crt}", "{}"),
       {"1:16: certificates[0].key: is required; the file in PEM with its private key"}},
      {file("/a.crt", "{}"), {"1:16: certificates[0]: must be a map, not \"/a.crt\""}},
      {file("", "{}"),
       {"2:41: listeners.l.tls: there are no certificates; certificates: [{cert: FILE, key: FILE}] "
        "at the top"}},
  });
}

TEST_CASE("config tls: certificates whose time is not now") {
  WorldWithFiles world;
  const std::string at = "weir.yaml:1:17: certificates[0].cert: ";
  const auto load = [&](const std::string& name) {
    return world.load(file("{cert: " + name + ".crt, key: " + name + ".key}", "{}"));
  };
  // Made within this second, or the one before.
  const auto one_of = [](const Lines& lines, const std::string& text, int64_t from_now_s,
                         const std::string& rest) {
    REQUIRE(lines.size() == 1);
    bool found = false;
    for (int64_t ago_s = 0; ago_s < 60 && !found; ++ago_s) {
      found = lines[0] == text + utc(from_now_s - ago_s) + rest;
    }
    CHECK(found);
    if (!found) CHECK(lines[0] == text + utc(from_now_s) + rest);
  };
  one_of(load("/old").errors, at + "\"/old.crt\" expired at ", -3600, "");
  one_of(load("/future").errors, at + "\"/future.crt\" is not valid before ", 3600, "");
  const LoadResult soon = load("/soon");
  CHECK(soon.ok());
  one_of(soon.warnings, at + "\"/soon.crt\" expires at ", 5 * 86'400 + 60, ", in 5 days");
  CHECK(load("/a").warnings.empty());
  const auto with_answer = [&](const std::string& ocsp) {
    const LoadResult result =
        world.load(file("{cert: /a.crt, key: /a.key, ocsp: " + ocsp + "}", "{}"));
    CHECK(result.ok());
    return result.warnings;
  };
  const std::string ocsp_at = "weir.yaml:1:44: certificates[0].ocsp: ";
  const std::string turn_away = "; clients that ask for it turn away";
  CHECK(with_answer("/a.ocsp").empty());
  CHECK(with_answer("/revoked.ocsp") ==
        Lines{ocsp_at + "\"/revoked.ocsp\" says that the certificate is revoked" + turn_away});
  CHECK(with_answer("/unknown.ocsp") ==
        Lines{ocsp_at + "\"/unknown.ocsp\" knows nothing of the certificate" + turn_away});
  CHECK(load("/nameless").warnings ==
        Lines{at + "\"/nameless.crt\" names no host; only the first of the list is shown to "
                   "anybody then"});
  CHECK(world.load(file(kPair + ", " + kPair, "{}")).warnings ==
        Lines{"weir.yaml:1:46: certificates[1].cert: \"/a.crt\" has the names of an earlier one; "
              "it is shown to nobody"});
}

TEST_CASE("config tls: keys of a listener") {
  const auto tls = [](const std::string& keys) { return file(kPair, "{" + keys + "}"); };
  const std::string at = "2:47: listeners.l.tls.";
  check({
      {tls("min_version: 1.3"), {}},
      {tls("min_version: 1.1"),
       {at + "min_version: must be 1.2 or 1.3, not \"1.1\"; did you mean \"1.2\"?"}},
      {tls("ciphers: [AES-9000]"),
       {"2:57: listeners.l.tls.ciphers[0]: no cipher suite \"AES-9000\""}},
      {tls("ciphers: [TLS_X]"), {"2:57: listeners.l.tls.ciphers[0]: no cipher suite \"TLS_X\""}},
      {tls("ciphers: []"), {at + "ciphers: is empty"}},
      {tls("ciphers: [ECDHE-RSA-AES128-GCM-SHA256]"),
       {at + "ciphers: no cipher suite for TLS 1.2 can use the EC certificate of \"a.test\""}},
      {tls("min_version: 1.3, ciphers: [ECDHE-RSA-AES128-GCM-SHA256]"), {}},
      {tls("curves: [X25519, P-999]"), {"2:64: listeners.l.tls.curves[1]: no curve \"P-999\""}},
      {tls("session_cache: off, session_tickets: off"), {}},
      {tls("session_cache: {size: 10}"),
       {"2:63: listeners.l.tls.session_cache.size: \"10\" needs a unit; one of B, KB, KiB, MB, "
        "MiB, GB, GiB, TB or TiB, as in 10KiB"}},
      {tls("session_tickets: {key_file: /tickets}"), {}},
      {tls("session_tickets: {key_file: /tickets, rotate: 1h}"),
       {"2:65: listeners.l.tls.session_tickets.key_file: excludes rotate; who writes the file "
        "rotates its keys"}},
      {tls("session_tickets: {key_file: /text}"),
       {"2:65: listeners.l.tls.session_tickets.key_file: \"/text\" is not a file of ticket keys: "
        "holds 13 bytes, not a multiple of 80"}},
      {tls("client_auth: off"), {}},
      {tls("client_auth: {ca: /a.crt}"), {}},
      {tls("client_auth: {}"),
       {"2:47: listeners.l.tls.client_auth.ca: is required; a file in PEM with who signs clients' "
        "certificates"}},
      {tls("client_auth: {ca: /text}"),
       {"2:61: listeners.l.tls.client_auth.ca: \"/text\" holds no certificate in PEM"}},
      {tls("client_auth: {ca: /a.crt, mode: maybe}"),
       {"2:73: listeners.l.tls.client_auth.mode: must be off, optional or require, not "
        "\"maybe\""}},
      {tls("client_auth: {ca: /a.crt, headers: {subject: 'a b'}}"),
       {"2:83: listeners.l.tls.client_auth.headers.subject: \"a b\" is not a header name"}},
  });
  WorldWithFiles world;
  CHECK(world.load(file("{cert: /rsa.crt, key: /rsa.key}", "{ciphers: 'HIGH:!aNULL:!MD5'}"))
            .warnings ==
        Lines{"weir.yaml:2:47: listeners.l.tls.ciphers: AES256-GCM-SHA384 has no forward secrecy; "
              "who gets hold of the key can read what was recorded before"});
}

TEST_CASE("config tls: fields that only weir may set are those of every listener") {
  WorldWithFiles world;
  const LoadResult result = world.load(
      "certificates: [" + kPair +
      "]\nlisteners:\n  l: {address: \"127.0.0.1:0\", tls: {client_auth: {ca: /a.crt}}}\n"
      "  m: {address: \"127.0.0.1:0\"}\n"
      "sites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n");
  REQUIRE(result.ok());
  CHECK(result.snapshot->reserved_fields ==
        Lines{"X-Client-Subject", "X-Client-Verify", "X-Client-San"});
  CHECK(result.snapshot->listeners[0].tls->asks_for_certificate());
  CHECK(result.snapshot->listeners[1].tls == nullptr);
}

TEST_CASE("config tls: a set of security headers that forgets HSTS") {
  const auto warnings = [](const std::string& tls, const std::string& headers) {
    WorldWithFiles world;
    return world
        .load("certificates: [" + kPair + "]\nlisteners: {l: {address: \"127.0.0.1:0\"" + tls +
              "}}\ndefaults: {security_headers: " + headers +
              "}\nsites: [{hosts: [a], routes: [{path: /, respond: {}}]}]\n")
        .warnings;
  };
  CHECK(warnings(", tls: {}", "{X-Frame-Options: DENY}") ==
        Lines{"weir.yaml:3:12: defaults.security_headers: has no Strict-Transport-Security, though "
              "there is https; base: standard, or Strict-Transport-Security: {max_age: 1y}"});
  for (const char* good :
       {"standard", "{base: strict, X-A: b}", "{strict-transport-security: {max_age: 1d}}",
        "{X-A: b, Strict-Transport-Security: {mode: off}}"}) {
    CAPTURE(good);
    CHECK(warnings(", tls: {}", good) == Lines{});
  }
}

TEST_CASE("config tls: certificates come from included files, too") {
  WorldWithFiles world;
  world.files["b.yaml"] = "certificates: [{cert: /b.crt, key: /b.key}]\n";
  const LoadResult result = world.load("include: [b.yaml]\n" + file(kPair, "{}"));
  CHECK(result.errors == Lines{});
  REQUIRE(result.ok());
  REQUIRE(result.snapshot->certificates.size() == 2);
  CHECK(result.snapshot->certificates[1]->names() == Lines{"b.test"});
}

}  // namespace
}  // namespace weir::config
