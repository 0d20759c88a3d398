#include "proxy/filter.h"

#include "base/check.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

std::pair<Parked, Resume> FilterContext::park() {
  WEIR_CHECK(!exchange_.park_called_);
  exchange_.park_called_ = true;
  return {Parked(), Resume(exchange_.worker(), exchange_.id(), exchange_.epoch())};
}

Resume::Resume(ProxyWorker& worker, Id exchange, uint32_t epoch)
    : worker_(&worker), exchange_(exchange), epoch_(epoch) {}

Resume::Resume(Resume&& other) noexcept
    : worker_(std::exchange(other.worker_, nullptr)),
      exchange_(other.exchange_),
      epoch_(other.epoch_) {}

Resume::~Resume() {
  if (worker_ == nullptr) return;
  LocalReply dropped;
  dropped.kind = ErrorKind::kInternal;
  dropped.why = "a filter dropped the exchange";
  fire(false, std::move(dropped));
}

void Resume::next() && { fire(true, {}); }

void Resume::reply(LocalReply reply) && { fire(false, std::move(reply)); }

// Always in a later round of the turn: the filter's frame, and the exchange's, are off the stack
// then.
void Resume::fire(bool proceed, LocalReply reply) {
  ProxyWorker* worker = std::exchange(worker_, nullptr);
  WEIR_CHECK(worker != nullptr);
  worker->net().defer([worker, id = exchange_, epoch = epoch_, proceed, reply = std::move(reply)] {
    if (Exchange* exchange = worker->exchanges().find(id)) exchange->resume(epoch, proceed, reply);
  });
}

}  // namespace weir::proxy
