#include "filters/rate_limit/share.h"

#include <algorithm>

namespace weir::filters::rate_limit {

namespace {

constexpr uint64_t kSpanMaxNs = Rule::kSpanMaxMs * 1'000'000;

}  // namespace

Rule share_of(const Rule& rule, uint32_t instances) {
  Rule share = rule;
  if (rule.algorithm == Algorithm::kFixedWindow) {
    share.quota = std::max<uint64_t>(rule.quota / instances, 1);
    return share;
  }
  // What does not fit the word is cut: at worst an instance has one more in ten years.
  share.interval_ns = std::min(rule.interval_ns, kSpanMaxNs / instances) * instances;
  share.quota = share.tolerance_ns / share.interval_ns + 1;
  share.window_ns = share.tolerance_ns + share.interval_ns;
  return share;
}

uint64_t known_use(const Rule& rule, const Rule& share, uint32_t instances,
                   const Decision& decision) {
  // `used` has the request itself, which is not counted yet, where it is admitted.
  const uint64_t used = decision.used - (decision.result == Result::kAllowed ? 1 : 0);
  if (rule.algorithm == Algorithm::kTokenBucket) return used * share.interval_ns / 1000;
  return std::min(used * instances, rule.quota);
}

}  // namespace weir::filters::rate_limit
