// The cache's part on the way back: what becomes of a server's answer, and what the client is told
// of it.
#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/strings.h"
#include "filters/cache/filter.h"
#include "filters/cache/invalidate.h"
#include "filters/cache/source.h"
#include "filters/cache/stored_head.h"
#include "filters/cache/tag_maker.h"
#include "filters/cache/tier_written.h"
#include "http/conditional.h"
#include "http/vary.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::cache {

using proxy::CacheResult;

namespace {

// RFC 9110 15.4.5: what a 304 has not. Last-Modified guides caches where there is no tag.
bool describes_content(const http::Header& field, bool has_tag) {
  switch (field.id) {
    case http::HeaderId::kContentLength:
    case http::HeaderId::kContentType:
    case http::HeaderId::kContentEncoding: return true;
    case http::HeaderId::kLastModified: return has_tag;
    default: return iequals(field.name, "content-language");
  }
}

// An answer that the server gave, without its body: the client has it.
class NotModified final : public proxy::ResponseSource {
 public:
  NotModified(const http::HeaderList& fields, const http::HeaderList& more)
      : fields_(fields), more_(more) {}

  void fill_head(http::ResponseHead& head) override {
    head.status = 304;
    const bool has_tag = fields_.find("ETag") != nullptr;
    for (const http::Header& field : fields_) {
      if (!describes_content(field, has_tag)) head.headers.add(field);
    }
    for (const http::Header& field : more_) head.headers.add(field);
  }
  const http::HeaderList* whole_fields() const override { return &fields_; }
  Piece next() override { return {State::kEnd, {}}; }

 private:
  const http::HeaderList& fields_;
  const http::HeaderList& more_;
};

bool is_failure(int status) {  // RFC 5861 4
  return status == 500 || status == 502 || status == 503 || status == 504;
}

}  // namespace

proxy::Verdict CacheFilter::on_response(proxy::FilterContext& context, http::ResponseHead& head) {
  stop_waiting();
  if (stored_ && on_error_ && is_failure(head.status)) return use_stale();
  if (exchange_->answer_is_local()) {
    if (lead_) lead_.fail();
    tell(head);
    return proxy::Next{};
  }
  if (options_.invalidates_on_write) invalidate(store_, *exchange_, head);
  if (plan_ == Plan::kValidate && head.status == 304) {
    const Freshened freshened = intake_.freshen(store_, question(), stored_, head);
    if (freshened == Freshened::kOther) return use_unmatched(head);
    if (freshened == Freshened::kVoid) drop_stored();
    return use_not_modified(head);
  }
  if (asked_.method == http::Method::kHead) {
    if (stored_) compare(head);
    return pass_on(head, {});
  }
  const http::CacheFields fields(head.headers);
  const bool may_get_tag = options_.makes_etag && head.status == 200 &&
                           !fields.has(http::HeaderId::kEtag) && plan_ != Plan::kPass;
  if (may_get_tag && head.framing == http::Framing::kLength &&
      head.content_length <= limits::kWholeAnswerBytes) {
    return proxy::Whole{};
  }
  return keep(context, head, {});
}

proxy::Verdict CacheFilter::on_whole_response(proxy::FilterContext& context,
                                              http::ResponseHead& head, const Buffer& body) {
  TagMaker maker;
  std::string_view spans[limits::kWholeAnswerBytes / 1024];
  const size_t count = body.spans(spans, std::size(spans));
  for (size_t i = 0; i < count; ++i) maker.put(spans[i]);
  return keep(context, head, arena().copy(maker.tag()));
}

proxy::Verdict CacheFilter::keep(proxy::FilterContext& context, http::ResponseHead& head,
                                 std::string_view made_tag) {
  if (plan_ == Plan::kPass) return pass_on(head, made_tag);
  const Question asked = question();
  const http::Storable storable = Intake::judge(asked, head);
  if (storable != http::Storable::kYes) {
    leave_flight(storable, head.status);
    // What the server gives out now nobody may keep: nor what it gave out before.
    if (stored_ && is_of_resource(head.status)) drop_stored();
    note(result_, arena().concat({cache_status_, "; detail=", http::word_of(storable)}));
    return pass_on(head, made_tag);
  }
  if (is_edited(head) || !intake_.start(asked, head, made_tag)) {
    if (intake_.room() == Room::kTags) {
      note(result_, arena().concat({cache_status_, "; detail=tags"}));
    }
    if (lead_ && intake_.room() == Room::kPurged) lead_.finish();  // the next one may be kept
    if (lead_) lead_.refuse(static_cast<uint64_t>(now_ms()));
    return pass_on(head, made_tag);
  }
  const Reader reader = intake_.reader();
  if (lead_ && is_good_now(intake_.meta().lifetime)) {
    lead_.publish(reader, intake_.vary(), intake_.secondary(), intake_.length_known());
  } else if (lead_) {
    lead_.refuse(static_cast<uint64_t>(now_ms()));
  }
  const bool makes_tag = options_.makes_etag && made_tag.empty() && head.status == 200 &&
                         !http::CacheFields(head.headers).has(http::HeaderId::kEtag);
  context.record(intake_.recorder(store_, std::move(lead_), stored_, makes_tag));
  Serving serving = {.reader = reader, .meta = intake_.meta(), .head = intake_.packed()};
  serving.fed = true;
  if (!made_tag.empty()) head.headers.add("ETag", made_tag);
  serving.fields = &head.headers;
  return serve(std::move(serving), CacheResult::kMiss, arena().concat({cache_status_, "; stored"}));
}

// RFC 9111 4.3.5: the answer to a HEAD may be about what is stored, or show that it is outdated.
void CacheFilter::compare(const http::ResponseHead& head) {
  if (is_failure(head.status)) return;
  http::HeaderList stored(arena());
  unpack_head(stored_.head(), stored);
  const int64_t now_s = now_ms() / 1000;
  const bool known = head.headers.find(http::HeaderId::kContentLength) != nullptr;
  const bool agrees = head.status == stored_.meta().status &&
                      http::head_agrees(http::validators_of(http::CacheFields(stored), now_s),
                                        http::validators_of(http::CacheFields(head.headers), now_s),
                                        stored_.published(),
                                        known ? std::optional(head.content_length) : std::nullopt);
  if (!agrees || intake_.freshen(store_, question(), stored_, head) != Freshened::kKept) {
    drop_stored();
  }
}

void CacheFilter::drop_stored() { drop_everywhere(exchange_->worker(), store_, stored_, key_); }

// Which answers the next request may share, without asking the server itself.
bool CacheFilter::is_good_now(const http::Lifetime& lifetime) const {
  const http::Usable usable = http::may_use(options_.policy, http::Asked(), lifetime, now_ms());
  return usable == http::Usable::kFresh || usable == http::Usable::kWhileRevalidating;
}

// Those that wait fetch their own; the next ones do not even wait, where it is the answer that says
// so and not this request.
void CacheFilter::leave_flight(http::Storable why, int status) {
  if (!lead_) return;
  if (is_failure(status)) {
    lead_.fail();
  } else if (why == http::Storable::kRequest || why == http::Storable::kAuthorization) {
    lead_.finish();
  } else {
    lead_.refuse(static_cast<uint64_t>(now_ms()));
  }
}

// Whether the server was told another value than the client's in a field that the answer, or the
// key, is told apart by: who asks for it next is looked up by his own.
bool CacheFilter::is_edited(const http::ResponseHead& head) {
  const http::HeaderList& sent = exchange_->request().headers;
  const auto differs = [&](std::string_view name) {
    const http::Header* ours = sent.find(name);
    const http::Header* theirs = asked_fields_->find(name);
    if ((ours == nullptr) != (theirs == nullptr)) return true;
    return ours != nullptr && ours->value != theirs->value;
  };
  const http::VaryNames vary{http::CacheFields(head.headers)};
  for (const std::string_view name : vary.names()) {
    if (differs(name)) return true;
  }
  return std::any_of(options_.key.headers.begin(), options_.key.headers.end(), differs);
}

// A 304 with another validator than the one that it was asked about (nginx and Apache have one for
// what they compress, and another on its 304). It says that what is stored is still good, and may
// bring nothing up to date (RFC 9111 4.3.3, 4.3.4): the next one is asked without a condition.
proxy::Verdict CacheFilter::use_unmatched(const http::ResponseHead& head) {
  drop_stored();
  intake_.forget();
  if (lead_) lead_.finish();
  return serve_validated(stored_.head(), stored_.meta(), head,
                         "weir; hit; fwd=stale; fwd-status=304; detail=other-validator");
}

proxy::Verdict CacheFilter::use_not_modified(const http::ResponseHead& head) {
  if (lead_ && is_good_now(intake_.meta().lifetime)) {
    lead_.finish();
  } else if (lead_) {
    lead_.refuse(static_cast<uint64_t>(now_ms()));
  }
  return serve_validated(intake_.packed(), intake_.meta(), head,
                         "weir; hit; fwd=stale; fwd-status=304");
}

// Cookies of the 304 are for this client alone.
proxy::Verdict CacheFilter::serve_validated(std::string_view packed, const Meta& meta,
                                            const http::ResponseHead& head,
                                            std::string_view status) {
  http::HeaderList& fields = *arena().make<http::HeaderList>(arena());
  unpack_head(packed, fields);
  if (head.headers.find(http::HeaderId::kSetCookie) != nullptr) {
    fields.remove(http::HeaderId::kSetCookie);
  }
  for (const http::Header& field : head.headers) {
    if (field.id == http::HeaderId::kSetCookie) fields.add(field);
  }
  return serve({.reader = stored_, .meta = meta, .fields = &fields}, CacheResult::kRevalidated,
               status);
}

// RFC 9111 4.2.4, RFC 5861 4.
proxy::Verdict CacheFilter::use_stale() {
  intake_.forget();
  if (lead_) lead_.fail();
  return serve_stored(stored_, CacheResult::kStale, "weir; hit; fwd=stale; detail=error");
}

// As the server gave it, but for what the client has already.
proxy::Verdict CacheFilter::pass_on(http::ResponseHead& head, std::string_view made_tag) {
  intake_.forget();
  if (!made_tag.empty()) head.headers.add("ETag", made_tag);
  if (plan_ != Plan::kPass && head.status == 200) {
    const int64_t now_s = now_ms() / 1000;
    const http::CacheFields fields(head.headers);
    const http::Validators validators = http::validators_of(fields, now_s);
    if (http::check_preconditions(http::Evaluator::kCache, exchange_->request().method, *fields_,
                                  &validators, now_s) == http::Precondition::kNotModified) {
      http::ResponseHead* told = arena().make<http::ResponseHead>(arena());
      tell(*told);
      return proxy::Serve{arena().make<NotModified>(head.headers, told->headers)};
    }
  }
  tell(head);
  return proxy::Next{};
}

// ---- what the client gets and is told ----

proxy::Serve CacheFilter::serve_stored(const Reader& reader, proxy::CacheResult result,
                                       std::string_view status) {
  return serve({.reader = reader, .meta = reader.meta(), .head = reader.head()}, result, status);
}

proxy::Serve CacheFilter::serve(Serving serving, CacheResult result, std::string_view status) {
  note(result, status);
  serving.now_ms = now_ms();
  serving.store = &store_;
  serving.key = key_;
  serving.hits = hits_;
  serving.cache_status = status;
  serving.result = word_of(result);
  serving.result_field = options_.status_header;
  return {arena().make<StoredSource>(*exchange_, std::move(serving), *fields_)};
}

void CacheFilter::tell(http::ResponseHead& head) const {
  if (cache_status_.empty()) return;
  head.headers.add("Cache-Status", cache_status_);
  if (!options_.status_header.empty()) head.headers.set(options_.status_header, word_of(result_));
}

Question CacheFilter::question() const {
  return {options_, asked_, *asked_fields_, sent_ms_, now_ms()};
}

int64_t CacheFilter::now_ms() const {
  return static_cast<int64_t>(exchange_->worker().wall_us() / 1000);
}

// Whoever goes on without what it has waited for (a timeout) is not to be told of it, nor to lead.
void CacheFilter::stop_waiting() {
  leave();
  if (lookup_ != nullptr) lookup_->cancel();
  resume_.reset();
  lock_timer_.reset();
}

void CacheFilter::on_end(const proxy::Summary&) noexcept {
  stop_waiting();
  intake_.forget();
  lead_ = Lead();
  if (cache_status_.empty()) return;
  exchange_->worker().metrics().cache_requests[static_cast<size_t>(result_)].add();
}

}  // namespace weir::filters::cache
