// Any text as a date, and any If-* fields against any answer: dates agree with the C library, and a
// precondition has only the outcomes that its method may have.
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string_view>

#include "base/check.h"
#include "head_fuzz.h"
#include "http/conditional.h"
#include "http/date.h"

namespace {

using namespace weir;
using namespace weir::http;

constexpr int64_t kNow = 1'764'219'600;

void check_date(std::string_view text) {
  int64_t time_s = 0;
  if (!parse_date(text, kNow, time_s)) return;
  std::tm utc{};
  const std::time_t time = time_s;
  WEIR_CHECK(gmtime_r(&time, &utc) != nullptr && timegm(&utc) == time);
  const int year = utc.tm_year + 1900;
  WEIR_CHECK(year >= -1 && year <= 10'000);
  if (year < 0 || year > 9999) return;
  char out[kDateChars];
  format_date(time, out);
  int64_t again_s = 0;
  WEIR_CHECK(parse_date({out, sizeof out}, kNow, again_s) && again_s == time_s);
}

void check_tags(std::string_view list) {
  size_t left = list.size() + 1;
  EntityTag tag;
  while (take_entity_tag(list, tag)) {
    WEIR_CHECK(list.size() < left);
    left = list.size();
    if (!tag) continue;
    WEIR_CHECK(tag.opaque.size() >= 2 && tag.opaque.front() == '"' && tag.opaque.back() == '"');
    WEIR_CHECK(equal(tag, tag, TagComparison::kWeak));
    WEIR_CHECK(equal(tag, tag, TagComparison::kStrong) == !tag.weak);
  }
}

void check_conditionals(std::string_view text) {
  const fuzz::FuzzHead request(text);
  const fuzz::FuzzHead answer(text);
  const CacheFields asked = request.index();
  const CacheFields fields = answer.index();
  const Validators validators = validators_of(fields, kNow);
  const bool unconditional = !is_for_origin(asked) && !asked.has(HeaderId::kIfNoneMatch) &&
                             !asked.has(HeaderId::kIfModifiedSince);
  for (const Method method : {Method::kGet, Method::kHead, Method::kPut}) {
    for (const Evaluator evaluator : {Evaluator::kOrigin, Evaluator::kCache}) {
      for (const Validators* selected : {&validators, static_cast<const Validators*>(nullptr)}) {
        const Precondition outcome = check_preconditions(evaluator, method, asked, selected, kNow);
        const bool reads = method != Method::kPut;
        WEIR_CHECK(outcome != Precondition::kNotModified || (reads && selected != nullptr));
        WEIR_CHECK(outcome != Precondition::kFailed || !reads || is_for_origin(asked));
        if (evaluator == Evaluator::kCache && reads) WEIR_CHECK(outcome != Precondition::kFailed);
        if (unconditional) WEIR_CHECK(outcome == Precondition::kProceed);
      }
    }
  }
  if (!asked.has(HeaderId::kIfRange)) WEIR_CHECK(if_range_holds(asked, validators, kNow));
  if (asked.has(HeaderId::kIfRange) && if_range_holds(asked, validators, kNow)) {
    WEIR_CHECK(validators.last_modified_s || (validators.tag && !validators.tag.weak));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_date(text);
  check_tags(text);
  check_conditionals(text);
  return 0;
}
