#include "http/freshness.h"
#include "http/rules.h"
#include "http/vary.h"

namespace weir::http {
namespace {

// Final statuses whose meaning weir knows (RFC 9110 15, 6585, 7725, 8470), but those of which a
// cache has to do more than to repeat them.
bool is_understood(int status) {
  if (status == 206 || status == 304 || status == 306) return false;
  return (status >= 200 && status <= 205) || (status >= 300 && status <= 308) ||
         (status >= 400 && status <= 417) || (status >= 421 && status <= 426) || status == 428 ||
         status == 429 || status == 431 || status == 451 || (status >= 500 && status <= 505) ||
         status == 511;
}

// Answers to what no key holds: a precondition, a range, an expectation, early data, the size of
// the head. Kept, they would be given to requests that had nothing of the kind.
bool is_about_the_request(int status) {
  return status == 412 || status == 416 || status == 417 || status == 425 || status == 428 ||
         status == 431;
}

bool has_explicit_lifetime(const Answered& answer) {
  constexpr uint32_t kUnsaid = CacheControl::kUnsaid;
  return answer.says.max_age_s != kUnsaid || answer.says.s_maxage_s != kUnsaid ||
         (!answer.says.targeted && answer.fields.has(HeaderId::kExpires));
}

bool allows_authorized(const CacheControl& says) {
  return says.is_public || says.must_revalidate || says.s_maxage_s != CacheControl::kUnsaid;
}

bool may_keep_cookies(const CachePolicy& policy, const CacheControl& says) {
  // Where the directives take the cookies out, the rest may be kept (3.1).
  if (lists_field(says.no_cache_fields, "set-cookie")) return true;
  if (lists_field(says.private_fields, "set-cookie")) return true;
  return policy.store_set_cookie && (says.is_public || says.s_maxage_s != CacheControl::kUnsaid);
}

}  // namespace

Asked what_is_asked(const CachePolicy& policy, const RequestHead& head, const CacheFields& fields) {
  Asked asked;
  asked.method = head.method;
  asked.has_query = !head.query.empty();
  asked.authorized = fields.has(HeaderId::kAuthorization);
  if (policy.obey_requests) asked.says = request_directives(fields);
  return asked;
}

std::string_view word_of(Storable storable) {
  switch (storable) {
    case Storable::kYes: return "stored";
    case Storable::kMethod: return "method";
    case Storable::kRequest: return "request-no-store";
    case Storable::kStatus: return "status";
    case Storable::kPartial: return "partial";
    case Storable::kNotUnderstood: return "must-understand";
    case Storable::kNoStore: return "no-store";
    case Storable::kPrivate: return "private";
    case Storable::kAuthorization: return "authorization";
    case Storable::kSetCookie: return "set-cookie";
    case Storable::kVary: return "vary";
    case Storable::kSilent: return "nothing-said";
  }
  return "";
}

bool is_heuristically_cacheable(int status) {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501: return true;
    default: return false;
  }
}

Storable may_store(const CachePolicy& policy, const Asked& asked, const Answered& answer) {
  const CacheControl& says = answer.says;
  if (asked.method != Method::kGet) return Storable::kMethod;
  if (asked.says.no_store) return Storable::kRequest;
  if (answer.status == 206) return Storable::kPartial;
  if (answer.status < 200 || answer.status == 304 || is_about_the_request(answer.status)) {
    return Storable::kStatus;
  }
  if (says.must_understand) {
    // Who understands the status goes by the rest, and no-store is for all others (5.2.2.3).
    if (!is_understood(answer.status)) return Storable::kNotUnderstood;
  } else if (says.no_store) {
    return Storable::kNoStore;
  }
  if (says.is_private) return Storable::kPrivate;
  if (asked.authorized && policy.authorized != Authorized::kKeyed &&
      (policy.authorized == Authorized::kNever || !allows_authorized(says))) {
    return Storable::kAuthorization;
  }
  if (answer.fields.has(HeaderId::kSetCookie) && !may_keep_cookies(policy, says)) {
    return Storable::kSetCookie;
  }
  if (VaryNames(answer.fields).matches_nothing()) return Storable::kVary;
  const bool said =
      says.is_public || has_explicit_lifetime(answer) || is_heuristically_cacheable(answer.status);
  return said ? Storable::kYes : Storable::kSilent;
}

bool is_kept(const CachePolicy& policy, const Header& field, const HeaderList& head,
             const CacheControl& says) {
  if (is_hop_by_hop(field) || iequals(field.name, "proxy-authentication-info")) return false;
  if (field.id == HeaderId::kAge) return false;
  if (field.id == HeaderId::kSetCookie && !policy.store_set_cookie) return false;
  return !lists_field(says.no_cache_fields, field.name) &&
         !lists_field(says.private_fields, field.name) && !connection_names(head, field.name);
}

}  // namespace weir::http
