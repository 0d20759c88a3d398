#include "admin/admin.h"

#include <catch2/catch.hpp>

#include <map>
#include <string>

#include "base/blocks.h"
#include "fake_source.h"
#include "support/match.h"

namespace weir::admin {
namespace {

using http::Method;
using proxy::LocalReply;

struct Answer {
  int status = 0;
  std::map<std::string, std::string> headers;
  std::string body;
};

class AdminPages {
 public:
  explicit AdminPages(std::string token = "") {
    auto described = std::make_shared<proxy::ConfigDescription>();
    described->json = "{\"workers\": 1}\n";
    source.described = std::move(described);
    source.publish({.number = 1, .cause = "start"}, 0);
    proxy::AdminConfig config;
    config.address = net::parse_address("127.0.0.1:9901").value();
    config.token = std::move(token);
    snapshot_ = make_admin_snapshot(source, config);
  }

  // As a worker would find it: by listener, host and path.
  const proxy::Route* route(std::string_view path, std::string_view host = "127.0.0.1") const {
    return test::match(*snapshot_, 0, host, path).route;
  }
  Answer ask(std::string_view path, Method method = Method::kGet,
             std::string_view authorization = "") const {
    const proxy::Route* const found = route(path);
    if (found == nullptr) return {404, {}, {}};
    BlockPool pool;
    Arena arena(pool);
    http::RequestHead request(arena);
    request.method = method;
    if (!authorization.empty()) request.headers.add("Authorization", authorization);
    LocalReply reply = found->handler(request);
    return {reply.status, {reply.headers.begin(), reply.headers.end()}, std::move(reply.body)};
  }
  const proxy::Snapshot& snapshot() const { return *snapshot_; }

  FakeSource source;

 private:
  std::shared_ptr<const proxy::Snapshot> snapshot_;
};

const char* const kPaths[] = {"/",       "/metrics", "/health", "/health/live", "/health/ready",
                              "/status", "/config",  "/reload"};

TEST_CASE("the admin snapshot listens where it was told and claims every host") {
  const AdminPages pages;
  REQUIRE(pages.snapshot().listeners.size() == 1);
  CHECK(pages.snapshot().listeners[0].address.text() == "127.0.0.1:9901");
  CHECK(pages.route("/metrics", "admin.internal") != nullptr);
  CHECK(pages.route("/metrics", "") != nullptr);
  CHECK_FALSE(pages.route("/metrics")->access_log);
}

TEST_CASE("every page answers GET and HEAD, and nothing else") {
  const AdminPages pages;
  for (const char* path : kPaths) {
    CAPTURE(path);
    CHECK(pages.ask(path).status == 200);
    CHECK_FALSE(pages.ask(path).body.empty());
    CHECK(pages.ask(path).headers["Cache-Control"] == "no-store");
    CHECK(pages.ask(path, Method::kHead).status == 200);
    for (const Method method : {Method::kPost, Method::kPut, Method::kDelete, Method::kOptions,
                                Method::kPatch, Method::kOther}) {
      Answer answer = pages.ask(path, method);
      if (method == Method::kPost && path == std::string("/reload")) continue;  // reload_test.cc
      CHECK(answer.status == 405);
      CHECK(answer.headers["Allow"] ==
            (path == std::string("/reload") ? "GET, HEAD, POST" : "GET, HEAD"));
    }
  }
}

TEST_CASE("paths are exact") {
  const AdminPages pages;
  for (const char* path : {"/metrics/", "/metricsx", "/health/", "/health/live/x", "/healthz", "",
                           "/config/", "/reload/x", "/statu"}) {
    CAPTURE(path);
    CHECK(pages.ask(path).status == 404);
  }
}

TEST_CASE("pages say what they are") {
  const AdminPages pages;
  CHECK(pages.ask("/metrics").headers["Content-Type"] ==
        "text/plain; version=0.0.4; charset=utf-8");
  CHECK(pages.ask("/health").headers["Content-Type"] == "application/json");
  CHECK(pages.ask("/status").headers["Content-Type"] == "application/json");
  CHECK(pages.ask("/config").headers["Content-Type"] == "application/json");
  CHECK(pages.ask("/config").body == "{\"workers\": 1}\n");
  CHECK(pages.ask("/reload").headers["Content-Type"] == "application/json");
  Answer list = pages.ask("/");
  CHECK(list.headers["Content-Type"] == "text/plain; charset=utf-8");
  for (const char* path : kPaths) CHECK(list.body.find(path) != std::string::npos);
}

TEST_CASE("with a token only the probes' pages are open") {
  const AdminPages pages("s3cret");
  for (const char* path : {"/", "/metrics", "/health", "/status", "/config", "/reload"}) {
    CAPTURE(path);
    for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cretx",
                              "Bearer S3CRET", "Basic s3cret", "s3cret", "Bearer s3cret s3cret"}) {
      CAPTURE(wrong);
      Answer answer = pages.ask(path, Method::kGet, wrong);
      CHECK(answer.status == 401);
      CHECK(answer.headers["WWW-Authenticate"] == "Bearer realm=\"weir admin\"");
      CHECK(answer.body.find("s3cret") == std::string::npos);
    }
    CHECK(pages.ask(path, Method::kGet, "Bearer s3cret").status == 200);
    CHECK(pages.ask(path, Method::kGet, "bearer  s3cret").status == 200);
    CHECK(pages.ask(path, Method::kPost).status == 401);
    CHECK(pages.ask(path, Method::kPut, "Bearer s3cret").status == 405);
  }
  CHECK(pages.ask("/health/live").status == 200);
  CHECK(pages.ask("/health/ready").status == 200);
}

TEST_CASE("before the first configuration there is nothing to tell") {
  AdminPages pages;
  pages.source.described = nullptr;
  CHECK(pages.ask("/config").status == 503);
}

}  // namespace
}  // namespace weir::admin
