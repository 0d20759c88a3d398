#include "filters/cache/factory.h"

#include <fmt/format.h>

#include "filters/cache/filter.h"
#include "filters/cache/key.h"
#include "filters/cache/store.h"
#include "filters/cache/tier_lookup.h"
#include "http/params.h"
#include "proxy/snapshot.h"

namespace weir::filters::cache {

namespace {

using proxy::Explained;
using Lines = std::vector<std::string>;

std::string query_text(const KeyOptions& key) {
  std::string text = "query ignored";
  if (key.query == KeyOptions::Query::kIgnored) return text;
  text = key.query == KeyOptions::Query::kSorted ? "query sorted by name" : "query as it is sent";
  std::string_view lead = ", without ";
  const auto add = [&](const std::string& name, std::string_view end) {
    text += fmt::format("{}{}{}", lead, name, end);
    lead = ", ";
  };
  for (const std::string& name : key.ignored_parameters) add(name, "");
  for (const std::string& prefix : key.ignored_prefixes) add(prefix, "*");
  return text;
}

// What of the request counts besides its URL.
void tell_parts(const KeyOptions& key, const Explained& asked, Lines& out) {
  for (const std::string& name : key.headers) {
    const http::Header* const field = asked.head.headers.find(name);
    out.push_back(fmt::format("header {}: {}", name, field == nullptr ? "none" : field->value));
  }
  for (const std::string& name : key.cookies) {
    std::string_view value = "none";
    http::for_each_cookie(asked.head.headers, [&](std::string_view cookie, std::string_view is) {
      if (cookie == name) value = is;
    });
    out.push_back(fmt::format("cookie {}: {}", name, value));
  }
  if (key.user == KeyOptions::User::kSubject) out.push_back("user: whom auth proves");
  if (key.user == KeyOptions::User::kClaim) {
    out.push_back(fmt::format("user: the claim {} of whom auth proves", key.claim));
  }
  if (asked.route->split != nullptr) out.push_back("side: the upstream that the split chooses");
}

std::string why_not_looked_up(const Options& options, const http::RequestHead& head,
                              const http::CacheFields& fields) {
  if ((options.methods & http::bit(head.method)) == 0) {
    const bool writes = options.invalidates_on_write && http::invalidates(head.method, 200);
    return fmt::format("answers to {} are not kept{}", head.method_text,
                       writes ? "; a good one makes void what is kept of this URL" : "");
  }
  if (!head.upgrade.empty()) return "it asks for an upgrade";
  if (head.framing != http::Framing::kNone) return "it has a body";
  if (http::is_for_origin(fields)) return "If-Match and If-Unmodified-Since are for the server";
  return {};
}

// What of the request limits what the cache may do for it.
void tell_limits(const Options& options, const http::RequestHead& head,
                 const http::CacheFields& fields, Lines& out) {
  using http::HeaderId;
  const http::Asked asked = http::what_is_asked(options.policy, head, fields);
  const http::CacheControl& says = asked.says;
  if (asked.authorized) {
    switch (options.policy.authorized) {
      case http::Authorized::kNever: out.push_back("Authorization: nothing is kept for it"); break;
      case http::Authorized::kWhereAllowed:
        out.push_back("Authorization: only what is public, must-revalidate or has s-maxage");
        break;
      case http::Authorized::kKeyed:
        out.push_back("Authorization: kept, because the key has the user");
        break;
    }
  }
  if (says.no_store) out.push_back("its no-store: the server's answer is not kept");
  if (says.no_cache) out.push_back("its no-cache: what is kept is validated first");
  if (says.max_age_s != http::CacheControl::kUnsaid) {
    out.push_back(fmt::format("its max-age: nothing older than {} s unvalidated", says.max_age_s));
  }
  if (says.only_if_cached) out.push_back("its only-if-cached: 504 where nothing is kept");
  if (head.method != http::Method::kGet) out.push_back("a hit answers it; a miss is not kept");
  if (fields.has(HeaderId::kRange)) {
    out.push_back("Range: cut out of what is kept; a miss is passed on and not kept");
  }
  if (fields.has(HeaderId::kIfNoneMatch) || fields.has(HeaderId::kIfModifiedSince)) {
    out.push_back("its condition is answered by what is kept");
  }
}

void tell_tier(const Options& options, const Explained& asked, const http::CacheFields& fields,
               Lines& out) {
  if (asked.tier_object_bytes == 0) return;
  if (!shares_tier(options, http::what_is_asked(options.policy, asked.head, fields))) {
    out.push_back("Redis: not used, for what is somebody's");
  } else {
    out.push_back(fmt::format("Redis: asked before the server is; gets bodies of up to {} bytes",
                              asked.tier_object_bytes));
  }
}

}  // namespace

proxy::Filter* Factory::create(Arena& arena) const {
  return arena.make<CacheFilter>(*options_, *store());
}

Lines Factory::explain(const Explained& asked) const {
  if (asked.route == nullptr || asked.route->action != proxy::Action::kUpstream) {
    return {"not used: no server is asked"};
  }
  const http::CacheFields fields(asked.head.headers);
  if (const std::string why = why_not_looked_up(*options_, asked.head, fields); !why.empty()) {
    return {"not used: " + why};
  }
  BlockPool pool;
  Arena arena(pool);
  const std::string_view key =
      make_key(options_->key, {asked.head, asked.scheme, nullptr, {}}, arena);
  if (key.empty()) return {"not used: the key is too long"};
  Lines lines = {"key " + std::string(key.substr(0, key.find('\n')))};
  lines.push_back(query_text(options_->key));
  tell_parts(options_->key, asked, lines);
  tell_limits(*options_, asked.head, fields, lines);
  tell_tier(*options_, asked, fields, lines);
  return lines;
}

}  // namespace weir::filters::cache
