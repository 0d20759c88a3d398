#include "filters/rate_limit/key.h"

#include <catch2/catch.hpp>

#include <initializer_list>
#include <set>
#include <utility>
#include <vector>

#include "http/forwarded.h"
#include "http/message.h"
#include "proxy/subject.h"

namespace weir::filters::rate_limit {
namespace {

// A request that can be asked for its buckets.
struct Someone {
  explicit Someone(std::string_view address) : head(arena) {
    REQUIRE(http::Address::parse(address, client));
    head.host = "example.com";
  }
  Someone& with(std::string_view name, std::string_view value) {
    head.headers.add(name, value);
    return *this;
  }
  uint64_t bucket(const Key& key) { return hash_key(key, secret(), asked(), arena); }
  std::string text(const Key& key) { return key_text(key, asked(), arena); }
  Asked asked() { return {head, path, "api", &client}; }
  static const SipKey& secret() {
    static const SipKey key(1, 2);
    return key;
  }

  BlockPool pool;
  Arena arena{pool};
  http::RequestHead head;
  http::Address client;
  std::string_view path = "/a";
};

Key key_of(std::initializer_list<std::string_view> parts, uint32_t ipv6_prefix = 64) {
  Key key;
  for (const std::string_view part : parts) key.parts.push_back(*parse_key_part(part));
  key.ipv6_prefix = ipv6_prefix;
  return key;
}

TEST_CASE("rate limit key: what a part may be") {
  for (const char* good : {"client_ip", "host", "path", "route", "header:X-Api-Key", "cookie:sid",
                           "query:token", "query:a=b"}) {
    CAPTURE(good);
    const auto part = parse_key_part(good);
    REQUIRE(part);
    CHECK(key_part_text(*part) == good);
  }
  for (const char* bad : {"", "ip", "header", "header:", "cookie:", "query:", "Host", "uri"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_key_part(bad));
  }
}

TEST_CASE("rate limit key: clients by address, IPv6 by prefix") {
  const Key by_client = key_of({"client_ip"});
  CHECK(Someone("192.0.2.1").bucket(by_client) == Someone("192.0.2.1").bucket(by_client));
  CHECK(Someone("192.0.2.1").bucket(by_client) != Someone("192.0.2.2").bucket(by_client));
  CHECK(Someone("2001:db8::1").bucket(by_client) ==
        Someone("2001:db8::ffff:0:0:2").bucket(by_client));
  CHECK(Someone("2001:db8::1").bucket(by_client) != Someone("2001:db8:0:1::1").bucket(by_client));
  const Key narrow = key_of({"client_ip"}, 128);
  CHECK(Someone("2001:db8::1").bucket(narrow) != Someone("2001:db8::2").bucket(narrow));
  const Key odd = key_of({"client_ip"}, 57);
  CHECK(Someone("2001:db8:0:7f::1").bucket(odd) == Someone("2001:db8::1").bucket(odd));
  CHECK(Someone("2001:db8:0:80::1").bucket(odd) != Someone("2001:db8::1").bucket(odd));
  CHECK(Someone("192.0.2.1").bucket(odd) != Someone("192.0.2.2").bucket(odd));
  CHECK(Someone("192.0.2.9").text(odd) == "client_ip=192.0.2.9");
  CHECK(Someone("2001:db8:0:7f::1").text(odd) == "client_ip=2001:db8::");
}

TEST_CASE("rate limit key: a part of each kind") {
  Someone first("192.0.2.1");
  first.with("X-Api-Key", "k").with("Cookie", "a=1; sid=s").head.query = "x=1&token=t%41";
  Someone second("192.0.2.2");
  second.with("x-api-key", "k").with("Cookie", "sid=s").head.query = "token=tA";
  for (const char* part :
       {"header:X-API-KEY", "cookie:sid", "query:token", "host", "path", "route"}) {
    CAPTURE(part);
    CHECK(first.bucket(key_of({part})) == second.bucket(key_of({part})));
    CHECK(first.text(key_of({part})) == second.text(key_of({part})));
    CHECK(first.bucket(key_of({part, "client_ip"})) != second.bucket(key_of({part, "client_ip"})));
  }
  CHECK(first.text(key_of({"query:token", "route"})) == "query:token=tA&route=api");
  Someone third("192.0.2.1");
  third.with("X-Api-Key", "other").path = "/b";
  third.head.host = "other.example";
  for (const char* part : {"header:X-API-KEY", "host", "path"}) {
    CHECK(first.bucket(key_of({part})) != third.bucket(key_of({part})));
  }
}

TEST_CASE("rate limit key: who leaves a part out is counted by address, and with nobody else") {
  const Key key = key_of({"header:X-Api-Key"});
  Someone without("192.0.2.1");
  Someone empty("192.0.2.1");
  empty.with("X-Api-Key", "");
  Someone other("192.0.2.2");
  CHECK(without.bucket(key) == empty.bucket(key));
  CHECK(without.bucket(key) != other.bucket(key));
  CHECK(without.text(key) == "client_ip=192.0.2.1");
  // And nobody can pass for another's address.
  Someone liar("192.0.2.2");
  http::Address victim;
  REQUIRE(http::Address::parse("192.0.2.1", victim));
  liar.with("X-Api-Key", {reinterpret_cast<const char*>(victim.bytes), sizeof(victim.bytes)});
  CHECK(liar.bucket(key) != without.bucket(key));
}

TEST_CASE("rate limit key: parts do not run into each other") {
  const Key key = key_of({"header:A", "header:B"});
  std::set<uint64_t> buckets;
  std::set<std::string> texts;
  for (const auto& [a, b] :
       {std::pair("x", "yz"), {"xy", "z"}, {"yz", "x"}, {"x&header:B=y", "z"}}) {
    Someone one("192.0.2.1");
    one.with("A", a).with("B", b);
    buckets.insert(one.bucket(key));
    texts.insert(one.text(key));
  }
  CHECK(buckets.size() == 4);
  CHECK(texts.size() == 4);
}

TEST_CASE("rate limit key: a key of 8 KB, and a client that is not known") {
  Someone one("192.0.2.1");
  const std::string large(8192, 'k');
  one.with("X-Api-Key", large);
  const Key key = key_of({"header:X-Api-Key"});
  CHECK(one.text(key) == "header:X-Api-Key=" + large);
  CHECK(one.bucket(key) != Someone("192.0.2.1").bucket(key));
  const Asked asked = {one.head, "/", "api", nullptr};
  CHECK(key_text(key_of({"client_ip", "path"}), asked, one.arena) == "client_ip=$client_ip&path=/");
  CHECK(key_text(key_of({"jwt:sub"}), asked, one.arena) == "jwt:sub=$claim");
}

TEST_CASE("rate limit key: a claim, and the address of whom has none") {
  Someone one("192.0.2.1");
  const Key key = key_of({"jwt:sub"});
  CHECK(key.asks_for_claims());
  CHECK_FALSE(key_of({"client_ip", "header:jwt:sub"}).asks_for_claims());
  const proxy::Claims claims(std::vector<proxy::Claims::Entry>{{"sub", "ann"}});
  const auto text = [&](const proxy::Claims* known) {
    return key_text(key, {one.head, "/", "api", &one.client, known}, one.arena);
  };
  CHECK(text(&claims) == "jwt:sub=ann");
  const proxy::Claims others(std::vector<proxy::Claims::Entry>{{"iss", "x"}});
  CHECK(text(&others) == "client_ip=192.0.2.1");
  CHECK(text(nullptr) == "client_ip=192.0.2.1");
}

TEST_CASE("rate limit key: its text leads to its bucket") {
  Someone bare("192.0.2.1");
  Someone client("2001:db8::1");
  client.with("X-Api-Key", "a&b=c\\d").with("Cookie", "s=1");
  for (const Key& key :
       {key_of({"client_ip"}), key_of({"header:X-Api-Key"}), key_of({"path", "cookie:s"}),
        key_of({"client_ip", "header:X-Api-Key", "host", "query:a=b"}),
        key_of({"client_ip"}, 128)}) {
    for (Someone* one : {&bare, &client}) {
      const std::string text = one->text(key);
      CAPTURE(text);
      CHECK(hash_text(key, Someone::secret(), text).value() == one->bucket(key));
    }
  }
  const Key by_client = key_of({"client_ip"});
  CHECK(hash_text(by_client, Someone::secret(), "client_ip=2001:db8::9").value() ==
        client.bucket(by_client));
}

TEST_CASE("rate limit key: a text that is none says what one looks like") {
  const Key key = key_of({"header:X-Api-Key", "query:a=b"});
  for (const char* text :
       {"", "k", "X-Api-Key=k&query:a\\=b=1", "header:X-Api-Key=k", "header:X-Api-Key=k&",
        "header:X-Api-Key=&query:a\\=b=1", "query:a\\=b=1&header:X-Api-Key=k",
        "client_ip=localhost&query:a\\=b=1", "header:X-Api-Key=k&query:a\\=b=1&path=/"}) {
    CAPTURE(text);
    Result<uint64_t> found = hash_text(key, Someone::secret(), text);
    REQUIRE_FALSE(found.ok());
    CHECK(found.error() ==
          "a key of this limit is header:X-Api-Key=...&query:a\\=b=..., with client_ip=... for a "
          "part that requests lack");
  }
}

}  // namespace
}  // namespace weir::filters::rate_limit
