#include "filters/origins.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "http/rules.h"

namespace weir::filters {

namespace {

// RFC 3986 3.1; browsers have more than two of them: capacitor://, chrome-extension://.
bool is_scheme(std::string_view text) {
  if (text.empty() || text.front() < 'a' || text.front() > 'z') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

// What a * stands for in a name: labels of hosts, and nothing that a parser could read otherwise.
bool is_of_labels(std::string_view text) {
  if (text.empty() || text.front() == '.' || text.back() == '.' ||
      text.find("..") != std::string_view::npos) {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

// As browsers serialise an origin: a scheme's own port goes without saying.
std::string_view without_own_port(std::string_view host, std::string_view scheme) {
  const std::string_view own = scheme == "https" ? ":443" : scheme == "http" ? ":80" : "";
  if (!own.empty() && host.ends_with(own)) host.remove_suffix(own.size());
  return host;
}

}  // namespace

std::string Origins::add(std::string_view text) {
  if (text == "*") {
    any_ = true;
    return {};
  }
  std::string origin(text);
  std::transform(origin.begin(), origin.end(), origin.begin(), to_lower);
  if (origin == "null") {
    insert(std::move(origin));
    return {};
  }
  const size_t mark = origin.find("://");
  if (mark == std::string::npos || !is_scheme(origin.substr(0, mark))) {
    return "it begins with a scheme, as in https://app.example.com";
  }
  const std::string scheme = origin.substr(0, mark);
  const std::string_view whole = std::string_view(origin).substr(mark + 3);
  if (whole.find_first_of("/?#") != std::string_view::npos) {
    return "an origin ends with the host and the port: no path, no slash";
  }
  const std::string_view host = without_own_port(whole, scheme);
  const bool wild = host.starts_with("*.");
  const std::string_view name = wild ? host.substr(2) : host;
  if (name.find('*') != std::string_view::npos) {
    return "a * stands alone or before the first dot: https://*.example.com";
  }
  if (name.empty() || !http::is_valid_host(name)) return "after the scheme a host is due";
  if (wild) {
    wildcards_.push_back({scheme + "://", std::string(host.substr(1))});
  } else {
    insert(scheme + "://" + std::string(host));
  }
  return {};
}

void Origins::insert(std::string origin) {
  const auto place = std::lower_bound(exact_.begin(), exact_.end(), origin);
  if (place == exact_.end() || *place != origin) exact_.insert(place, std::move(origin));
}

bool Origins::contains(std::string_view origin) const {
  if (any_ || std::binary_search(exact_.begin(), exact_.end(), origin)) return true;
  return std::any_of(wildcards_.begin(), wildcards_.end(), [origin](const Wildcard& one) {
    return origin.size() > one.scheme.size() + one.rest.size() && origin.starts_with(one.scheme) &&
           origin.ends_with(one.rest) &&
           is_of_labels(origin.substr(one.scheme.size(),
                                      origin.size() - one.scheme.size() - one.rest.size()));
  });
}

void read_origins(const options::Node& node, const char* hint, options::Problems& problems,
                  Origins& out) {
  const auto add = [&](const options::Node& item) {
    std::string text;
    if (!options::read_string(item, problems, text)) return;
    for_each_list_item(text, [&](std::string_view one) {
      if (const std::string why = out.add(one); !why.empty()) {
        problems.invalid(item, "an origin", why);
      }
    });
  };
  const size_t errors = problems.error_count();
  if (node.kind == options::Kind::kScalar) {
    add(node);
  } else {
    std::vector<const options::Node*> items;
    if (!options::read_list(node, problems, items)) return;
    for (const options::Node* item : items) add(*item);
  }
  if (problems.error_count() != errors) return;
  if (out.size() == 0) {
    problems.error(node, "is empty", hint);
  } else if (out.takes_any() && out.size() > 1) {
    problems.error(node, "\"*\" stands alone: it takes every origin");
  }
}

bool is_origin_of(std::string_view origin, std::string_view scheme, std::string_view authority) {
  constexpr std::string_view kMark = "://";
  if (origin.size() <= scheme.size() + kMark.size() || !origin.starts_with(scheme)) return false;
  origin.remove_prefix(scheme.size());
  if (!origin.starts_with(kMark)) return false;
  return iequals(without_own_port(origin.substr(kMark.size()), scheme),
                 without_own_port(authority, scheme));
}

}  // namespace weir::filters
