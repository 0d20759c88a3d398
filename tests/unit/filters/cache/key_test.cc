#include "filters/cache/key.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/arena.h"
#include "http/message.h"
#include "proxy/subject.h"

namespace weir::filters::cache {
namespace {

struct Asking {
  BlockPool blocks;
  Arena arena{blocks};
  http::RequestHead head{arena};
  KeyOptions options;

  explicit Asking(std::string_view target, std::string_view authority = "example.com") {
    head.target = target;
    head.path = target.substr(0, target.find('?'));
    if (head.path.size() < target.size()) head.query = target.substr(head.path.size() + 1);
    head.authority = authority;
    head.host = authority.substr(0, authority.find(':'));
  }
  std::string key(const proxy::Subject* subject = nullptr, std::string_view variant = {}) {
    return std::string(make_key(options, {head, "https", subject, variant}, arena));
  }
};

std::string key_of(std::string_view target) { return Asking(target).key(); }

TEST_CASE("a key is the URL") {
  CHECK(key_of("/a") == "https://example.com/a");
  CHECK(key_of("/a?x=1") == "https://example.com/a?x=1");
  CHECK(Asking("/a", "example.com:443").key() == "https://example.com/a");
  CHECK(Asking("/a", "example.com:80").key() == "https://example.com:80/a");
}

TEST_CASE("queries are sorted by name and never decoded") {
  CHECK(key_of("/a?b=2&a=1") == key_of("/a?a=1&b=2"));
  CHECK(key_of("/a?a=1&a=2") != key_of("/a?a=2&a=1"));
  CHECK(key_of("/a?a=b%26c=d") != key_of("/a?a=b&c=d"));
  CHECK(key_of("/a?q=a+b") != key_of("/a?q=a%20b"));
  CHECK(key_of("/a?x") != key_of("/a?x="));
  CHECK(key_of("/a?") != key_of("/a"));
  CHECK(key_of("/a?b&&a") != key_of("/a?a&b"));
}

TEST_CASE("what a route says does not count") {
  Asking asking("/a?utm_source=1&b=2&sid=3");
  asking.options.ignored_prefixes = {"utm_"};
  asking.options.ignored_parameters = {"sid"};
  CHECK(asking.key() == "https://example.com/a?b=2");
  asking.options.query = KeyOptions::Query::kIgnored;
  CHECK(asking.key() == "https://example.com/a");
  asking.options.query = KeyOptions::Query::kAsSent;
  asking.options.ignored_prefixes.clear();
  CHECK(asking.key() == "https://example.com/a?utm_source=1&b=2");
}

TEST_CASE("a query of very many parameters is taken as it is") {
  std::string target = "/a?";
  for (int i = 100; i > 0; --i) target += "p" + std::to_string(i) + "&";
  CHECK(key_of(target) == "https://example.com" + target);
}

TEST_CASE("no two requests that differ in a part of the key have one") {
  Asking asking("/a");
  asking.options.headers = {"X-A", "X-B"};
  asking.head.headers.add("x-a", "1");
  const std::string one = asking.key();
  CHECK(one == "https://example.com/a\nh:X-A=1:1\nh:X-B");
  Asking other("/a");
  other.options.headers = {"X-A", "X-B"};
  other.head.headers.add("X-B", "1");
  CHECK(other.key() != one);
  Asking forged("/a");
  forged.options.headers = {"X-A", "X-B"};
  forged.head.headers.add("X-A", "1h:X-B");
  CHECK(forged.key() != one);
}

TEST_CASE("nobody gets another user's key") {
  Asking asking("/a");
  asking.options.user = KeyOptions::User::kClaim;
  asking.options.claim = "sub";
  const proxy::Claims alice(std::vector<proxy::Claims::Entry>{{"sub", "alice"}});
  const proxy::Claims nobody(std::vector<proxy::Claims::Entry>{{"aud", "alice"}});
  const proxy::Subject subject{"alice", &alice};
  const proxy::Subject without{"", &nobody};
  CHECK(asking.key(&subject) == "https://example.com/a\nu=5:alice");
  CHECK(asking.key(&without) == "https://example.com/a\nu");
  CHECK(asking.key() == "https://example.com/a\nu");
  asking.options.user = KeyOptions::User::kSubject;
  CHECK(asking.key(&subject) == "https://example.com/a\nu=5:alice");
}

TEST_CASE("each side of a split has its own, and long keys are none") {
  CHECK(Asking("/a").key(nullptr, "canary") == "https://example.com/a\nv=6:canary");
  const std::string path(8200, 'x');
  CHECK(Asking("/" + path).key().empty());
}

}  // namespace
}  // namespace weir::filters::cache
