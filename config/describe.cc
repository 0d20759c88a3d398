#include "config/describe.h"

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/escape.h"
#include "base/strings.h"

namespace weir::config {

namespace {

using options::Kind;
using options::Node;
using proxy::Outline;
using proxy::Part;

constexpr std::string_view kRedacted = "***";

// ---- what is secret ----

bool contains_word(std::string_view key, std::string_view word) {
  for (size_t at = 0; at + word.size() <= key.size(); ++at) {
    if (iequals(key.substr(at, word.size()), word)) return true;
  }
  return false;
}

bool is_secret_key(std::string_view key) {
  for (const std::string_view word : {"token", "secret", "password", "passwd", "passphrase",
                                      "credential", "api-key", "api_key", "apikey"}) {
    if (contains_word(key, word)) return true;
  }
  for (const std::string_view header : {"Authorization", "Proxy-Authorization", "Set-Cookie"}) {
    if (iequals(key, header)) return true;
  }
  return key == "Cookie";  // in lower case it is a key of the language, and holds a name
}

// True for a key of a section whose keys are names that the user chose.
bool is_chosen_name(const Node& node) {
  const Node* const section = node.parent;
  if (section == nullptr || section->parent == nullptr || section->parent->parent != nullptr) {
    return false;
  }
  return section->key == "listeners" || section->key == "upstreams" ||
         section->key == "rate_limits";
}

// "redis://user:password@host" without what stands before the "@" (RFC 3986 3.2.1). A password with
// a "/" in it should be encoded there, but some of those who read such URLs do not insist.
std::string without_user_info(std::string_view text) {
  constexpr std::string_view kMark = "://";
  std::string out;
  for (size_t mark = text.find(kMark); mark != std::string_view::npos; mark = text.find(kMark)) {
    const size_t begin = mark + kMark.size();
    const std::string_view scheme = text.substr(0, mark);
    const bool is_web = scheme.ends_with("http") || scheme.ends_with("https");
    const char* const after = is_web ? "/?# \t\r\n" : " \t\r\n";
    const size_t end = std::min(text.find_first_of(after, begin), text.size());
    const size_t at = text.substr(begin, end - begin).rfind('@');
    out += text.substr(0, begin);
    if (at != std::string_view::npos) {
      out += kRedacted;
      out += text.substr(begin + at, end - begin - at);
    } else {
      out += text.substr(begin, end - begin);
    }
    text.remove_prefix(end);
  }
  return out.append(text);
}

// A scalar's text as it may be shown.
std::string shown_text(const Node& node) {
  return node.secret() ? std::string(kRedacted) : without_user_info(node.text);
}

// ---- the text ----

bool is_json_number(std::string_view text) {
  constexpr size_t kExactDigits = 15;  // what a reader's double holds
  if (text.starts_with('-')) text.remove_prefix(1);
  const size_t dot = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, dot);
  const std::string_view fraction = text.substr(std::min(dot + 1, text.size()));
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (!digits(whole) || (whole.size() > 1 && whole.front() == '0')) return false;
  if (dot < text.size() && !digits(fraction)) return false;
  return whole.size() + fraction.size() <= kExactDigits;
}

class JsonWriter {
 public:
  explicit JsonWriter(const options::Defaults& defaults) : defaults_(defaults) {}

  std::string text(const Node& root) && {
    value(root, false);
    out_ += '\n';
    return std::move(out_);
  }

 private:
  void value(const Node& node, bool hidden) {
    if (node.kind == Kind::kNull && !hidden && !defaults_.of(node).empty()) {
      return children(node, hidden, '{', '}');
    }
    switch (node.kind) {
      case Kind::kNull: out_ += "null"; break;
      case Kind::kScalar: scalar(node, hidden); break;
      case Kind::kList: children(node, hidden, '[', ']'); break;
      case Kind::kMap: children(node, hidden, '{', '}'); break;
    }
  }

  void scalar(const Node& node, bool hidden) {
    if (hidden) return string(kRedacted);
    if (node.quoted || node.secret()) return string(shown_text(node));
    plain(shown_text(node));
  }

  void children(const Node& node, bool hidden, char open, char close) {
    out_ += open;
    ++depth_;
    bool first = true;
    for (const auto& child : node.children) {
      next_line(first);
      if (node.kind == Kind::kMap) name(child->key);
      value(*child, hidden || names_secret(*child));
    }
    for (const options::Defaults::Entry& entry : defaults_.of(node)) {
      next_line(first);
      name(entry.key);
      if (entry.map != nullptr) {
        children(*entry.map, false, '{', '}');
      } else {
        plain(entry.text);
      }
    }
    --depth_;
    if (!first) {
      out_ += '\n';
      indent();
    }
    out_ += close;
  }

  void next_line(bool& first) {
    out_ += std::exchange(first, false) ? "\n" : ",\n";
    indent();
  }

  void name(std::string_view key) {
    string(key);
    out_ += ": ";
  }

  // A scalar without quotes around it.
  void plain(std::string_view text) {
    if (text == "true" || text == "false" || is_json_number(text)) {
      out_ += text;
    } else {
      string(text);
    }
  }

  bool names_secret(const Node& node) {
    const auto [known, is_new] = secret_keys_.try_emplace(node.key, false);
    if (is_new) known->second = is_secret_key(node.key);
    return known->second && !is_chosen_name(node);
  }

  void indent() { out_.append(depth_ * 2, ' '); }

  void string(std::string_view text) {
    out_ += '"';
    const size_t begin = out_.size();
    out_.resize(begin + text.size() * kEscapedMax);
    char* const end = escape_json(text, out_.data() + begin);
    out_.resize(static_cast<size_t>(end - out_.data()));
    out_ += '"';
  }

  const options::Defaults& defaults_;
  std::string out_;
  size_t depth_ = 0;
  std::unordered_map<std::string_view, bool> secret_keys_;  // few keys, many times
};

// ---- the outline ----

uint64_t mix(uint64_t a, uint64_t b) {
  a ^= b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2);  // the golden ratio's bits
  a *= 0xff51afd7ed558ccdu;
  return a ^ (a >> 33);
}

uint64_t digest_of(std::string_view text) { return std::hash<std::string_view>()(text); }

// Maps say the same in any order of their keys. `without`: a key that is told apart.
uint64_t digest_of(const Node& node, std::string_view without = {}) {
  uint64_t digest = mix(static_cast<uint64_t>(node.kind), digest_of(node.text));
  uint64_t sum = 0;
  for (const auto& child : node.children) {
    if (node.kind == Kind::kMap) {
      if (child->key == without) continue;
      sum += mix(digest_of(child->key), digest_of(*child));
    } else {
      digest = mix(digest, digest_of(*child));
    }
  }
  return mix(digest, sum);
}

// How a message may name the value: secrets by where they come from.
std::string name_of(const Node* node) {
  if (node == nullptr || node->kind != Kind::kScalar) return "?";
  return node->secret() ? node->substitution->origin : without_user_info(node->text);
}

// The first few of a list: enough to know it by.
std::string joined(const Node* list) {
  constexpr size_t kNamesMax = 3;
  std::string out;
  if (list == nullptr) return out;
  for (size_t i = 0; i < list->children.size() && i < kNamesMax; ++i) {
    out += (i == 0 ? "" : ", ") + name_of(list->children[i].get());
  }
  return list->children.size() > kNamesMax ? out + ", ..." : out;
}

void add_upstream(const Node& upstream, Outline& out) {
  constexpr std::string_view kServers = "servers";
  out.push_back({Part::kUpstreams, upstream.key, digest_of(upstream, kServers)});
  const Node* const servers = upstream.find(kServers);
  if (servers == nullptr) return;
  for (const auto& server : servers->children) {
    out.push_back({Part::kServers, upstream.key + "/" + name_of(server->find("address")),
                   digest_of(*server)});
  }
}

std::string route_name(const Node& route) {
  for (const std::string_view key : {"name", "path", "path_regex"}) {
    if (const Node* node = route.find(key)) return name_of(node);
  }
  return "?";
}

void add_site(const Node& site, Outline& out) {
  constexpr std::string_view kRoutes = "routes";
  std::string name = joined(site.find("hosts"));
  if (const std::string listeners = joined(site.find("listeners")); !listeners.empty()) {
    name += " on " + listeners;
  }
  const size_t place = out.size();
  out.push_back({Part::kSites, name, digest_of(site, kRoutes)});
  const Node* const routes = site.find(kRoutes);
  if (routes == nullptr) return;
  for (const auto& route : routes->children) {
    std::string own = route_name(*route);
    // The first that matches is taken: their order is a matter of the site.
    out[place].digest = mix(out[place].digest, digest_of(own));
    out.push_back({Part::kRoutes, name + " " + own, digest_of(*route)});
  }
}

void add_section(const Node& section, Outline& out) {
  if (section.key == "listeners") {
    for (const auto& listener : section.children) {
      out.push_back({Part::kListeners, listener->key, digest_of(*listener)});
    }
  } else if (section.key == "upstreams") {
    for (const auto& upstream : section.children) add_upstream(*upstream, out);
  } else if (section.key == "sites") {
    for (const auto& site : section.children) add_site(*site, out);
  } else {
    out.push_back({Part::kSettings, section.key, digest_of(section)});
  }
}

}  // namespace

std::shared_ptr<const proxy::ConfigDescription> describe(const Node& root,
                                                         const options::Defaults& defaults) {
  auto description = std::make_shared<proxy::ConfigDescription>();
  description->json = JsonWriter(defaults).text(root);
  for (const auto& section : root.children) add_section(*section, description->outline);
  return description;
}

}  // namespace weir::config
