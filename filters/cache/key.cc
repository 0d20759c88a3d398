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

class Parts {
 public:
  Parts(std::string_view begin, Arena& arena) : arena_(arena), text_(begin) {}

  // "\nNAME=LENGTH:VALUE"; of a value that is not there "\nNAME".
  void add(std::string_view kind, std::string_view name, const std::string_view* value) {
    char digits[20];
    if (value == nullptr) {
      text_ = arena_.concat({text_, "\n", kind, name});
      return;
    }
    const std::string_view length(digits, format_u64(value->size(), digits));
    text_ = arena_.concat({text_, "\n", kind, name, "=", length, ":", *value});
  }
  std::string_view text() const { return text_; }

 private:
  Arena& arena_;
  std::string_view text_;
};

void add_headers(const KeyOptions& options, const http::HeaderList& headers, Parts& out) {
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

void add_cookies(const KeyOptions& options, const http::HeaderList& headers, Parts& out) {
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

void add_user(const KeyOptions& options, const proxy::Subject* subject, Parts& out) {
  if (options.user == KeyOptions::User::kNone) return;
  const std::string_view user = user_of(options, subject);
  out.add("u", "", user.empty() ? nullptr : &user);
}

void add_conditions(const proxy::Conditions& conditions, Parts& out) {
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
  // Of "[::1]:80" the last colon, of "[::1]" none. Where nothing was left out for the host there is
  // no port.
  std::string_view port;
  const size_t colon =
      authority.size() == host.size() ? std::string_view::npos : authority.rfind(':');
  if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    port = authority.substr(colon + 1);
  }
  if (port.empty() || port == (scheme == "https" ? "443" : "80")) {
    return arena.concat({scheme, "://", host});
  }
  return arena.concat({scheme, "://", host, ":", port});
}

std::string_view url_of_key(const KeyOptions& options, const UrlParts& url, Arena& arena) {
  std::string_view query = url.query;
  bool has_query = url.has_query;
  if (options.query == KeyOptions::Query::kIgnored) {
    has_query = false;
  } else if (!query.empty()) {
    query = sorted_query(options, query, arena);
    if (query.empty()) has_query = false;
  }
  return has_query ? arena.concat({url.origin, url.path, "?", query})
                   : arena.concat({url.origin, url.path});
}

std::string_view make_key(const KeyOptions& options, const Keyed& request, Arena& arena) {
  const http::RequestHead& head = request.head;
  const std::string_view url =
      url_of_key(options,
                 {.origin = origin_of(request.scheme, head.host, head.authority, arena),
                  .path = head.path,
                  .query = head.query,
                  .has_query = head.target.size() > head.path.size()},
                 arena);
  Parts parts(url, arena);
  add_headers(options, head.headers, parts);
  add_cookies(options, head.headers, parts);
  add_user(options, request.subject, parts);
  if (request.conditions != nullptr) add_conditions(*request.conditions, parts);
  if (!request.upstream.empty()) parts.add("v", "", &request.upstream);
  return parts.text().size() > Store::kKeyBytesMax / 2 ? std::string_view() : parts.text();
}

}  // namespace weir::filters::cache
