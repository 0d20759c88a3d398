#include "http/conditional.h"

#include "http/date.h"

namespace weir::http {
namespace {

std::optional<int64_t> date_in(const CacheFields& fields, HeaderId field, int64_t now_s) {
  int64_t time_s = 0;
  if (!fields.has(field) || !parse_date(fields.single(field), now_s, time_s)) return std::nullopt;
  return time_s;
}

// Whether If-Match or If-None-Match names the representation.
bool names(const CacheFields& request, HeaderId field, const Validators* selected,
           TagComparison comparison) {
  if (selected == nullptr) return false;
  bool named = false;
  request.for_each(field, [&](std::string_view line) {
    named = named || is_any_tag(line) || lists_tag(line, selected->tag, comparison);
  });
  return named;
}

}  // namespace

Validators validators_of(const CacheFields& answer, int64_t now_s) {
  Validators validators;
  validators.tag = read_entity_tag(answer.single(HeaderId::kEtag));
  validators.last_modified_s = date_in(answer, HeaderId::kLastModified, now_s);
  validators.date_s = date_in(answer, HeaderId::kDate, now_s);
  return validators;
}

Precondition check_preconditions(Evaluator evaluator, Method method, const CacheFields& request,
                                 const Validators* selected, int64_t now_s) {
  constexpr MethodSet kWithoutRepresentation =
      bit(Method::kConnect) | bit(Method::kOptions) | bit(Method::kTrace);
  if ((bit(method) & kWithoutRepresentation) != 0) return Precondition::kProceed;
  if (evaluator == Evaluator::kOrigin) {
    if (request.has(HeaderId::kIfMatch)) {
      if (!names(request, HeaderId::kIfMatch, selected, TagComparison::kStrong)) {
        return Precondition::kFailed;
      }
    } else if (const auto since = date_in(request, HeaderId::kIfUnmodifiedSince, now_s)) {
      if (selected != nullptr && selected->last_modified_s > since) return Precondition::kFailed;
    }
  }
  const bool reads = method == Method::kGet || method == Method::kHead;
  if (request.has(HeaderId::kIfNoneMatch)) {
    if (!names(request, HeaderId::kIfNoneMatch, selected, TagComparison::kWeak)) {
      return Precondition::kProceed;
    }
    return reads ? Precondition::kNotModified : Precondition::kFailed;
  }
  if (!reads || selected == nullptr || !request.has(HeaderId::kIfModifiedSince)) {
    return Precondition::kProceed;
  }
  const std::optional<int64_t> since = date_in(request, HeaderId::kIfModifiedSince, now_s);
  std::optional<int64_t> changed = selected->last_modified_s;
  if (!changed && evaluator == Evaluator::kCache) changed = selected->date_s;
  return since && changed && *changed <= *since ? Precondition::kNotModified
                                                : Precondition::kProceed;
}

bool if_range_holds(const CacheFields& request, const Validators& selected, int64_t now_s) {
  if (!request.has(HeaderId::kIfRange)) return true;
  if (const EntityTag tag = read_entity_tag(request.single(HeaderId::kIfRange))) {
    return equal(tag, selected.tag, TagComparison::kStrong);
  }
  const std::optional<int64_t> date = date_in(request, HeaderId::kIfRange, now_s);
  return date && selected.last_modified_s == date && selected.date_s &&
         *selected.last_modified_s < *selected.date_s;
}

}  // namespace weir::http
