#include "filters/header_name.h"

#include <utility>

#include "http/headers.h"
#include "http/rules.h"

namespace weir::filters {

namespace {

constexpr uint64_t kManaged = http::kHopByHopMask | http::bit(http::HeaderId::kContentLength) |
                              http::bit(http::HeaderId::kHost) | http::bit(http::HeaderId::kExpect);
constexpr uint64_t kProofs =
    http::bit(http::HeaderId::kAuthorization) | http::bit(http::HeaderId::kCookie);

bool check_name(const options::Node& at, std::string_view name, uint64_t managed,
                options::Problems& problems) {
  if (!http::is_token(name)) {
    problems.error(at, shown_name(at, name) + " is not a header name");
    return false;
  }
  if ((http::bit(http::classify(name)) & managed) != 0) {
    problems.error(at, shown_name(at, name) + " is managed by weir and cannot be configured");
    return false;
  }
  return true;
}

// Reports a template that names a group which its pattern does not have.
bool check_captures(const options::Node& at, const proxy::Template& text,
                    const proxy::Regex* pattern, options::Problems& problems) {
  if (text.highest_capture() < 0) return true;
  std::shared_ptr<const proxy::Regex> around;
  for (const options::Node* node = at.parent; pattern == nullptr && node != nullptr;
       node = node->parent) {
    const options::Node* written = node->find("path_regex");
    if (written == nullptr) continue;
    Result<std::shared_ptr<const proxy::Regex>> compiled = proxy::Regex::compile(written->text);
    if (!compiled.ok()) return true;  // reported where it stands
    around = std::move(compiled.value());
    pattern = around.get();
  }
  const std::string name = "\\" + std::to_string(text.highest_capture());
  if (pattern == nullptr) {
    problems.error(at, name + " is a capture of path_regex, which is not there",
                   "\"\\\\\" is a backslash");
    return false;
  }
  if (static_cast<size_t>(text.highest_capture()) <= pattern->groups()) return true;
  problems.error(at, name + " is not there: the pattern has " + std::to_string(pattern->groups()) +
                         (pattern->groups() == 1 ? " group" : " groups"));
  return false;
}

}  // namespace

std::string shown_name(const options::Node& at, std::string_view name) {
  return at.text == name ? at.shown() : options::quote(name);
}

bool check_header_name(const options::Node& at, std::string_view name,
                       options::Problems& problems) {
  return check_name(at, name, kManaged, problems);
}

bool check_filled_header_name(const options::Node& at, std::string_view name,
                              options::Problems& problems) {
  return check_name(at, name, kManaged | http::kForwardingMask, problems);
}

bool is_proof(std::string_view name) { return (http::bit(http::classify(name)) & kProofs) != 0; }

bool check_own_header_name(const options::Node& at, std::string_view name,
                           options::Problems& problems) {
  if (!check_filled_header_name(at, name, problems)) return false;
  if (!is_proof(name)) return true;
  problems.error(at, shown_name(at, name) + " is what clients prove themselves by",
                 "it would be taken from them on every route of the site");
  return false;
}

bool read_header_value(const options::Node& value, options::Problems& problems,
                       proxy::Template& out) {
  std::string text;
  if (!options::read_string(value, problems, text)) return false;
  if (!http::is_field_value(text)) {
    problems.invalid(value, "a header value", "it holds a control character");
    return false;
  }
  return read_template(value, problems, out);
}

bool read_template(const options::Node& value, options::Problems& problems, proxy::Template& out,
                   const proxy::Regex* pattern) {
  std::string text;
  if (!options::read_string(value, problems, text)) return false;
  Result<proxy::Template> parsed = proxy::Template::parse(value.template_text());
  if (!parsed.ok()) {
    problems.error(value, parsed.error());
    return false;
  }
  out = std::move(parsed.value());
  return check_captures(value, out, pattern, problems);
}

}  // namespace weir::filters
