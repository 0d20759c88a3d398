// What a server gets in the place of what the client asked for; groups and literals of templates.
#include "proxy/rewrite.h"

#include <catch2/catch.hpp>

#include <string>

namespace weir::proxy {
namespace {

// Variables and captures that name themselves.
class Source final : public VariableSource {
 public:
  std::string_view variable(Variable variable, Arena&) override {
    return variable == Variable::kHost ? "host" : "other";
  }
  std::string_view capture(size_t index) override {
    return std::string_view("0123456789").substr(index, 1);
  }
};

Rewrite rewrite(const std::string& prefix, const std::string& regex = "",
                const std::string& replace = "") {
  Rewrite made;
  made.strip_prefix = prefix;
  if (!regex.empty()) made.regex = Regex::compile(regex).value();
  made.replace = std::move(Template::parse(replace).value());
  return made;
}

// The target; "-" when there is none.
std::string sent(const Rewrite& rewrite, std::string_view path, std::string_view query = "") {
  BlockPool pool;
  Arena arena(pool);
  Source source;
  const Rewrite::Target to = rewrite.apply(path, query, source, arena);
  if (to.target.empty()) return "-";
  CHECK(to.target == std::string(to.path) + (to.query.empty() ? "" : "?") + std::string(to.query));
  return std::string(to.target);
}

TEST_CASE("a prefix is stripped on a border of segments", "[rewrite]") {
  const Rewrite api = rewrite("/api");
  CHECK(sent(api, "/api/x", "q=1") == "/x?q=1");
  CHECK(sent(api, "/api") == "/");
  CHECK(sent(api, "/api/") == "/");
  CHECK(sent(api, "/apix") == "/apix");
  CHECK(sent(api, "/x/api") == "/x/api");
  CHECK(sent(api, "/api/api/x") == "/api/x");
  CHECK(sent(api, "/api//evil.test") == "/evil.test");
}

TEST_CASE("what the pattern matched first is replaced", "[rewrite]") {
  CHECK(sent(rewrite("", "^/v1/", "/v2/"), "/v1/x/v1/", "q") == "/v2/x/v1/?q");
  CHECK(sent(rewrite("", "a", "b"), "/xaya") == "/xbya");
  CHECK(sent(rewrite("", "^/(\\w+)/(\\w+)$", "/\\2/\\1/\\0"), "/a/b") == "/b/a//a/b");
  CHECK(sent(rewrite("", "^/(x)?(y)$", "/<\\1>\\2"), "/y") == "/<>y");
  CHECK(sent(rewrite("", "nothing", "b"), "/a", "q") == "/a?q");
  CHECK(sent(rewrite("", "^/", "$host/$$1/"), "/a") == "/host/$1/a");
  CHECK(sent(rewrite("/api", "^/v1", ""), "/api/v1/x") == "/x");
  CHECK(sent(rewrite("/api", "^/api", "/no"), "/api/x") == "/x");
}

TEST_CASE("a question mark in the replacement brings a query of its own", "[rewrite]") {
  const Rewrite php = rewrite("", "^/(.*)$", "/index.php?p=\\1");
  CHECK(sent(php, "/a/b") == "/index.php?p=a/b");
  CHECK(sent(php, "/a", "q=1") == "/index.php?p=a");
  CHECK(sent(rewrite("", "^(.*)$", "\\1?"), "/a", "q=1") == "/a");
}

TEST_CASE("what comes out is a clean path, or nothing is sent", "[rewrite]") {
  CHECK(sent(rewrite("", "^/", ""), "/a") == "/a");
  CHECK(sent(rewrite("", "^/", "//"), "/a") == "/a");
  CHECK(sent(rewrite("", "^/", "/.//"), "/a") == "/a");
  CHECK(sent(rewrite("", "^/", "/x/%61/../"), "/a") == "/x/a");
  CHECK(sent(rewrite("", "^/", "/../"), "/a") == "-");
  CHECK(sent(rewrite("", "^/", "/%00"), "/a") == "-");
  CHECK(sent(rewrite("", "^/", "/%zz"), "/a") == "-");
  CHECK(sent(rewrite("", "^/", "/a b"), "/a") == "-");
  CHECK(sent(rewrite("", "^/", "/a#b"), "/a") == "-");
  CHECK(sent(rewrite("", "^/", "/a?b\x01"), "/a") == "-");
}

TEST_CASE("captures and backslashes of a template", "[rewrite]") {
  const auto rendered = [](std::string_view text) {
    BlockPool pool;
    Arena arena(pool);
    Source source;
    Template parsed = std::move(Template::parse(text).value());
    return std::string(parsed.render(source, arena));
  };
  CHECK(rendered("<\\1\\20>") == "<120>");
  CHECK(rendered("\\\\1 \\x \\") == "\\1 \\x \\");
  CHECK(rendered("\\0$host\\9") == "0host9");
  CHECK(Template::parse("a\\\\1").value().highest_capture() == -1);
  CHECK(Template::parse("a\\\\1").value().is_constant());
  CHECK(Template::parse("\\0").value().highest_capture() == 0);
  CHECK(Template::parse("\\3 \\2").value().highest_capture() == 3);
}

}  // namespace
}  // namespace weir::proxy
