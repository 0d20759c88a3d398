#include "admin/late_answer.h"

#include <utility>

#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::admin {

namespace {
constexpr uint64_t kLookMs = 8;
}

proxy::Verdict LateAnswer::on_request(proxy::FilterContext& context, http::RequestHead& request) {
  if (request.method != http::Method::kPost) return proxy::Next{};
  if (std::optional<proxy::LocalReply> refused = refusal_of(request, page_.access, page_.token)) {
    return std::move(*refused);
  }
  if (std::optional<proxy::LocalReply> reply = begin(context.exchange())) return std::move(*reply);
  std::pair<proxy::Parked, proxy::Resume> parked = context.park();
  wait_.emplace(std::move(parked.second), context.exchange(), *this);
  wait_->timer.arm_ms(kLookMs);
  return parked.first;
}

LateAnswer::Wait::Wait(proxy::Resume token, proxy::Exchange& of, LateAnswer& filter)
    : resume(std::move(token)),
      exchange(of),
      timer(of.worker().net().timers(), &filter,
            &net::Timer::call<LateAnswer, &LateAnswer::on_time>) {}

void LateAnswer::on_time() {
  std::optional<proxy::LocalReply> reply = look(wait_->exchange);
  if (!reply) {
    wait_->timer.arm_ms(kLookMs);
    return;
  }
  proxy::Resume resume = std::move(wait_->resume);
  wait_.reset();
  std::move(resume).reply(std::move(*reply));
}

}  // namespace weir::admin
