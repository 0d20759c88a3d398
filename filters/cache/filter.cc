#include "filters/cache/filter.h"

#include <utility>

#include "filters/cache/key.h"
#include "filters/cache/renewal.h"
#include "filters/cache/validators.h"
#include "http/conditional.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::cache {

using proxy::CacheResult;

namespace {

proxy::LocalReply only_if_cached() {
  proxy::LocalReply reply;
  reply.status = 504;  // RFC 9111 5.2.1.7
  reply.why = "only-if-cached, and not stored";
  reply.who = Source::kClient;
  return reply;
}

bool is_conditional(const http::CacheFields& request) {
  return request.has(http::HeaderId::kIfNoneMatch) || request.has(http::HeaderId::kIfModifiedSince);
}

bool is_usable_now(http::Usable usable) {
  return usable == http::Usable::kFresh || usable == http::Usable::kWhileRevalidating;
}

proxy::LocalReply too_many_wait() {
  proxy::LocalReply reply;
  reply.status = 503;
  reply.headers.emplace_back("Retry-After", "1");
  reply.why = "too many wait for one answer";
  reply.kind = ErrorKind::kOverload;
  return reply;
}

}  // namespace

// ---- the request ----

proxy::Verdict CacheFilter::on_request(proxy::FilterContext& context, http::RequestHead& head) {
  exchange_ = &context.exchange();
  see(head.headers);
  if (!is_for_cache(head, *fields_)) return proxy::Next{};
  // All spellings of a host have one key: the server is to see one, lest it answers all for one.
  head.authority = authority_of_key(head, exchange_->scheme(), arena());
  key_ = make_key(options_.key,
                  {.head = head,
                   .scheme = exchange_->scheme(),
                   .subject = exchange_->subject(),
                   .upstream = exchange_->cluster()->name,
                   .conditions = &exchange_->route().conditions},
                  arena());
  if (key_.empty()) {
    note(CacheResult::kBypass, "weir; fwd=bypass; detail=long-key");
    return proxy::Next{};
  }
  Outcome outcome = look_up();
  if (outcome) return std::move(*outcome);
  lock_timer_.emplace(exchange_->worker().net().timers(), this,
                      &net::Timer::call<CacheFilter, &CacheFilter::on_lock_timeout>);
  lock_timer_->arm_ms(options_.lock_ms);
  std::pair<proxy::Parked, proxy::Resume> parked = context.park();
  resume_.emplace(std::move(parked.second));
  return parked.first;
}

bool CacheFilter::is_for_cache(const http::RequestHead& head, const http::CacheFields& fields) {
  if (exchange_->route().action != proxy::Action::kUpstream) return false;
  if ((options_.methods & http::bit(head.method)) == 0) {
    note(CacheResult::kBypass, "weir; fwd=method");
  } else if (!head.upgrade.empty() || head.framing != http::Framing::kNone) {
    note(CacheResult::kBypass, "weir; fwd=bypass; detail=body");
  } else if (http::is_for_origin(fields)) {
    note(CacheResult::kBypass, "weir; fwd=bypass; detail=precondition");
  } else {
    asked_ = http::what_is_asked(options_.policy, head, fields);
    // However they were proved to be who they are: what auth has seen may not be there any more.
    asked_.authorized |= exchange_->is_for_somebody();
    const bool keyed = options_.policy.authorized == http::Authorized::kKeyed;
    if (!keyed || !asked_.authorized) return true;
    if (knows_user(options_.key, exchange_->subject())) return true;
    note(CacheResult::kBypass, "weir; fwd=bypass; detail=no-user");
  }
  return false;
}

void CacheFilter::see(const http::HeaderList& asked) {
  asked_fields_ = &asked;
  fields_ = arena().make<http::CacheFields>(asked);
}

void CacheFilter::note(CacheResult result, std::string_view status) {
  result_ = result;
  cache_status_ = status;
  exchange_->set_cache_result(word_of(result));
}

CacheFilter::Outcome CacheFilter::look_up() {
  RequestVariant variant(*fields_, arena());
  const Found found = store_.find(key_, variant);
  flight_key_ = key_;
  if (!variant.all().empty()) flight_key_ = arena().concat({key_, "\n\n", variant.all()});
  if (found.reader) return use(found);
  note(CacheResult::kMiss, found.known ? "weir; fwd=vary-miss" : "weir; fwd=uri-miss");
  return fetch();
}

CacheFilter::Outcome CacheFilter::use(const Found& found) {
  const Reader& reader = found.reader;
  hits_ = found.hits;
  http::Usable usable = http::may_use(options_.policy, asked_, reader.meta().lifetime, now_ms());
  if (found.stale && is_usable_now(usable)) usable = http::Usable::kOnErrorOnly;
  switch (usable) {
    case http::Usable::kFresh: return serve_stored(reader, CacheResult::kHit, "weir; hit");
    case http::Usable::kWhileRevalidating:
      Renewal::start(*exchange_, {options_, store_, asked_, key_, flight_key_, reader});
      return serve_stored(reader, CacheResult::kStale, "weir; hit; detail=revalidating");
    case http::Usable::kOnErrorOnly:
    case http::Usable::kMustValidate:
      on_error_ = usable == http::Usable::kOnErrorOnly;
      stored_ = reader;
      note(CacheResult::kMiss, "weir; fwd=stale");
      break;
    case http::Usable::kNot: note(CacheResult::kMiss, "weir; fwd=request"); break;
  }
  return fetch();
}

// Nothing that is stored will do: the server is asked, by this request or by one that asks already.
CacheFilter::Outcome CacheFilter::fetch() {
  if (asked_.says.only_if_cached) {
    stored_ = Reader();
    note(CacheResult::kMiss, "weir; detail=only-if-cached");
    return only_if_cached();
  }
  // A HEAD has no body to keep; what is a part is not kept, and a whole one nobody asked for.
  const bool part = fields_->has(http::HeaderId::kRange) && !stored_;
  const bool head = asked_.method == http::Method::kHead;
  if (head && stored_) return fetch_alone();  // it is validated
  if (head || part || asked_.says.no_store) return proxy::Next{};
  // What it gets may not be for others: they do not wait for it.
  const bool shared = !asked_.authorized || options_.policy.authorized == http::Authorized::kKeyed;
  return options_.lock_ms == 0 || !shared ? fetch_alone() : join_flight();
}

CacheFilter::Outcome CacheFilter::fetch_alone() {
  prepare_fetch();
  return proxy::Next{};
}

CacheFilter::Outcome CacheFilter::join_flight() {
  News news;
  const uint64_t now = static_cast<uint64_t>(now_ms());
  switch (flights().join(flight_key_, *this, lead_, news, now)) {
    case Flights::Join::kWait: return std::nullopt;
    case Flights::Join::kFull: return too_many_wait();
    case Flights::Join::kRead:
      if (is_for_us(news))
        return serve_stored(news.reader, CacheResult::kHit, "weir; hit; collapsed");
      break;
    case Flights::Join::kAlone:
      // It will hardly be kept: what the client has already may spare the body.
      if (!stored_ && !options_.makes_etag && is_conditional(*fields_)) return proxy::Next{};
      break;
    case Flights::Join::kLead: return ask_tier();
  }
  return fetch_alone();
}

// What is there is for everybody, and has been validated by nobody. The writer is for what comes of
// it: a purge of this moment is about that, too.
CacheFilter::Outcome CacheFilter::ask_tier() {
  const bool is_of_use = !asked_.says.no_cache && shares_tier(options_, asked_);
  if (!is_of_use || !exchange_->worker().tier_redis().up()) return fetch_alone();
  TierLookup::User& user = *this;
  lookup_ = arena().make<TierLookup>(exchange_->worker(), key_, *fields_, user);
  intake_.begin(store_, key_);
  return lookup_->start() ? std::nullopt : fetch_alone();
}

// The server is asked for all of it, whatever the client has or wants of it.
void CacheFilter::prepare_fetch() {
  http::HeaderList& headers = exchange_->request().headers;
  sent_ms_ = now_ms();
  intake_.begin(
      store_, key_,
      shares_tier(options_, asked_) ? TierDraft::begin(exchange_->worker(), key_) : nullptr);
  http::HeaderList* const asked = arena().make<http::HeaderList>(arena());
  asked->copy_from(headers);
  see(*asked);
  drop_conditions(headers);
  plan_ = stored_ && add_validators(stored_, headers) ? Plan::kValidate : Plan::kFetch;
}

// ---- while it waits ----

void CacheFilter::on_news(News news) noexcept {
  proxy::ProxyWorker* const worker = &exchange_->worker();
  worker->net().mail_slot()->post(
      [this, worker, id = exchange_->id(), news = std::move(news)](net::Worker&) {
        if (worker->exchanges().find(id) != nullptr) hear(news);  // else `this` is gone, too
      });
}

void CacheFilter::hear(const News& news) {
  if (!resume_) return;  // it has waited for too long
  if (news.kind == News::Kind::kLead) {
    lead_ = take_lead();
    go_on(fetch_alone());
    return;
  }
  leave();
  if (news.kind == News::Kind::kRead && is_for_us(news)) {
    go_on(serve_stored(news.reader, CacheResult::kHit, "weir; hit; collapsed"));
  } else if (news.kind == News::Kind::kFailed) {
    if (stored_ && on_error_) {
      go_on(serve_stored(stored_, CacheResult::kStale, "weir; hit; fwd=stale; detail=error"));
    } else {
      go_on(fetch_alone());
    }
  } else {
    stored_ = Reader();  // it may be gone by now, and is found again if it is not
    go_on(look_up());
  }
}

void CacheFilter::go_on(Outcome outcome) {
  if (!outcome) return;
  lock_timer_.reset();
  proxy::Resume resume = std::move(*resume_);
  resume_.reset();
  if (auto* reply = std::get_if<proxy::LocalReply>(&*outcome)) {
    std::move(resume).reply(std::move(*reply));
  } else if (auto* served = std::get_if<proxy::Serve>(&*outcome)) {
    std::move(resume).serve(*served);
  } else {
    std::move(resume).next();
  }
}

bool CacheFilter::on_tier(const TierValue* value) {
  if (!resume_) return false;
  Outcome outcome;
  if (value != nullptr) outcome = use_tier(*value);
  const bool is_used = outcome.has_value();
  go_on(is_used ? std::move(outcome) : fetch_alone());
  return is_used;
}

// Out of the store, where it has gone: what hit it on its way there shows. Nothing: it is not for
// this request.
CacheFilter::Outcome CacheFilter::use_tier(const TierValue& value) {
  const auto is_fresh = [&](const http::Lifetime& lifetime) {
    return http::may_use(options_.policy, asked_, lifetime, now_ms()) == http::Usable::kFresh;
  };
  if (!is_fresh(value.lifetime) || !intake_.adopt(value, arena())) return std::nullopt;
  RequestVariant variant(*fields_, arena());
  const Found found = store_.find(key_, variant);
  if (!found.reader || found.stale || !is_fresh(found.reader.meta().lifetime)) return std::nullopt;
  lead_.finish();
  hits_ = found.hits;
  stored_ = Reader();
  return serve_stored(found.reader, CacheResult::kHit, "weir; hit; detail=redis");
}

void CacheFilter::on_lock_timeout() {
  leave();
  if (lookup_ != nullptr) lookup_->cancel();
  go_on(fetch_alone());
}

bool CacheFilter::is_for_us(const News& news) {
  const http::Lifetime& lifetime = news.reader.meta().lifetime;
  if (!is_usable_now(http::may_use(options_.policy, asked_, lifetime, now_ms()))) return false;
  if (news.vary.empty()) return true;
  RequestVariant variant(*fields_, arena());
  const std::string_view ours = variant.by(news.vary);
  return !ours.empty() && ours == news.secondary;
}

}  // namespace weir::filters::cache
