#include "filters/auth/key_wait.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "filters/auth/place.h"
#include "http/rules.h"
#include "net/worker.h"
#include "proxy/metrics.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::auth {

namespace {

constexpr uint64_t kTickMs = 20;  // who fetches may be on another worker

}  // namespace

KeyWait::KeyWait(const KeyPlace& place, KeySource::Need need, proxy::Resume resume,
                 proxy::Exchange& exchange, User& user)
    : place_(place),
      need_(need),
      resume_(std::move(resume)),
      exchange_(exchange),
      user_(user),
      tick_(exchange.worker().net().timers(), this, &net::Timer::call<KeyWait, &KeyWait::on_tick>) {
}

KeyWait::~KeyWait() {
  if (fetching_) place_.source->left(need_, now_ms());
}

uint64_t KeyWait::now_ms() const { return exchange_.worker().net().now_us() / 1000; }

void KeyWait::start(KeySource::Turn turn) {
  switch (turn) {
    case KeySource::Turn::kGoOn: return user_.on_keys();
    case KeySource::Turn::kWait: return tick_.arm_ms(kTickMs);
    case KeySource::Turn::kFetch: return fetch();
  }
}

void KeyWait::fetch() {
  fetching_ = true;
  fetch_.emplace(exchange_, place_.route, KeySet::kTextBytes, *this);
  fetch_->tell_nothing_of_client();
  http::RequestHead& request = fetch_->request();
  set_target(place_.target, request);
  request.authority = place_.host;
  request.host = http::host_of(request.authority, request.headers.arena());
  request.headers.add("Accept", "application/jwk-set+json, application/json");
  fetch_->start();
}

// Whoever fetches ends in time, or has left, and then it may be this one's turn.
void KeyWait::on_tick() { start(place_.source->ask(need_, now_ms())); }

bool KeyWait::on_fetch_head(const http::ResponseHead& head) {
  if (head.status == 200) return true;
  fail("another status than 200");
  return false;
}

void KeyWait::on_fetched(const http::ResponseHead&, const Buffer& body) {
  const std::string text = body.text();
  auto keys = std::make_shared<KeySet>();
  std::vector<KeySet::Fault> faults;
  if (!keys->add_jwks(text, false, faults)) {
    const auto fault = std::find_if(faults.begin(), faults.end(),
                                    [](const KeySet::Fault& one) { return one.fatal; });
    return fail(fault->path.empty() ? fault->what : fault->path + " " + fault->what);
  }
  if (keys->size() == 0) return fail("no key that checks signatures");
  fetching_ = false;
  place_.source->fetched(std::move(keys), text, now_ms(), place_.refresh_ms);
  user_.on_keys();
}

void KeyWait::on_fetch_failed(const Error& error) { fail(error.detail); }

void KeyWait::fail(std::string_view why) {
  fetching_ = false;
  place_.source->failed(now_ms());
  const std::string& upstream = place_.route.cluster->name;
  log_warn_once_per(
      place_.source->throttle(), "auth.jwt: keys of upstream {}: {}; {}", upstream, why,
      place_.source->ring().keys() == nullptr ? "there are none" : "those that there are stay");
  proxy::rare_counters().add("weir_jwks_failures_total", {{"upstream", upstream}});
  user_.on_keys();
}

}  // namespace weir::filters::auth
