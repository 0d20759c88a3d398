#include "http/cache_control.h"

#include <algorithm>

#include "base/strings.h"
#include "http/chars.h"
#include "http/structured.h"

namespace weir::http {
namespace {

enum class Directive : uint8_t {
  kMaxAge,
  kMaxStale,
  kMinFresh,
  kSMaxage,
  kStaleIfError,
  kStaleWhileRevalidate,  // the last that takes seconds
  kImmutable,
  kMustRevalidate,
  kMustUnderstand,
  kNoCache,
  kNoStore,
  kNoTransform,
  kOnlyIfCached,
  kPrivate,
  kProxyRevalidate,
  kPublic,
  kUnknown,
};

constexpr struct {
  std::string_view name;
  Directive directive;
} kDirectives[] = {
    {"max-age", Directive::kMaxAge},
    {"no-cache", Directive::kNoCache},
    {"no-store", Directive::kNoStore},
    {"public", Directive::kPublic},
    {"private", Directive::kPrivate},
    {"must-revalidate", Directive::kMustRevalidate},
    {"s-maxage", Directive::kSMaxage},
    {"immutable", Directive::kImmutable},
    {"stale-while-revalidate", Directive::kStaleWhileRevalidate},
    {"stale-if-error", Directive::kStaleIfError},
    {"proxy-revalidate", Directive::kProxyRevalidate},
    {"no-transform", Directive::kNoTransform},
    {"must-understand", Directive::kMustUnderstand},
    {"max-stale", Directive::kMaxStale},
    {"min-fresh", Directive::kMinFresh},
    {"only-if-cached", Directive::kOnlyIfCached},
};

Directive directive_of(std::string_view name) {
  for (const auto& row : kDirectives) {
    if (iequals(name, row.name)) return row.directive;
  }
  return Directive::kUnknown;
}

// What follows a directive's name.
struct Argument {
  bool given = false;
  bool broken = false;  // not by the grammar
  std::string_view text;
};

bool are_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool read_seconds(const Argument& argument, uint32_t& out) {
  const std::string_view digits = argument.text;
  if (argument.broken || digits.empty() || !are_digits(digits)) {
    return false;
  }
  uint64_t seconds = 0;
  const bool fits = parse_u64(digits, seconds) && seconds < CacheControl::kMostS;
  out = fits ? static_cast<uint32_t>(seconds) : CacheControl::kMostS;
  return true;
}

// The smaller is the stricter; what was not said is the largest number.
void lower(uint32_t& said, const Argument& argument) {
  uint32_t seconds = 0;
  if (!read_seconds(argument, seconds)) seconds = 0;
  said = std::min(said, seconds);
}

// A directive that may name fields, and without names is about all of the answer. A second list
// and one with escapes in it are not read: then it is about all.
void qualify(bool& all, std::string_view& names, const Argument& argument) {
  const bool listed = argument.given && !argument.broken && !trim_ows(argument.text).empty() &&
                      argument.text.find('\\') == std::string_view::npos;
  if (listed && names.empty()) {
    names = argument.text;
  } else {
    all = true;
  }
}

void apply(Directive directive, const Argument& argument, CacheControl& out) {
  uint32_t seconds = 0;
  switch (directive) {
    case Directive::kUnknown: break;
    case Directive::kImmutable: out.immutable = out.immutable || !argument.broken; break;
    case Directive::kMaxAge: lower(out.max_age_s, argument); break;
    case Directive::kMaxStale:
      if (!argument.given && !argument.broken) {
        out.max_stale_s = std::min(out.max_stale_s, CacheControl::kMostS);
      } else {
        lower(out.max_stale_s, argument);
      }
      break;
    case Directive::kMinFresh:
      if (!read_seconds(argument, seconds)) break;
      if (out.min_fresh_s == CacheControl::kUnsaid) out.min_fresh_s = 0;
      out.min_fresh_s = std::max(out.min_fresh_s, seconds);
      break;
    case Directive::kMustRevalidate: out.must_revalidate = true; break;
    case Directive::kMustUnderstand:
      out.must_understand = out.must_understand || !argument.broken;
      break;
    case Directive::kNoCache: qualify(out.no_cache, out.no_cache_fields, argument); break;
    case Directive::kNoStore: out.no_store = true; break;
    case Directive::kNoTransform: out.no_transform = true; break;
    case Directive::kOnlyIfCached: out.only_if_cached = true; break;
    case Directive::kPrivate: qualify(out.is_private, out.private_fields, argument); break;
    case Directive::kProxyRevalidate: out.proxy_revalidate = true; break;
    case Directive::kPublic: out.is_public = out.is_public || !argument.broken; break;
    case Directive::kSMaxage: lower(out.s_maxage_s, argument); break;
    case Directive::kStaleIfError: lower(out.stale_if_error_s, argument); break;
    case Directive::kStaleWhileRevalidate: lower(out.stale_while_revalidate_s, argument); break;
  }
}

// The end of the quoted string that begins at line[at]: behind its last quote; npos without one.
size_t quoted_end(std::string_view line, size_t at) {
  for (++at; at < line.size(); ++at) {
    if (line[at] == '"') return at + 1;
    if (line[at] == '\\') ++at;
  }
  return std::string_view::npos;
}

// The comma that ends a member of which line[at] is in. A quote that nothing closes is no quote, so
// that it cannot hide a no-store behind it.
size_t member_end(std::string_view line, size_t at) {
  while (at < line.size() && line[at] != ',') {
    const size_t end = line[at] == '"' ? quoted_end(line, at) : std::string_view::npos;
    at = end == std::string_view::npos ? at + 1 : end;
  }
  return at;
}

// "=token" or "=quoted" at line[at]; moves `at` behind it.
Argument take_argument(std::string_view line, size_t& at) {
  Argument argument;
  if (at == line.size() || line[at] != '=') return argument;
  argument.given = true;
  ++at;
  const size_t begin = at;
  if (at < line.size() && line[at] == '"') {
    const size_t end = quoted_end(line, at);
    argument.broken = end == std::string_view::npos;
    if (argument.broken) return argument;
    argument.text = line.substr(begin + 1, end - begin - 2);
    at = end;
    return argument;
  }
  while (at < line.size() && is_byte(line[at], kTokenByte)) ++at;
  argument.text = line.substr(begin, at - begin);
  argument.broken = argument.text.empty();
  return argument;
}

// The same from a member of a dictionary. A value of the wrong type is a broken one.
Argument argument_of(const DictionaryMember& member, Directive directive) {
  if (member.type == ItemType::kBoolean) return {};
  const bool seconds = directive <= Directive::kStaleWhileRevalidate;
  const ItemType wanted = seconds ? ItemType::kInteger : ItemType::kString;
  return {true, member.type != wanted, member.text};
}

// False when there is nothing, or what is no dictionary.
bool read_targeted(const CacheFields& answer, CacheControl& out) {
  bool failed = false;
  answer.for_each(HeaderId::kCdnCacheControl, [&](std::string_view line) {
    DictionaryReader reader(line);
    DictionaryMember member;
    while (reader.next(member)) {
      out.targeted = true;
      if (member.type == ItemType::kBoolean && !member.boolean) continue;
      const Directive directive = directive_of(member.key);
      apply(directive, argument_of(member, directive), out);
    }
    failed = failed || reader.failed();
  });
  return out.targeted && !failed;
}

}  // namespace

// An answer's is read on each hit. Loops: find_first_not_of() calls a function for each byte.
void CacheControl::add(std::string_view line) {
  for (size_t at = 0;;) {
    while (at < line.size() && (line[at] == ',' || is_ows(line[at]))) ++at;
    if (at == line.size()) return;
    const size_t begin = at;
    while (at < line.size() && is_byte(line[at], kTokenByte)) ++at;
    const Directive directive = directive_of(line.substr(begin, at - begin));
    Argument argument = take_argument(line, at);
    size_t next = at;
    while (next < line.size() && is_ows(line[next])) ++next;
    argument.broken = argument.broken || (next < line.size() && line[next] != ',');
    apply(directive, argument, *this);
    at = member_end(line, at);
  }
}

CacheControl request_directives(const CacheFields& request) {
  CacheControl control;
  if (request.has(HeaderId::kCacheControl)) {
    request.for_each(HeaderId::kCacheControl,
                     [&control](std::string_view line) { control.add(line); });
  } else {
    request.for_each(HeaderId::kPragma, [&control](std::string_view line) {
      for_each_list_item(line, [&control](std::string_view item) {
        control.no_cache = control.no_cache || iequals(item, "no-cache");
      });
    });
  }
  return control;
}

CacheControl answer_directives(const CacheFields& answer) {
  if (answer.has(HeaderId::kCdnCacheControl)) {
    CacheControl control;
    if (read_targeted(answer, control)) return control;
  }
  CacheControl control;
  answer.for_each(HeaderId::kCacheControl,
                  [&control](std::string_view line) { control.add(line); });
  return control;
}

bool lists_field(std::string_view names, std::string_view name) {
  bool listed = false;
  for_each_list_item(names, [&](std::string_view item) { listed = listed || iequals(item, name); });
  return listed;
}

}  // namespace weir::http
