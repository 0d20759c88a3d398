#include "admin/access.h"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

#include "base/blocks.h"
#include "http/rules.h"

namespace weir::admin {
namespace {

using http::Method;
using Fields = std::vector<std::pair<std::string, std::string>>;

struct Ask {
  Method method = Method::kPost;
  Fields fields = {};
  std::string authority = "127.0.0.1:9901";
  std::string token = "";  // of the admin
  http::Framing framing = http::Framing::kNone;
  uint64_t content_length = 0;
};

// The status that the request gets instead of the page; 0: it gets the page.
int status_of(const Ask& ask, PageAccess access = {.posts = true}) {
  BlockPool pool;
  Arena arena(pool);
  http::RequestHead request(arena);
  request.method = ask.method;
  request.authority = ask.authority;
  request.host = http::host_of(ask.authority, arena);
  request.framing = ask.framing;
  request.content_length = ask.content_length;
  for (const auto& [name, value] : ask.fields) request.headers.add(name, value);
  const auto refused = refusal_of(request, access, ask.token);
  return refused ? refused->status : 0;
}

TEST_CASE("admin access: methods") {
  for (const Method method : {Method::kGet, Method::kHead}) {
    CHECK(status_of({.method = method}, {}) == 0);
    CHECK(status_of({.method = method}) == 0);
  }
  CHECK(status_of({}, {}) == 405);
  CHECK(status_of({}) == 0);
  for (const Method method : {Method::kPut, Method::kDelete, Method::kOptions, Method::kPatch,
                              Method::kTrace, Method::kOther}) {
    CHECK(status_of({.method = method}) == 405);
  }
}

TEST_CASE("admin access: a POST of a browser must come from the admin's own pages") {
  struct Row {
    const char* authority;
    const char* origin;
    bool fine_without_token;
    bool fine_with_token;
  };
  const Row rows[] = {
      {"127.0.0.1:9901", "http://127.0.0.1:9901", true, true},
      {"localhost:9901", "http://localhost:9901", true, true},
      {"LOCALHOST:9901", "http://localhost:9901", true, true},
      {"[::1]:9901", "http://[::1]:9901", true, true},
      {"127.0.0.1:9901", "https://127.0.0.1:9901", true, true},  // behind something with TLS
      {"127.0.0.1:9901", "http://127.0.0.1", false, false},
      {"127.0.0.1:9901", "http://127.0.0.1:3000", false, false},
      {"127.0.0.1:9901", "http://evil.example", false, false},
      {"127.0.0.1:9901", "http://127.0.0.1:9901.evil.example", false, false},
      {"127.0.0.1:9901", "null", false, false},
      {"127.0.0.1:9901", "", false, false},
      {"127.0.0.1:9901", "127.0.0.1:9901", false, false},
      // A name may be pointed here by whoever owns it; then a token is what its page lacks.
      {"evil.example:9901", "http://evil.example:9901", false, true},
      {"admin.internal", "http://admin.internal", false, true},
      {"", "http://", false, false},
      {"admin.localhost:1", "http://admin.localhost:1", true, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.authority, row.origin);
    const Fields fields = {{"origin", row.origin}, {"Authorization", "Bearer t"}};
    CHECK((status_of({.fields = fields, .authority = row.authority}) == 0) ==
          row.fine_without_token);
    CHECK((status_of({.fields = fields, .authority = row.authority, .token = "t"}) == 0) ==
          row.fine_with_token);
  }
  CHECK(status_of({.fields = {{"Origin", "http://127.0.0.1:9901"}, {"Origin", "http://x"}}}) ==
        403);
}

TEST_CASE("admin access: without a token, under no name that somebody may have pointed here") {
  for (const Method method : {Method::kGet, Method::kHead, Method::kPost}) {
    for (const char* fixed : {"127.0.0.1:9901", "10.1.2.3", "[::1]:9901", "localhost",
                              "LocalHost.:9901", "a.b.localhost:80", ""}) {
      CAPTURE(fixed);
      CHECK(status_of({.method = method, .authority = fixed}) == 0);
    }
    for (const char* name : {"evil.example", "evil.example:9901", "localhost.evil.example",
                             "notlocalhost", "127.0.0.1.evil.example", "1.2.3"}) {
      CAPTURE(name);
      CHECK(status_of({.method = method, .authority = name}) == 403);
      CHECK(status_of({.method = method, .authority = name}, {.posts = true, .any_name = true}) ==
            0);
      CHECK(status_of({.method = method,
                       .fields = {{"Authorization", "Bearer t"}},
                       .authority = name,
                       .token = "t"}) == 0);
    }
  }
}

TEST_CASE("admin access: what Sec-Fetch-Site says") {
  for (const char* own : {"same-origin", "none"}) {
    CHECK(status_of({.fields = {{"Sec-Fetch-Site", own}}}) == 0);
  }
  for (const char* other : {"cross-site", "same-site", "", "x"}) {
    CHECK(status_of({.fields = {{"Sec-Fetch-Site", other}}}) == 403);
  }
  // Reading is not acting: what a page of another site loads it cannot see.
  CHECK(status_of({.method = Method::kGet,
                   .fields = {{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://x"}}}) == 0);
}

TEST_CASE("admin access: a POST brings no body") {
  CHECK(status_of({.framing = http::Framing::kLength, .content_length = 0}) == 0);
  CHECK(status_of({.framing = http::Framing::kLength, .content_length = 1}) == 400);
  CHECK(status_of({.framing = http::Framing::kChunked}) == 400);
}

TEST_CASE("admin access: the token comes first, for pages that are not open") {
  CHECK(status_of({.token = "t"}) == 401);
  CHECK(status_of({.method = Method::kGet, .token = "t"}) == 401);
  CHECK(status_of({.method = Method::kPut, .token = "t"}) == 401);
  CHECK(status_of({.fields = {{"Authorization", "Bearer t"}}, .token = "t"}) == 0);
  CHECK(status_of({.fields = {{"Authorization", "Bearer tt"}}, .token = "t"}) == 401);
  CHECK(status_of({.method = Method::kGet, .token = "t"}, {.open = true}) == 0);
}

}  // namespace
}  // namespace weir::admin
