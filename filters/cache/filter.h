// The cache, as one request passes it: looks for a stored answer, and keeps the server's where it
// may.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "filters/cache/flight.h"
#include "filters/cache/intake.h"
#include "filters/cache/options.h"
#include "filters/cache/source.h"
#include "filters/cache/store.h"
#include "filters/cache/tier_lookup.h"
#include "net/timer_wheel.h"
#include "proxy/cache_result.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"

namespace weir::filters::cache {

// In the exchange's arena. Thread: the exchange's worker; on_news() comes on any.
class CacheFilter final : public proxy::Filter, private Passenger, private TierLookup::User {
 public:
  CacheFilter(const Options& options, Store& store) : options_(options), store_(store) {}
  ~CacheFilter() override { leave(); }

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& head) override;
  proxy::Verdict on_response(proxy::FilterContext& context, http::ResponseHead& head) override;
  proxy::Verdict on_whole_response(proxy::FilterContext& context, http::ResponseHead& head,
                                   const Buffer& body) override;
  void on_end(const proxy::Summary& summary) noexcept override;

 private:
  // What becomes of the server's answer.
  enum class Plan : uint8_t {
    kPass,      // nothing: it is none of the cache's business
    kFetch,     // kept, if it may be
    kValidate,  // the same, or a 304 about what is stored
  };

  // ---- the request ----
  // Nothing: it waits for another one's fetch, or for the second tier.
  using Outcome = std::optional<proxy::Verdict>;
  bool is_for_cache(const http::RequestHead& head, const http::CacheFields& fields);
  Outcome look_up();
  Outcome use(const Found& found);
  Outcome fetch();
  Outcome fetch_alone();
  Outcome join_flight();
  Outcome ask_tier();
  Outcome use_tier(const TierValue& value);
  void prepare_fetch();
  void see(const http::HeaderList& asked);
  void note(proxy::CacheResult result, std::string_view status);
  // ---- while it waits ----
  void on_news(News news) noexcept override;
  void hear(const News& news);
  void go_on(Outcome outcome);
  bool on_tier(const TierValue* value) override;
  void on_lock_timeout();
  void stop_waiting();
  bool is_for_us(const News& news);
  // ---- the answer ----
  proxy::Verdict keep(proxy::FilterContext& context, http::ResponseHead& head,
                      std::string_view made_tag);
  void compare(const http::ResponseHead& head);
  bool is_good_now(const http::Lifetime& lifetime) const;
  bool is_edited(const http::ResponseHead& head);
  void leave_flight(http::Storable why, int status);
  proxy::Verdict use_unmatched(const http::ResponseHead& head);
  proxy::Verdict use_not_modified(const http::ResponseHead& head);
  proxy::Verdict serve_validated(std::string_view packed, const Meta& meta,
                                 const http::ResponseHead& head, std::string_view status);
  proxy::Verdict use_stale();
  proxy::Verdict pass_on(http::ResponseHead& head, std::string_view made_tag);
  // ---- both ----
  proxy::Serve serve(Serving serving, proxy::CacheResult result, std::string_view status);
  proxy::Serve serve_stored(const Reader& reader, proxy::CacheResult result,
                            std::string_view status);
  void drop_stored();
  void tell(http::ResponseHead& head) const;
  Question question() const;
  int64_t now_ms() const;
  Arena& arena() const { return exchange_->arena(); }

  const Options& options_;  // the snapshot's, which the exchange pins
  Store& store_;
  proxy::Exchange* exchange_ = nullptr;             // whose filter this is
  const http::HeaderList* asked_fields_ = nullptr;  // as the client sent them
  const http::CacheFields* fields_ = nullptr;       // the same, looked through; in the arena
  http::Asked asked_;
  std::string_view key_;         // empty: it has none
  std::string_view flight_key_;  // with the variant, by the lists that are known
  Plan plan_ = Plan::kPass;
  uint64_t hits_ = 0;      // of the stored answer that was found
  bool on_error_ = false;  // `stored_` may answer where the server fails
  Reader stored_;          // what is validated
  Intake intake_;
  Lead lead_;
  TierLookup* lookup_ = nullptr;  // in the arena; null: the second tier was not asked
  int64_t sent_ms_ = 0;
  proxy::CacheResult result_ =
      proxy::CacheResult::kBypass;  // for the status field, the log, the metrics
  std::string_view cache_status_;   // for Cache-Status (RFC 9211)
  std::optional<proxy::Resume> resume_;
  std::optional<net::Timer> lock_timer_;
};

}  // namespace weir::filters::cache
