#include "admin/late_answer.h"

#include <utility>

#include "admin/json.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::admin {

namespace {

constexpr uint64_t kLookMs = 8;
// A few words in JSON, and some room for whoever writes more blanks. Reached: 413.
constexpr uint64_t kBodyMaxBytes = 4096;

proxy::LocalReply too_large() {
  return error_reply(413, "the body is too large", "body too large");
}

}  // namespace

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

std::optional<proxy::LocalReply> BodyAnswer::begin(proxy::Exchange& exchange) {
  if (exchange.request().content_length > kBodyMaxBytes) return too_large();
  return look(exchange);
}

// The listener's body timeout ends a request whose body does not come.
std::optional<proxy::LocalReply> BodyAnswer::look(proxy::Exchange& exchange) {
  if (exchange.body_bytes() > kBodyMaxBytes) return too_large();
  const std::optional<std::string> body = exchange.whole_body();
  if (!body) return std::nullopt;
  return answer(exchange, *body);
}

}  // namespace weir::admin
