// Routes with a split: which upstream answers, and what the client is told of it.
#include "base/limits.h"
#include "http/set_cookie.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "proxy/split.h"

namespace weir::proxy {

// Behind the request's filters: a key that one of them sets (a claim of a token) counts, and what a
// client wrote in its place does not.
void Exchange::choose_side() {
  const Split& split = *route_->split;
  side_ = arena_.make<Side>();
  side_->split = &split;
  std::optional<SplitChoice> choice = proxy::choose_side(split, request_, identity_.client, path_);
  if (!choice) {
    char id[36];
    worker_.new_uuid(id);
    side_->drawn = arena_.copy({id, sizeof(id)});
    choice = side_of(split, side_->drawn);
  }
  side_->target = choice->target;
  if (split.rollback != nullptr) {
    side_->counts =
        choice->why != SplitChoice::Why::kHeader && choice->why != SplitChoice::Why::kCookie;
    if (side_->counts && split.rollback->is_rolled_back(side_->target)) side_->target = 0;
    side_->since_us = worker_.net().now_us();
  }
  cluster_ = split.to[side_->target].cluster.get();
  worker_.metrics().split_requests.add(Metrics::split_key(route_label_, cluster_->index));
  if (cluster_->timeouts.total_ms == route_->cluster->timeouts.total_ms) return;
  deadline_.cancel();  // so far the base's was in force
  arm_total();
}

void Exchange::note_side() {
  if (!side_->counts) return;
  constexpr int kFirstOfServerErrors = 500;
  side_->split->rollback->note(side_->target, response_->status >= kFirstOfServerErrors,
                               worker_.net().now_us() - side_->since_us, worker_.net().now_ms());
}

void Exchange::tell_side() {
  const Split& split = *side_->split;
  http::HeaderList& headers = response_->headers;
  add_vary(split.vary_fields, headers);
  if (side_->drawn.empty()) return;
  http::add_cookie(headers, split.cookie, side_->drawn, split.ttl_ms / 1000, scheme() == "https");
}

// The client is gone before there was an answer: a canary that hangs must not look as if nobody
// had asked it.
void Exchange::note_side_left() {
  if (!side_->counts) return;
  side_->split->rollback->note_left(side_->target, worker_.net().now_us() - side_->since_us,
                                    worker_.net().now_ms());
}

}  // namespace weir::proxy
