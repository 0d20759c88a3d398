#include "filters/cache/renewal.h"

#include <utility>

#include "filters/cache/tier_lookup.h"
#include "filters/cache/tier_written.h"
#include "filters/cache/validators.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::cache {

namespace {

http::HeaderList& copy_fields(const http::HeaderList& from, Arena& arena) {
  http::HeaderList& fields = *arena.make<http::HeaderList>(arena);
  for (const http::Header& field : from) fields.add_copy(field);
  return fields;
}

}  // namespace

void Renewal::start(proxy::Exchange& asker, const Of& of) {
  Lead lead = flights().try_lead(of.flight_key);
  if (!lead) return;
  proxy::ProxyWorker& worker = asker.worker();
  std::unique_ptr<Renewal> renewal = std::make_unique<Renewal>(asker, of, std::move(lead));
  Renewal& begun = *renewal;
  worker.adopt_background(std::move(renewal));
  begun.begin(of.key);
}

// The request's own directives are the client's affair: renewed is for everybody.
Renewal::Renewal(proxy::Exchange& asker, const Of& of, Lead lead)
    : worker_(asker.worker()),
      fetch_(asker, *this),
      options_(of.options),
      store_(of.store),
      fields_(copy_fields(asker.request().headers, fetch_.request().headers.arena())),
      stored_(of.stored),
      lead_(std::move(lead)) {
  asked_.method = http::Method::kGet;
  asked_.has_query = of.asked.has_query;
  asked_.authorized = of.asked.authorized;
}

void Renewal::begin(std::string_view key) {
  http::RequestHead& request = fetch_.request();
  request.method = http::Method::kGet;
  request.method_text = http::method_name(request.method);
  drop_conditions(request.headers);
  add_validators(stored_, request.headers);
  key_ = request.headers.arena().copy(key);
  intake_.begin(store_, key_,
                shares_tier(options_, asked_) ? TierDraft::begin(worker_, key_) : nullptr);
  sent_ms_ = now_ms();
  fetch_.start();
}

int64_t Renewal::now_ms() const { return static_cast<int64_t>(worker_.wall_us() / 1000); }

bool Renewal::on_fetch_head(const http::ResponseHead& head) {
  constexpr int kFirstOfServerErrors = 500;
  if (head.status >= kFirstOfServerErrors) return true;  // the old one holds as long as it may
  const Question question = {options_, asked_, fields_, sent_ms_, now_ms()};
  if (head.status == 304) {
    if (intake_.freshen(store_, question, stored_, head) != Freshened::kKept) drop_stored();
    return true;
  }
  if (Intake::judge(question, head) != http::Storable::kYes) {
    if (is_of_resource(head.status)) drop_stored();
    return true;
  }
  if (!intake_.start(question, head, {})) return true;
  lead_.publish(intake_.reader(), intake_.vary(), intake_.secondary(), intake_.length_known());
  const bool makes_tag = options_.makes_etag && head.status == 200 &&
                         !http::CacheFields(head.headers).has(http::HeaderId::kEtag);
  fetch_.record(intake_.recorder(store_, std::move(lead_), stored_, makes_tag));
  return true;
}

void Renewal::drop_stored() { drop_everywhere(worker_, store_, stored_, key_); }

void Renewal::end() {
  if (std::exchange(over_, true)) return;
  fetch_.cancel();
  if (lead_) lead_.finish();
  worker_.forget(*this);
}

}  // namespace weir::filters::cache
