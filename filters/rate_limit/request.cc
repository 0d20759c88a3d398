#include "filters/rate_limit/request.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/strings.h"
#include "filters/rate_limit/places.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "proxy/subject.h"

namespace weir::filters::rate_limit {

namespace {

using proxy::LimitResult;

constexpr uint64_t kNsPerMs = 1'000'000;

// As clients are told: never "at once".
uint64_t seconds_up(uint64_t ns) {
  constexpr uint64_t kNsPerS = 1'000'000'000;
  return std::max<uint64_t>((ns + kNsPerS - 1) / kNsPerS, 1);
}

bool admits(const Charge& charge) { return charge.decision.result == Result::kAllowed; }

// `"api";r=0;t=1`
std::string_view state_text(const Charge& charge, Arena& arena) {
  constexpr size_t kDigits = 20;
  char remaining[kDigits];
  char wait[kDigits];
  const size_t remaining_size = format_u64(charge.decision.remaining, remaining);
  const size_t wait_size = format_u64(seconds_up(charge.decision.wait_ns), wait);
  return arena.concat(
      {charge.limit->quoted_name, ";r=", {remaining, remaining_size}, ";t=", {wait, wait_size}});
}

}  // namespace

Request::~Request() = default;

proxy::Verdict Request::on_request(proxy::FilterContext& context, http::RequestHead& head) {
  exchange_ = &context.exchange();
  make_charges(head);
  const bool decided = ask();
  const Fate fate = decided ? settle() : Fate::kWaits;
  if (fate == Fate::kGoesOn) return proxy::Next{};
  if (fate == Fate::kRefused) return refusal();
  auto [parked, resume] = context.park();
  resume_.emplace(std::move(resume));
  return parked;
}

// Also of weir's own answers, its refusals among them.
proxy::Verdict Request::on_response(proxy::FilterContext&, http::ResponseHead& head) {
  if (head.status < 400) return_places();
  tell(head.headers);
  return proxy::Next{};
}

void Request::on_end(const proxy::Summary&) noexcept { leave_place(); }

// From a store, in a turn of its own.
void Request::on_decided() {
  if (exchange_->over()) return;
  if (group_refuses()) {
    give_all_back();
  } else if (!ask()) {
    return;
  }
  switch (settle()) {
    case Fate::kGoesOn: std::move(*resume_).next(); break;
    case Fate::kRefused: std::move(*resume_).reply(refusal()); break;
    case Fate::kWaits: break;
  }
}

void Request::on_turn() {
  exchange_->set_ends_on_eof(false);
  leave_place();
  std::move(*resume_).next();
}

void Request::make_charges(const http::RequestHead& head) {
  Arena& arena = exchange_->arena();
  const proxy::Subject* const subject = exchange_->subject();
  const Asked asked = {head, exchange_->path(), exchange_->route_name(),
                       &exchange_->client().client, subject == nullptr ? nullptr : subject->claims};
  auto* const charges =
      static_cast<Charge*>(arena.allocate(chain_.size() * sizeof(Charge), alignof(Charge)));
  size_t count = 0;
  for (const auto& limit : chain_) {
    if (limit->skips(asked.path)) continue;
    const uint64_t bucket = hash_key(limit->key, limit->state->secret, asked, arena);
    new (charges + count++) Charge{.limit = limit.get(), .bucket = bucket, .decision = {}};
  }
  charges_ = {charges, count};
}

// Store by store, until one refuses. False: one answers later.
bool Request::ask() {
  while (group_end_ < charges_.size()) {
    group_begin_ = group_end_;
    Store* const store = charges_[group_begin_].limit->store;
    while (group_end_ < charges_.size() && charges_[group_end_].limit->store == store) ++group_end_;
    const auto group = charges_.subspan(group_begin_, group_end_ - group_begin_);
    if (store->take(*exchange_, group, *this) == Store::Answer::kLater) return false;
    if (group_refuses()) {
      give_all_back();
      return true;
    }
  }
  return true;
}

bool Request::group_refuses() const {
  const auto group = charges_.subspan(group_begin_, group_end_ - group_begin_);
  return !std::all_of(group.begin(), group.end(), admits);
}

void Request::give_all_back() {
  for (Charge& charge : charges_) {
    if (charge.charged) charge.limit->store->give_back(*exchange_, charge);
  }
}

// All that were asked have answered.
Request::Fate Request::settle() {
  if (strictest_refusal() != nullptr) return Fate::kRefused;
  Charge* slowest = nullptr;
  uint64_t wait_ms = 0;
  for (Charge& charge : charges_) {
    const uint64_t of_this = charge.limit->delay.of(charge.decision.used);
    if (of_this <= wait_ms) continue;
    wait_ms = of_this;
    slowest = &charge;
  }
  if (slowest != nullptr && !places().enter(slowest->bucket, slowest->limit->delay.per_key)) {
    give_all_back();
    slowest->decision.result = Result::kRefused;
    slowest->decision.remaining = 0;
    slowest->decision.wait_ns = wait_ms * kNsPerMs;
    return Fate::kRefused;
  }
  for (const Charge& charge : charges_) {
    count(charge, &charge == slowest ? LimitResult::kDelayed : LimitResult::kAllowed);
  }
  if (slowest == nullptr) return Fate::kGoesOn;
  let_wait(*slowest, wait_ms);
  return Fate::kWaits;
}

void Request::let_wait(const Charge& slowest, uint64_t wait_ms) {
  exchange_->set_limit(slowest.limit->name);
  exchange_->set_ends_on_eof(true);
  waiting_ =
      exchange_->arena().make<Waiting>(exchange_->worker().net().timers(), *this, slowest.bucket);
  waiting_->timer.arm_ms(wait_ms);
}

// When its turn has come, or the client has not waited for it.
void Request::leave_place() {
  if (waiting_ == nullptr || !waiting_->has_place) return;
  waiting_->has_place = false;
  waiting_->timer.cancel();
  places().leave(waiting_->bucket);
}

// That for which the client has to wait longest; null: none refuses.
const Charge* Request::strictest_refusal() const {
  const Charge* strictest = nullptr;
  for (const Charge& charge : charges_) {
    if (admits(charge)) continue;
    if (strictest == nullptr || charge.decision.wait_ns > strictest->decision.wait_ns) {
      strictest = &charge;
    }
  }
  return strictest;
}

proxy::LocalReply Request::refusal() {
  for (const Charge& charge : charges_) {
    if (!admits(charge)) count(charge, LimitResult::kRefused);
  }
  const Charge& strictest = *strictest_refusal();
  exchange_->set_limit(strictest.limit->name);
  const bool unavailable = strictest.decision.result == Result::kUnavailable;
  proxy::LocalReply reply;
  reply.status = unavailable ? 503 : strictest.limit->status;
  reply.headers = {{"Retry-After", std::to_string(seconds_up(strictest.decision.wait_ns))},
                   {"Cache-Control", "no-store"}};
  reply.why = unavailable ? "no answer from the store of a rate limit" : "rate limit";
  return reply;
}

void Request::return_places() {
  for (Charge& charge : charges_) {
    if (!charge.charged || !charge.limit->failures_only) continue;
    charge.limit->store->give_back(*exchange_, charge);
    charge.decision.remaining += 1;
    count(charge, LimitResult::kReturned);
  }
}

// draft-ietf-httpapi-ratelimit-headers-10: all policies, and how the client stands with the one
// that it will meet first.
void Request::tell(http::HeaderList& headers) const {
  const Charge* nearest = strictest_refusal();
  const bool refused = nearest != nullptr;
  std::string_view policies;
  for (const Charge& charge : charges_) {
    if (!charge.decision.counted) continue;
    const std::string_view policy = charge.limit->policy;
    policies = policies.empty() ? policy : headers.arena().concat({policies, ", ", policy});
    if (refused) continue;
    if (nearest == nullptr || charge.decision.remaining < nearest->decision.remaining) {
      nearest = &charge;
    }
  }
  if (nearest == nullptr || !nearest->decision.counted) return;
  headers.add("RateLimit-Policy", policies, http::HeaderId::kOther);
  headers.add("RateLimit", state_text(*nearest, headers.arena()), http::HeaderId::kOther);
  if (nearest->limit->legacy_headers) tell_legacy(*nearest, headers);
}

// What was there before a standard was, as most have it: the reset is a time of day.
void Request::tell_legacy(const Charge& charge, http::HeaderList& headers) const {
  constexpr uint64_t kNsPerUs = 1'000;
  const uint64_t reset_ns = exchange_->worker().wall_us() * kNsPerUs + charge.decision.wait_ns;
  const std::pair<const char*, uint64_t> fields[] = {
      {"X-RateLimit-Limit", charge.limit->rule.quota},
      {"X-RateLimit-Remaining", charge.decision.remaining},
      {"X-RateLimit-Reset", seconds_up(reset_ns)}};
  for (const auto& [name, number] : fields) {
    char digits[kNumberCharsMax];
    const std::string_view text(digits, format_u64(number, digits));
    headers.set(name, headers.arena().copy(text));  // not beside a server's own: no list fields
  }
}

void Request::count(const Charge& charge, LimitResult result) {
  const uint32_t label = charge.limit->state->label;
  exchange_->worker().metrics().rate_limits.add(proxy::limit_key(label, result));
}

}  // namespace weir::filters::rate_limit
