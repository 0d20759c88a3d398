#include "proxy/filter.h"

#include "base/check.h"
#include "proxy/body.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

std::pair<Parked, Resume> FilterContext::park() {
  WEIR_CHECK(!exchange_.park_called_);
  exchange_.park_called_ = true;
  return {Parked(), Resume(exchange_.worker(), exchange_.id(), exchange_.epoch())};
}

void FilterContext::record(std::unique_ptr<Recorder> recorder) {
  WEIR_CHECK(exchange_.recorder_ == nullptr && !exchange_.local_);
  exchange_.recorder_ = std::move(recorder);
}

ResponseSource* FilterContext::source() { return exchange_.source_; }

void FilterContext::transform_body(BodyStage& stage) {
  WEIR_CHECK(exchange_.stage_ == nullptr);
  exchange_.stage_ = &stage;
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
  fire(std::move(dropped));
}

void Resume::next() && { fire(Next{}); }

void Resume::reply(LocalReply reply) && { fire(std::move(reply)); }

void Resume::serve(Serve serve) && { fire(serve); }

// Always in a later round of the turn: the filter's frame, and the exchange's, are off the stack
// then.
void Resume::fire(Outcome outcome) {
  ProxyWorker* worker = std::exchange(worker_, nullptr);
  WEIR_CHECK(worker != nullptr);
  worker->net().defer([worker, id = exchange_, epoch = epoch_, outcome = std::move(outcome)] {
    if (Exchange* exchange = worker->exchanges().find(id)) exchange->resume(epoch, outcome);
  });
}

}  // namespace weir::proxy
