// Any routes and any request: the compiled router answers as a walk over the routes in file order
// does, and what a rewrite makes of a path is one that may be sent.
//
// The input is lines. "=/x", "/x", "/x/" and "~pattern" are routes; after a blank, "M" and a mask
// of methods, "h", "q" or "c" and name=value are conditions. "> METHOD path?query" is a request of
// the routes so far; "+ name: value" is a field of the next one. "s prefix", "r pattern" and "t
// text" set the rewrite that taken requests go through.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "http/rules.h"
#include "proxy/snapshot.h"
#include "support/naive_router.h"

namespace {

using namespace weir;
using namespace weir::proxy;

constexpr size_t kRoutesMax = 200;
constexpr size_t kRequestsMax = 20;

std::string_view take_word(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

void add_condition(std::string_view word, Conditions& out) {
  if (word.size() < 2) return;
  if (word[0] == 'M') {
    out.methods = static_cast<http::MethodSet>(static_cast<uint8_t>(word[1]) & 0x7f);
    return;
  }
  const size_t equals = std::min(word.find('='), word.size());
  Condition condition;
  condition.kind = word[0] == 'h'   ? Condition::Kind::kHeader
                   : word[0] == 'q' ? Condition::Kind::kQuery
                                    : Condition::Kind::kCookie;
  condition.name = word.substr(1, equals - 1);
  condition.value = equals == word.size() ? std::string_view() : word.substr(equals + 1);
  out.named.push_back(std::move(condition));
}

// False when the line is no route.
bool read_route(std::string_view line, Route& route) {
  std::string_view path = take_word(line);
  if (path.starts_with('~')) {
    Result<std::shared_ptr<const Regex>> regex = Regex::compile(path.substr(1));
    if (!regex.ok()) return false;
    route.match = PathMatch::kRegex;
    route.regex = std::move(regex.value());
  } else {
    const bool exact = path.starts_with('=');
    if (exact) path.remove_prefix(1);
    if (!path.starts_with('/')) return false;
    route.path = path;
    route.match = exact                 ? PathMatch::kExact
                  : path.ends_with('/') ? PathMatch::kPrefix
                                        : PathMatch::kSegment;
  }
  while (!line.empty()) add_condition(take_word(line), route.conditions);
  return true;
}

class Request final : public VariableSource {
 public:
  explicit Request(BlockPool& pool) : arena(pool), head(arena) {}
  std::string_view variable(Variable, Arena&) override { return head.path; }
  std::string_view capture(size_t) override { return head.query; }

  Arena arena;
  http::RequestHead head;
};

class Case {
 public:
  void run(std::string_view text) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      step(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

 private:
  void step(std::string_view line) {
    if (line.starts_with("> ")) return ask(line.substr(2));
    if (line.starts_with("+ ")) {
      const size_t colon = line.find(": ");
      if (colon != std::string_view::npos) {
        fields_.emplace_back(line.substr(2, colon - 2), line.substr(colon + 2));
      }
    } else if (line.starts_with("s /")) {
      rewrite_.strip_prefix = line.substr(2);
    } else if (line.starts_with("r ")) {
      Result<std::shared_ptr<const Regex>> regex = Regex::compile(line.substr(2));
      if (regex.ok()) rewrite_.regex = std::move(regex.value());
    } else if (line.starts_with("t ")) {
      Result<Template> replace = Template::parse(line.substr(2));
      if (replace.ok()) rewrite_.replace = std::move(replace.value());
    } else if (Route route; routes_.size() < kRoutesMax && read_route(line, route)) {
      routes_.push_back(std::move(route));
    }
  }

  void ask(std::string_view line) {
    if (++requests_ > kRequestsMax) return;
    Request request(pool_);
    http::RequestHead& head = request.head;
    head.method = http::parse_method(take_word(line));
    head.path = line.substr(0, line.find('?'));
    head.query = head.path.size() == line.size() ? "" : line.substr(head.path.size() + 1);
    for (const auto& [name, value] : fields_) head.headers.add(name, value);
    if (!http::is_request_target(line) || !head.path.starts_with('/')) return;
    const std::string_view path = http::normalise_path(head.path, false, request.arena);
    if (path.empty()) return;

    Router router;
    router.build(routes_);
    const Route* found = router.find(routes_, head, path);
    const test::NaiveAnswer expected = test::naive_find(routes_, head, path);
    WEIR_CHECK(found == expected.route);
    if (found == nullptr) {
      WEIR_CHECK(router.other_methods(routes_, head, path) == expected.other_methods);
    } else {
      WEIR_CHECK(takes_path(*found, path));
    }
    const Rewrite::Target to = rewrite_.apply(path, head.query, request, request.arena);
    if (to.target.empty()) return;
    WEIR_CHECK(http::is_request_target(to.target));
    WEIR_CHECK(to.path.starts_with('/') && !to.path.starts_with("//"));
    WEIR_CHECK(to.path.find('?') == std::string_view::npos);
    WEIR_CHECK(http::normalise_path(to.path, false, request.arena) == to.path);
    WEIR_CHECK(to.target.starts_with(to.path) && to.target.ends_with(to.query));
  }

  BlockPool pool_;
  std::vector<Route> routes_;
  std::deque<std::pair<std::string, std::string>> fields_;
  Rewrite rewrite_;
  size_t requests_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Case().run({reinterpret_cast<const char*>(data), size});
  return 0;
}
