// What auth.forward's server is asked: of each request a few fields that matter.
#include "filters/auth/question.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "base/blocks.h"
#include "http/rules.h"

namespace weir::filters::auth {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

class Asked {
 public:
  Asked(const Question& question, const Fields& fields, const Names& not_clients = {})
      : arena_(blocks_), request_(arena_), out_(arena_) {
    request_.method_text = "PURGE";
    request_.target = "/a?b";
    request_.authority = "Site.test:80";
    for (const auto& [name, value] : fields) request_.headers.add(name, value);
    question.ask(request_, "https", not_clients, out_);
  }
  const http::RequestHead& head() const { return out_; }
  // All values of a name, with commas.
  std::string value(std::string_view name) const {
    std::string all;
    for (const http::Header& field : out_.headers) {
      if (!http::same_variable(field.name, name)) continue;
      all += (all.empty() ? "" : ",") + std::string(field.value);
    }
    return all;
  }

 private:
  BlockPool blocks_;
  Arena arena_;
  http::RequestHead request_;
  http::RequestHead out_;
};

TEST_CASE("question: where it goes") {
  const struct {
    const char* target;
    const char* path;
    const char* query;
  } rows[] = {{"/verify", "/verify", ""}, {"/v?a=b&c", "/v", "a=b&c"}, {"/v?", "/v", ""}};
  for (const auto& row : rows) {
    Question question;
    question.target = row.target;
    const Asked asked(question, {});
    CHECK(asked.head().target == row.target);
    CHECK(asked.head().path == row.path);
    CHECK(asked.head().query == row.query);
    CHECK(asked.head().method == http::Method::kGet);
    CHECK(asked.head().framing == http::Framing::kNone);
    CHECK(asked.head().authority == "Site.test:80");
    CHECK(asked.head().host == "site.test");
  }
  Question question;
  question.target = "/";
  question.host = "auth.test";
  CHECK(Asked(question, {}).head().authority == "auth.test");
}

TEST_CASE("question: what tells of the request comes from weir alone") {
  Question question;
  question.target = "/";
  const Asked asked(question, {{"X-Forwarded-Method", "GET"},
                               {"x_forwarded_uri", "/mine"},
                               {"X-ORIGINAL-URI", "/mine"},
                               {"X-Original-Method", "GET"},
                               {"X_Original-Url", "mine"}});
  CHECK(asked.value("X-Forwarded-Method") == "PURGE");
  CHECK(asked.value("X-Forwarded-Uri") == "/a?b");
  CHECK(asked.value("X-Original-URI") == "/a?b");
  CHECK(asked.value("X-Original-Method") == "PURGE");
  CHECK(asked.value("X-Original-URL") == "https://Site.test:80/a?b");
  // Not even by name.
  question.request_headers = Names{"X-Original-URI", "x_original_uri"};
  CHECK(Asked(question, {{"x_original_uri", "/mine"}}).value("X-Original-URI") == "/a?b");
}

TEST_CASE("question: which of the client's fields go along") {
  const Fields sent = {{"Cookie", "c"},       {"Authorization", "a"}, {"X-User", "u"},
                       {"X_User", "u2"},      {"If-None-Match", "e"}, {"Range", "r"},
                       {"Content-Type", "t"}, {"Upgrade", "w"},       {"Connection", "x"},
                       {"TE", "trailers"},    {"Accept", "j"}};
  Question all;
  all.target = "/";
  CHECK(Asked(all, sent).value("X-User") == "u,u2");

  const Names own = {"X-User"};
  const Asked asked(all, sent, own);
  CHECK(asked.value("X-User").empty());  // not the client's to say
  CHECK(asked.value("Cookie") == "c");
  CHECK(asked.value("Authorization") == "a");
  CHECK(asked.value("Accept") == "j");
  CHECK(asked.value("Content-Type") == "t");
  for (const char* name : {"If-None-Match", "Range", "Upgrade", "Connection", "TE"}) {
    CHECK(asked.value(name).empty());
  }

  Question some = all;
  some.request_headers = Names{"cookie", "x-user", "range"};
  const Asked less(some, sent, own);
  CHECK(less.value("Cookie") == "c");
  CHECK(less.value("X-User") == "u");  // asked for by name, but not its look-alike
  CHECK(less.value("Authorization").empty());
  CHECK(less.value("Range").empty());

  some.request_headers = Names{};
  CHECK(Asked(some, sent).value("Cookie").empty());
}

}  // namespace
}  // namespace weir::filters::auth
