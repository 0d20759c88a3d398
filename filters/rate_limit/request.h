// The filter: one request before its limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "filters/rate_limit/limit.h"
#include "filters/rate_limit/store.h"
#include "net/timer_wheel.h"
#include "proxy/filter.h"
#include "proxy/limit_stats.h"

namespace weir::filters::rate_limit {

// What a route asks, in this order: those of one store stand in a row, the shared ones first.
using Chain = std::vector<std::shared_ptr<const Limit>>;

// Counts the request, refuses it, or lets it wait; what it used comes back where it turns out that
// it did not count. Owner: the exchange's arena. Thread: its worker's.
class Request final : public proxy::Filter, private Store::Waiter {
 public:
  explicit Request(const Chain& chain) : chain_(chain) {}
  ~Request() override;

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& head) override;
  proxy::Verdict on_response(proxy::FilterContext& context, http::ResponseHead& head) override;
  void on_end(const proxy::Summary& summary) noexcept override;

 private:
  enum class Fate : uint8_t { kGoesOn, kWaits, kRefused };
  struct Waiting {
    Waiting(net::TimerWheel& wheel, Request& request, uint64_t of_bucket)
        : timer(wheel, &request, &net::Timer::call<Request, &Request::on_turn>),
          bucket(of_bucket) {}
    net::Timer timer;
    const uint64_t bucket;
    bool has_place = true;
  };

  void on_decided() override;
  void on_turn();

  void make_charges(const http::RequestHead& head);
  bool ask();
  bool group_refuses() const;
  void give_all_back();
  Fate settle();
  void let_wait(const Charge& slowest, uint64_t wait_ms);
  void leave_place();
  const Charge* strictest_refusal() const;
  proxy::LocalReply refusal();
  void return_places();
  void tell(http::HeaderList& headers) const;
  void tell_legacy(const Charge& charge, http::HeaderList& headers) const;
  void count(const Charge& charge, proxy::LimitResult result);

  const Chain& chain_;                   // the snapshot's, which the exchange pins
  proxy::Exchange* exchange_ = nullptr;  // whose arena this is in
  std::span<Charge> charges_;
  size_t group_begin_ = 0;               // of the charges that were asked last, of one store ...
  size_t group_end_ = 0;                 // ... and behind them: what is left to ask
  Waiting* waiting_ = nullptr;           // made where it has to wait for its turn
  std::optional<proxy::Resume> resume_;  // while it is parked
};

}  // namespace weir::filters::rate_limit
