#include <catch2/catch.hpp>

#include "http/headers.h"

#include <string>

#include "base/arena.h"
#include "base/strings.h"
#include "http/chars.h"
#include "http/message.h"

using namespace weir;
using namespace weir::http;

namespace {

struct Name {
  const char* text;
  HeaderId id;
};

const Name kKnown[] = {
    {"Connection", HeaderId::kConnection},
    {"Keep-Alive", HeaderId::kKeepAlive},
    {"Proxy-Connection", HeaderId::kProxyConnection},
    {"TE", HeaderId::kTe},
    {"Trailer", HeaderId::kTrailer},
    {"Transfer-Encoding", HeaderId::kTransferEncoding},
    {"Upgrade", HeaderId::kUpgrade},
    {"HTTP2-Settings", HeaderId::kHttp2Settings},
    {"Proxy-Authenticate", HeaderId::kProxyAuthenticate},
    {"Proxy-Authorization", HeaderId::kProxyAuthorization},
    {"Proxy", HeaderId::kProxy},
    {"Content-Length", HeaderId::kContentLength},
    {"Host", HeaderId::kHost},
    {"Expect", HeaderId::kExpect},
    {"Max-Forwards", HeaderId::kMaxForwards},
    {"Date", HeaderId::kDate},
    {"Via", HeaderId::kVia},
    {"Server", HeaderId::kServer},
    {"Forwarded", HeaderId::kForwarded},
    {"X-Forwarded-For", HeaderId::kXForwardedFor},
    {"X-Forwarded-Proto", HeaderId::kXForwardedProto},
    {"X-Forwarded-Host", HeaderId::kXForwardedHost},
    {"X-Forwarded-Port", HeaderId::kXForwardedPort},
    {"X-Real-IP", HeaderId::kXRealIp},
    {"User-Agent", HeaderId::kUserAgent},
    {"Referer", HeaderId::kReferer},
    {"Accept", HeaderId::kAccept},
    {"Authorization", HeaderId::kAuthorization},
    {"Cookie", HeaderId::kCookie},
    {"Location", HeaderId::kLocation},
    {"Content-Type", HeaderId::kContentType},
};

std::string cased(std::string text, bool upper) {
  for (char& c : text) {
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (!upper) c = to_lower(c);
  }
  return text;
}

std::string names_of(const HeaderList& headers) {
  std::string names;
  for (const Header& header : headers) names += std::string(header.name) + " ";
  return names;
}

}  // namespace

TEST_CASE("classify knows every id in any case", "[http][headers]") {
  for (const Name& name : kKnown) {
    INFO(name.text);
    CHECK(classify(name.text) == name.id);
    CHECK(classify(cased(name.text, true)) == name.id);
    CHECK(classify(cased(name.text, false)) == name.id);
  }
}

TEST_CASE("classify takes nothing that differs in one byte or in length", "[http][headers]") {
  for (const Name& name : kKnown) {
    const std::string text = name.text;
    CHECK(classify(text + "x") == HeaderId::kOther);
    CHECK(classify(text.substr(0, text.size() - 1)) == HeaderId::kOther);
    for (size_t i = 0; i < text.size(); ++i) {
      for (int c = 0; c < 256; ++c) {
        std::string other = text;
        other[i] = static_cast<char>(c);
        if (!is_byte(other[i], kTokenByte) || iequals(other, text)) continue;
        INFO(other);
        CHECK(classify(other) != name.id);
      }
    }
  }
  CHECK(classify("") == HeaderId::kOther);
  CHECK(classify(std::string(300, 'a')) == HeaderId::kOther);
}

TEST_CASE("a header list keeps order through growth, removal and copying", "[http][headers]") {
  BlockPool pool;
  Arena arena(pool);
  HeaderList list(arena);
  std::string expected;
  for (int i = 0; i < 60; ++i) {
    const std::string name = "n" + std::to_string(i);
    list.add(arena.copy(name), "v");
    expected += name + " ";
  }
  CHECK(list.size() == 60);
  CHECK(names_of(list) == expected);

  HeaderList copy(arena);
  copy.add("old", "gone");
  copy.copy_from(list);
  list.clear();
  CHECK(names_of(copy) == expected);
  CHECK(list.size() == 0);
}

TEST_CASE("find, set and remove go by name without regard to case", "[http][headers]") {
  BlockPool pool;
  Arena arena(pool);
  HeaderList list(arena);
  list.add("Cookie", "a=1");
  list.add("X-Tenant", "one");
  list.add("cookie", "b=2");
  list.add("x-tenant", "two");
  CHECK(list.find(HeaderId::kCookie)->value == "a=1");
  CHECK(list.find("X-TENANT")->value == "one");
  CHECK(list.find("X-Other") == nullptr);
  CHECK(list.find(HeaderId::kHost) == nullptr);

  list.set("x-Tenant", "three");
  CHECK(names_of(list) == "Cookie x-Tenant cookie ");
  list.remove(HeaderId::kCookie);
  CHECK(names_of(list) == "x-Tenant ");
  list.set("Accept", "*/*");
  CHECK(names_of(list) == "x-Tenant Accept ");
  list.remove("X-TENANT");
  CHECK(names_of(list) == "Accept ");
}

TEST_CASE("methods", "[http][message]") {
  const struct {
    const char* text;
    Method method;
    bool idempotent;
  } kRows[] = {
      {"GET", Method::kGet, true},         {"HEAD", Method::kHead, true},
      {"POST", Method::kPost, false},      {"PUT", Method::kPut, true},
      {"DELETE", Method::kDelete, true},   {"CONNECT", Method::kConnect, false},
      {"OPTIONS", Method::kOptions, true}, {"TRACE", Method::kTrace, true},
      {"PATCH", Method::kPatch, false},
  };
  for (const auto& row : kRows) {
    CHECK(parse_method(row.text) == row.method);
    CHECK(method_name(row.method) == row.text);
    CHECK(is_idempotent(row.method) == row.idempotent);
  }
  CHECK(parse_method("get") == Method::kOther);
  CHECK(parse_method("PROPFIND") == Method::kOther);
  CHECK(parse_method("OTHER") == Method::kOther);
  CHECK(method_name(Method::kOther) == "OTHER");
  CHECK_FALSE(is_idempotent(Method::kOther));
}
