#include "http/freshness.h"

#include <algorithm>

#include "base/strings.h"
#include "http/date.h"

namespace weir::http {
namespace {

constexpr uint32_t kUnsaid = CacheControl::kUnsaid;
constexpr int64_t kSecondMs = 1000;
constexpr int64_t kHeuristicMostMs = 24 * 3600 * kSecondMs;  // a day, however old the content is
constexpr int64_t kHeuristicShare = 10;                      // of the content's age

int64_t ms_of(uint32_t seconds) { return int64_t{seconds} * kSecondMs; }

// Age (5.1): the first member of the first line; nothing where that is no number.
int64_t age_value_ms(const CacheFields& arrived) {
  const std::string_view line = arrived.first(HeaderId::kAge);
  const std::string_view first = trim_ows(line.substr(0, line.find(',')));
  if (first.empty() || first.find_first_not_of("0123456789") != std::string_view::npos) return 0;
  uint64_t seconds = 0;
  if (!parse_u64(first, seconds)) seconds = CacheControl::kMostS;
  return ms_of(static_cast<uint32_t>(std::min<uint64_t>(seconds, CacheControl::kMostS)));
}

// 4.2.3. Date counts whole seconds: one that has just turned is no age yet.
int64_t initial_age_ms(const CacheFields& arrived, std::optional<int64_t> date_s, int64_t sent_ms,
                       int64_t received_ms) {
  const int64_t apparent_s = date_s ? received_ms / kSecondMs - *date_s : 0;
  const int64_t delay_ms = std::max<int64_t>(0, received_ms - sent_ms);
  const int64_t corrected_ms = age_value_ms(arrived) + delay_ms;
  return apparent_s > 1 ? std::max(apparent_s * kSecondMs, corrected_ms) : corrected_ms;
}

// Expires - Date (4.2.1). Of several the earliest counts; what is no date is long past (5.3).
int64_t expires_ms(const CacheFields& answer, int64_t date_s, int64_t now_s) {
  int64_t earliest_s = INT64_MAX;
  answer.for_each(HeaderId::kExpires, [&](std::string_view line) {
    int64_t at_s = 0;
    if (!parse_date(line, now_s, at_s)) at_s = date_s;
    earliest_s = std::min(earliest_s, at_s);
  });
  return std::max<int64_t>(0, earliest_s - date_s) * kSecondMs;
}

int64_t heuristic_ms(const CacheFields& answer, int64_t date_s, int64_t now_s) {
  int64_t changed_s = 0;
  if (!parse_date(answer.single(HeaderId::kLastModified), now_s, changed_s)) return 0;
  const int64_t age_s = std::max<int64_t>(0, date_s - changed_s);
  return std::min(age_s * kSecondMs / kHeuristicShare, kHeuristicMostMs);
}

// 4.2.1 and, where the answer itself says nothing, the route or 4.2.2.
void find_lifetime(const CachePolicy& policy, const Asked& asked, const Answered& answer,
                   int64_t date_s, Lifetime& out) {
  const CacheControl& says = answer.says;
  const int64_t now_s = out.received_ms / kSecondMs;
  if (says.s_maxage_s != kUnsaid) {
    out.by = LifetimeBy::kSMaxage;
    out.fresh_ms = ms_of(says.s_maxage_s);
  } else if (says.max_age_s != kUnsaid) {
    out.by = LifetimeBy::kMaxAge;
    out.fresh_ms = ms_of(says.max_age_s);
  } else if (!says.targeted && answer.fields.has(HeaderId::kExpires)) {
    out.by = LifetimeBy::kExpires;
    out.fresh_ms = expires_ms(answer.fields, date_s, now_s);
  } else if (is_heuristically_cacheable(answer.status) || says.is_public) {
    const uint64_t ttl_ms = answer.status < 400 ? policy.ttl_ms : policy.error_ttl_ms;
    if (ttl_ms > 0) {
      out.by = LifetimeBy::kTtl;
      out.fresh_ms = static_cast<int64_t>(ttl_ms);
    } else if (!asked.has_query || policy.heuristics_with_query) {
      out.fresh_ms = heuristic_ms(answer.fields, date_s, now_s);
      if (out.fresh_ms > 0) out.by = LifetimeBy::kHeuristic;
    }
  }
}

// 4.2.4 and RFC 5861. s-maxage alone forbids what the answer does not name itself: who sends it
// with a stale-while-revalidate of its own means that one.
void find_stale_times(const CachePolicy& policy, const CacheControl& says, Lifetime& out) {
  const bool revalidate = says.must_revalidate || says.proxy_revalidate;
  out.never_stale = revalidate || says.s_maxage_s != kUnsaid;
  if (revalidate || out.always_validate) return;
  const auto time = [&out](uint32_t said_s, uint64_t by_policy_ms) {
    if (said_s != kUnsaid) return ms_of(said_s);
    return out.never_stale ? 0 : static_cast<int64_t>(by_policy_ms);
  };
  out.stale_while_revalidate_ms =
      time(says.stale_while_revalidate_s, policy.stale_while_revalidate_ms);
  out.stale_if_error_ms = time(says.stale_if_error_s, policy.stale_if_error_ms);
}

// 3.5, for a request that has Authorization.
bool is_for_somebody_else(const CachePolicy& policy, const Asked& asked, const Lifetime& lifetime) {
  if (!asked.authorized || policy.authorized == Authorized::kKeyed) return false;
  return policy.authorized == Authorized::kNever || !lifetime.for_authorized;
}

// What a request takes that is `by_ms` too old: max-stale.
bool is_taken_stale(const CacheControl& says, int64_t by_ms) {
  return says.max_stale_s != kUnsaid &&
         (says.max_stale_s == CacheControl::kMostS || by_ms <= ms_of(says.max_stale_s));
}

}  // namespace

Lifetime lifetime_of(const CachePolicy& policy, const Asked& asked, const Answered& answer,
                     const CacheFields& arrived, int64_t sent_ms, int64_t received_ms) {
  const CacheControl& says = answer.says;
  Lifetime lifetime;
  lifetime.received_ms = received_ms;
  lifetime.always_validate = says.no_cache;
  lifetime.immutable = says.immutable;
  lifetime.for_authorized = says.is_public || says.must_revalidate || says.s_maxage_s != kUnsaid;
  const int64_t received_s = received_ms / kSecondMs;
  int64_t date_s = 0;
  const bool dated = parse_date(arrived.single(HeaderId::kDate), received_s, date_s);
  lifetime.initial_age_ms =
      initial_age_ms(arrived, dated ? std::optional(date_s) : std::nullopt, sent_ms, received_ms);
  find_lifetime(policy, asked, answer, dated ? date_s : received_s, lifetime);
  find_stale_times(policy, says, lifetime);
  return lifetime;
}

bool is_worth_keeping(const Lifetime& lifetime, const Validators& validators) {
  if (validators.tag || validators.last_modified_s) return true;
  const int64_t longest_ms =
      lifetime.fresh_ms + std::max(lifetime.stale_while_revalidate_ms, lifetime.stale_if_error_ms);
  return !lifetime.always_validate && longest_ms > lifetime.initial_age_ms;
}

Usable may_use(const CachePolicy& policy, const Asked& asked, const Lifetime& lifetime,
               int64_t now_ms) {
  const CacheControl& says = asked.says;
  if (is_for_somebody_else(policy, asked, lifetime)) return Usable::kNot;
  if (lifetime.always_validate || says.no_cache) return Usable::kMustValidate;
  const int64_t age_ms = lifetime.age_ms(now_ms);
  const int64_t stale_ms = age_ms - lifetime.fresh_ms;  // fresh where it is below 0
  const bool too_old = says.max_age_s != kUnsaid && age_ms > ms_of(says.max_age_s) &&
                       !is_taken_stale(says, age_ms - ms_of(says.max_age_s));
  if (stale_ms < 0) {
    const bool long_enough = says.min_fresh_s == kUnsaid || -stale_ms >= ms_of(says.min_fresh_s);
    if (long_enough && !too_old) return Usable::kFresh;
  } else if (!too_old && says.min_fresh_s == kUnsaid) {
    if (stale_ms < lifetime.stale_while_revalidate_ms) return Usable::kWhileRevalidating;
    if (!lifetime.never_stale && is_taken_stale(says, stale_ms)) {
      return Usable::kWhileRevalidating;
    }
  }
  const bool by_request = !lifetime.never_stale && says.stale_if_error_s != kUnsaid &&
                          stale_ms < ms_of(says.stale_if_error_s);
  return by_request || stale_ms < lifetime.stale_if_error_ms ? Usable::kOnErrorOnly
                                                             : Usable::kMustValidate;
}

}  // namespace weir::http
