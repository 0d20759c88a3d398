// error_pages: {404: /srv/errors/404.html, 5xx: /srv/errors/broken.html}
#include <algorithm>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "config/build.h"
#include "config/files.h"
#include "proxy/error_pages.h"

namespace weir::config {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

constexpr size_t kPageMaxBytes = size_t{1} << 20;

// A status, or 4 or 5 for its class; 0 after reporting.
int read_key(const Node& node, Problems& problems) {
  if (node.key == "4xx") return 4;
  if (node.key == "5xx") return 5;
  uint64_t status = 0;
  const bool is_status = node.key.size() == 3 && parse_u64(node.key, status);
  if (is_status && status >= 400 && status <= 599) return static_cast<int>(status);
  problems.error(node, "must be a status from 400 to 599, 4xx or 5xx");
  return 0;
}

std::string_view content_type_of(std::string_view path) {
  if (path.ends_with(".html")) return "text/html; charset=utf-8";
  if (path.ends_with(".json")) return "application/json";
  if (path.ends_with(".txt")) return "text/plain; charset=utf-8";
  return {};
}

// A page is written by somebody who knows of no variables but the two that are offered: every other
// dollar is text. These two are safe in any form; what a client sent is not.
std::string template_of(std::string_view page) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_";
  std::string out;
  out.reserve(page.size());
  for (size_t i = 0; i < page.size(); ++i) {
    out += page[i];
    if (page[i] != '$') continue;
    const size_t end = std::min(page.find_first_not_of(kLetters, i + 1), page.size());
    const std::string_view name = page.substr(i + 1, end - i - 1);
    if (name != "status" && name != "request_id") out += '$';
  }
  return out;
}

// Null after reporting.
std::shared_ptr<const proxy::ErrorPage> read_page(Build& build, const Node& node,
                                                  const std::string& written) {
  const std::string_view type = content_type_of(written);
  if (type.empty()) {
    build.problems.invalid(node, "a page", "its name ends in .html, .json or .txt");
    return nullptr;
  }
  const std::string path = path_beside(*node.file, written);
  const auto [known, fresh] = build.error_pages.try_emplace(path);
  if (!fresh) return known->second;
  Result<std::string> text = build.environment.file(path, kPageMaxBytes);
  if (!text.ok()) {
    build.problems.error(node, node.shown() + " cannot be read: " + text.error());
    return nullptr;
  }
  Result<proxy::Template> body = proxy::Template::parse(template_of(text.value()));
  if (!body.ok()) {
    build.problems.error(node, body.error());
    return nullptr;
  }
  known->second = std::make_shared<const proxy::ErrorPage>(
      proxy::ErrorPage{std::string(type), std::move(body.value())});
  return known->second;
}

}  // namespace

void build_error_pages(Build& build, const Node& section,
                       std::shared_ptr<const proxy::ErrorPages>& out) {
  if (options::is_off(section)) {
    out = nullptr;
    return;
  }
  if (section.kind != options::Kind::kMap) {
    if (!section.broken) {
      build.problems.error(section, "must be a map or off, not " + section.shown());
    }
    return;
  }
  auto pages = std::make_shared<proxy::ErrorPages>();
  for (const auto& entry : section.children) {
    const int key = read_key(*entry, build.problems);
    std::string path;
    if (!read_string(*entry, build.problems, path) || key == 0) continue;
    if (auto page = read_page(build, *entry, path)) pages->add(key, std::move(page));
  }
  out = std::move(pages);
}

}  // namespace weir::config
