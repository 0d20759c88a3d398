#include "filters/cors.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "filters/origins.h"
#include "filters/shared_settings.h"
#include "http/rules.h"
#include "proxy/exchange.h"

namespace weir::filters {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

constexpr std::string_view kWanted = "Access-Control-Request-Method";
constexpr uint64_t kDayMs = 86'400'000;

// Immutable; part of the snapshot. The texts are whole values of fields; empty: no field.
struct Policy {
  Origins origins;
  std::string methods = "GET, HEAD, POST";
  std::string headers = "Content-Type";
  std::string exposed;
  std::string max_age = "600";
  bool any_method = false;  // then what a preflight asks for is said back: with credentials
  bool any_header = false;  // browsers take "*" for the name of a header
  bool credentials = false;
  bool private_network = false;

  // The answer is the same for every origin.
  bool is_for_all() const { return origins.takes_any(); }
};

bool is_cors_field(std::string_view name) {
  constexpr std::string_view kPrefix = "access-control-";
  return name.size() > kPrefix.size() && iequals(name.substr(0, kPrefix.size()), kPrefix);
}

bool is_token_list(std::string_view text) {
  bool good = true;
  for_each_list_item(text, [&good](std::string_view item) { good = good && http::is_token(item); });
  return good;
}

class CorsFilter : public proxy::Filter {
 public:
  explicit CorsFilter(const Policy& policy) : policy_(policy) {}

  proxy::Verdict on_request(proxy::FilterContext&, http::RequestHead& head) override {
    const http::Header* origin = head.headers.find(http::HeaderId::kOrigin);
    if (origin == nullptr) return proxy::Next{};
    // Of two, servers and browsers may believe different ones.
    const bool single = std::none_of(origin + 1, head.headers.end(), [](const http::Header& other) {
      return other.id == http::HeaderId::kOrigin;
    });
    if (single && policy_.origins.contains(origin->value)) origin_ = origin->value;
    if (head.method != http::Method::kOptions) return proxy::Next{};
    const http::Header* wanted = head.headers.find(kWanted);
    if (wanted == nullptr) return proxy::Next{};
    preflight_ = true;
    if (origin_.empty()) {
      return proxy::LocalReply{403, {{"Cache-Control", "no-store"}}, {}, "origin not allowed"};
    }
    wanted_method_ = wanted->value;
    if (const http::Header* names = head.headers.find("Access-Control-Request-Headers")) {
      wanted_headers_ = names->value;
    }
    asks_for_network_ = head.headers.find("Access-Control-Request-Private-Network") != nullptr;
    return proxy::LocalReply{204, {}, {}, ""};
  }

  proxy::Verdict on_response(proxy::FilterContext&, http::ResponseHead& head) override {
    http::HeaderList& headers = head.headers;
    bool varies = policy_.is_for_all();
    headers.remove_if([&varies](const http::Header& header) {
      if (header.id == http::HeaderId::kVary && !varies) {
        for_each_list_item(header.value, [&varies](std::string_view item) {
          varies = varies || item == "*" || iequals(item, "origin");
        });
      }
      return header.id == http::HeaderId::kOther && is_cors_field(header.name);
    });
    if (!varies) headers.add("Vary", "Origin", http::HeaderId::kVary);
    if (origin_.empty()) {
      // Asked without an origin, a public answer may be kept for those who have one.
      if (policy_.is_for_all()) put(headers, "Access-Control-Allow-Origin", "*");
      return proxy::Next{};
    }
    put(headers, "Access-Control-Allow-Origin", policy_.is_for_all() ? "*" : origin_);
    if (policy_.credentials) put(headers, "Access-Control-Allow-Credentials", "true");
    if (preflight_) {
      tell_preflight(headers);
    } else {
      put(headers, "Access-Control-Expose-Headers", policy_.exposed);
    }
    return proxy::Next{};
  }

 private:
  static void put(http::HeaderList& headers, std::string_view name, std::string_view value) {
    if (!value.empty()) headers.add(name, value);
  }

  void tell_preflight(http::HeaderList& headers) const {
    std::string_view methods = policy_.methods;
    std::string_view names = policy_.headers;
    if (policy_.any_method) methods = http::is_token(wanted_method_) ? wanted_method_ : "";
    if (policy_.any_header) names = is_token_list(wanted_headers_) ? wanted_headers_ : "";
    put(headers, "Access-Control-Allow-Methods", methods);
    put(headers, "Access-Control-Allow-Headers", names);
    put(headers, "Access-Control-Max-Age", policy_.max_age);
    if (policy_.any_method) put(headers, "Vary", kWanted);
    if (policy_.any_header) put(headers, "Vary", "Access-Control-Request-Headers");
    if (asks_for_network_ && policy_.private_network) {
      put(headers, "Access-Control-Allow-Private-Network", "true");
    }
  }

  const Policy& policy_;     // the snapshot's, which the exchange pins
  std::string_view origin_;  // of the request, when it is allowed
  std::string_view wanted_method_;
  std::string_view wanted_headers_;
  bool preflight_ = false;
  bool asks_for_network_ = false;
};

class Factory : public SharedFactory<CorsFilter, Policy> {
 public:
  using SharedFactory::SharedFactory;
  std::string_view name() const override { return "cors"; }
  bool answers_preflights() const override { return true; }
};

// As browsers write what scripts ask for (Fetch, "normalize a method"). Of other names "patch" and
// "PATCH" are two methods.
void check_case(const Node& list, Problems& problems) {
  static constexpr std::string_view kNormal[] = {"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"};
  for (const auto& item : list.children) {
    for (const std::string_view method : kNormal) {
      if (item->text == method || !iequals(item->text, method)) continue;
      problems.error(*item, item->shown() + " is what no browser asks for",
                     "they write " + std::string(method));
    }
  }
}

// A list of tokens, or ["*"]. `what`: of which one is, for a message.
void read_names(MapReader& map, std::string_view key, const char* what, bool* any,
                std::string& out) {
  std::vector<const Node*> items;
  if (!map.list(key, items)) return;
  out.clear();
  for (const Node* item : items) {
    std::string name;
    if (!read_string(*item, map.problems(), name)) continue;
    if (name == "*" && any != nullptr && items.size() == 1) {
      *any = true;
    } else if (name == "*" || !http::is_token(name)) {
      map.problems().invalid(*item, what, name == "*" && any != nullptr ? "a * stands alone" : "");
    } else {
      out += (out.empty() ? "" : ", ") + name;
    }
  }
}

}  // namespace

SettingsPtr cors_standard() { return nullptr; }

SettingsPtr cors_read(const Node& value, const SettingsPtr&, const Reading& reading) {
  Problems& problems = reading.problems;
  Policy policy;
  MapReader map(value, problems);
  if (const Node* origins =
          map.require("origins", "as in origins: [\"https://app.example.com\"]")) {
    read_origins(*origins, "[\"*\"] allows all, cors: off says nothing to browsers", problems,
                 policy.origins);
  }
  read_names(map, "methods", "a method", &policy.any_method, policy.methods);
  if (const Node* methods = map.find("methods")) check_case(*methods, problems);
  read_names(map, "headers", "a header name", &policy.any_header, policy.headers);
  read_names(map, "expose_headers", "a header name", nullptr, policy.exposed);
  map.boolean("credentials", policy.credentials);
  if (policy.credentials && policy.origins.takes_any()) {
    problems.error(*map.find("credentials"),
                   "cannot be true with origins: [\"*\"]: every site could read what its visitors "
                   "may read here",
                   "name the origins");
  } else if (policy.credentials && policy.origins.contains("null")) {
    problems.error(*map.find("credentials"),
                   "cannot be true with the origin \"null\": a sandboxed frame of any site has it",
                   "leave null out, or credentials");
  }
  uint64_t max_age_ms = 0;
  if (map.duration_ms("max_age", {0, 7 * kDayMs}, max_age_ms)) {
    policy.max_age = std::to_string(max_age_ms / 1000);
  }
  map.boolean("private_network", policy.private_network);
  map.finish();
  return shared_settings<Factory>(std::move(policy));
}

}  // namespace weir::filters
