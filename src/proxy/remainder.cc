#include "proxy/remainder.h"

#include <utility>

#include "base/limits.h"
#include "net/worker.h"
#include "proxy/proxy_worker.h"
#include "upstream/cluster.h"
#include "upstream/queue.h"

namespace weir::proxy {

Remainder::Remainder(ProxyWorker& worker, Rest&& rest)
    : worker_(worker),
      rest_(std::move(rest)),
      arena_(worker.net().blocks()),
      head_(arena_),
      deadline_(worker.net().timers(), this, &net::Timer::call<Remainder, &Remainder::end>) {
  ++rest_.epoch->pins;
  rest_.conn->hand_to(*this);
  rest_.conn->resume();
  deadline_.arm_ms(rest_.left_ms != 0 ? rest_.left_ms : limits::kRemainderMs);
}

Remainder::~Remainder() = default;

void Remainder::on_response_body(std::string_view piece) {
  if (!rest_.recorder->put(piece)) finish(false);
}

void Remainder::on_response_end() {
  rest_.recorder->complete();
  finish(true);
}

void Remainder::on_conn_failed(const Error&) {
  rest_.conn = nullptr;
  finish(false);
}

void Remainder::finish(bool keep_connection) {
  if (std::exchange(over_, true)) return;
  deadline_.cancel();
  rest_.recorder = nullptr;
  if (upstream::ServerSide* conn = std::exchange(rest_.conn, nullptr)) {
    if (keep_connection) {
      conn->release();
    } else {
      conn->abandon();
    }
  }
  rest_.in_flight->in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (rest_.gate != nullptr) rest_.gate->leave();
  worker_.metrics()
      .upstream_duration.at(rest_.cluster->index)
      .observe_us(worker_.net().now_us() - rest_.started_us);
  worker_.unpin(rest_.epoch);
  worker_.forget(*this);
}

}  // namespace weir::proxy
