#include "filters/cache/key.h"

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "filters/cache/store.h"
#include "http/message.h"
#include "http/params.h"
#include "proxy/conditions.h"
#include "proxy/subject.h"

namespace weir::filters::cache {

namespace {

// A query with more parameters is taken as it was sent.
constexpr size_t kParametersMax = 64;

std::string_view name_of(std::string_view parameter) {
  return parameter.substr(0, parameter.find('='));
}

// By name, in bytes; those of one name stay in their order. What stands between the ampersands is
// not decoded: "a=b%26c=d" is one parameter (T28).
std::string_view sorted_query(const KeyOptions& options, std::string_view query, Arena& arena) {
  if (!options.ignores_some() && query.find('&') == std::string_view::npos) return query;
  std::array<std::string_view, kParametersMax> parameters;
  size_t count = 0;
  for (std::string_view rest = query;;) {
    const size_t end = rest.find('&');
    const std::string_view parameter = rest.substr(0, end);
    if (!options.ignores(name_of(parameter))) {
      if (count == kParametersMax) return query;
      parameters[count++] = parameter;
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (options.query == KeyOptions::Query::kSorted) {
    std::stable_sort(
        parameters.begin(), parameters.begin() + static_cast<ptrdiff_t>(count),
        [](std::string_view a, std::string_view b) { return name_of(a) < name_of(b); });
  }
  char* const text = static_cast<char*>(arena.allocate(query.size() + 1, 1));
  size_t size = 0;
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) text[size++] = '&';
    std::copy(parameters[i].begin(), parameters[i].end(), text + size);
    size += parameters[i].size();
  }
  return {text, size};
}

// A key as it is written: each has a dozen small parts, and is copied once.
class KeyText {
 public:
  explicit KeyText(Arena& arena) : arena_(arena) {}

  void put(std::string_view text) {
    fits_ = fits_ && text.size() <= sizeof(text_) - size_;
    if (fits_) size_ = static_cast<size_t>(put_text(text_ + size_, text) - text_);
  }
  // "\nNAME=LENGTH:VALUE"; of a value that is not there "\nNAME".
  void add(std::string_view kind, std::string_view name, const std::string_view* value) {
    put("\n");
    put(kind);
    put(name);
    if (value == nullptr) return;
    char digits[kNumberCharsMax];
    put("=");
    put({digits, format_u64(value->size(), digits)});
    put(":");
    put(*value);
  }
  Arena& arena() const { return arena_; }
  // Empty where it is longer than keys may be.
  std::string_view copy() const { return fits_ ? arena_.copy({text_, size_}) : std::string_view(); }

 private:
  Arena& arena_;
  size_t size_ = 0;
  bool fits_ = true;
  char text_[Store::kKeyBytesMax / 2];
};

// Empty where it is the scheme's own.
std::string_view port_of(std::string_view scheme, std::string_view host,
                         std::string_view authority) {
  // Of "[::1]:80" the last colon, of "[::1]" none. Where nothing was left out for the host there is
  // no port.
  if (authority.size() == host.size()) return {};
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) {
    return {};
  }
  const std::string_view port = authority.substr(colon + 1);
  return port == (scheme == "https" ? "443" : "80") ? std::string_view() : port;
}

void put_origin(std::string_view scheme, std::string_view host, std::string_view authority,
                KeyText& out) {
  out.put(scheme);
  out.put("://");
  out.put(host);
  const std::string_view port = port_of(scheme, host, authority);
  if (port.empty()) return;
  out.put(":");
  out.put(port);
}

void put_target(const KeyOptions& options, std::string_view path, std::string_view query,
                bool has_query, KeyText& out) {
  out.put(path);
  if (!has_query || options.query == KeyOptions::Query::kIgnored) return;
  const std::string_view kept = query.empty() ? query : sorted_query(options, query, out.arena());
  if (kept.empty() && !query.empty()) return;
  out.put("?");
  out.put(kept);
}

void add_headers(const KeyOptions& options, const http::HeaderList& headers, KeyText& out) {
  for (const std::string& name : options.headers) {
    bool found = false;
    for (const http::Header& header : headers) {
      if (!iequals(header.name, name)) continue;
      out.add("h:", name, &header.value);
      found = true;
    }
    if (!found) out.add("h:", name, nullptr);
  }
}

void add_cookies(const KeyOptions& options, const http::HeaderList& headers, KeyText& out) {
  for (const std::string& name : options.cookies) {
    bool found = false;
    http::for_each_cookie(headers, [&](std::string_view cookie, std::string_view value) {
      if (cookie != name) return;
      out.add("c:", name, &value);
      found = true;
    });
    if (!found) out.add("c:", name, nullptr);
  }
}

// Empty: nobody, or somebody without a name.
std::string_view user_of(const KeyOptions& options, const proxy::Subject* subject) {
  if (subject == nullptr) return {};
  if (options.user == KeyOptions::User::kSubject) return subject->name;
  const proxy::Claims::Entry* claim =
      subject->claims == nullptr ? nullptr : subject->claims->find(options.claim);
  return claim == nullptr ? std::string_view() : std::string_view(claim->text);
}

void add_user(const KeyOptions& options, const proxy::Subject* subject, KeyText& out) {
  if (options.user == KeyOptions::User::kNone) return;
  const std::string_view user = user_of(options, subject);
  out.add("u", "", user.empty() ? nullptr : &user);
}

void add_conditions(const proxy::Conditions& conditions, KeyText& out) {
  for (const proxy::Condition& condition : conditions.named) {
    const std::string_view value = condition.value;
    const bool header = condition.kind == proxy::Condition::Kind::kHeader;
    const bool query = condition.kind == proxy::Condition::Kind::kQuery;
    out.add(header ? "mh:" : query ? "mq:" : "mc:", condition.name, &value);
  }
}

}  // namespace

bool knows_user(const KeyOptions& options, const proxy::Subject* subject) {
  return options.user == KeyOptions::User::kNone || !user_of(options, subject).empty();
}

bool KeyOptions::ignores(std::string_view parameter) const {
  for (const std::string& name : ignored_parameters) {
    if (http::equals_decoded(parameter, name)) return true;
  }
  return std::any_of(ignored_prefixes.begin(), ignored_prefixes.end(),
                     [&](const std::string& prefix) { return parameter.starts_with(prefix); });
}

std::string_view origin_of(std::string_view scheme, std::string_view host,
                           std::string_view authority, Arena& arena) {
  KeyText text(arena);
  put_origin(scheme, host, authority, text);
  return text.copy();
}

std::string_view authority_of_key(const http::RequestHead& request, std::string_view scheme,
                                  Arena& arena) {
  const std::string_view port = port_of(scheme, request.host, request.authority);
  return port.empty() ? request.host : arena.concat({request.host, ":", port});
}

std::string_view url_of_key(const KeyOptions& options, const UrlParts& url, Arena& arena) {
  KeyText text(arena);
  text.put(url.origin);
  put_target(options, url.path, url.query, url.has_query, text);
  return text.copy();
}

std::string_view make_key(const KeyOptions& options, const Keyed& request, Arena& arena) {
  const http::RequestHead& head = request.head;
  KeyText text(arena);
  put_origin(request.scheme, head.host, head.authority, text);
  put_target(options, head.path, head.query, head.target.size() > head.path.size(), text);
  add_headers(options, head.headers, text);
  add_cookies(options, head.headers, text);
  add_user(options, request.subject, text);
  if (request.conditions != nullptr) add_conditions(*request.conditions, text);
  if (!request.upstream.empty()) text.add("v", "", &request.upstream);
  return text.copy();
}

}  // namespace weir::filters::cache
