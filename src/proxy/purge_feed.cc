#include "proxy/purge_feed.h"

#include <utility>

#include "base/log.h"
#include "net/helpers.h"
#include "net/worker.h"
#include "proxy/answer_store.h"
#include "proxy/proxy_worker.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

namespace {

constexpr uint64_t kTickMs = 400;  // a purge is heard after this and the time of a call, at most
// Until the first answer: what has been kept by then may have been purged by others.
constexpr uint64_t kFirstTickMs = 50;

}  // namespace

PurgeFeed::PurgeFeed(ProxyWorker& worker)
    : worker_(worker),
      call_(worker.net(), *this),
      tick_(worker.net().timers(), this, &net::Timer::call<PurgeFeed, &PurgeFeed::on_tick>) {}

PurgeFeed::~PurgeFeed() { stop(); }

void PurgeFeed::start(std::shared_ptr<const Snapshot> snapshot) {
  const bool was_stopped = snapshot_ == nullptr;
  snapshot_ = std::move(snapshot);
  if (!was_stopped) return;
  tick_.arm_ms(1);
  purge_log().add_waker(this, [this, slot = worker_.net().mail_slot()] {
    slot->post([this](net::Worker&) { ask(); });  // in a turn of its own; not once it is gone
  });
}

void PurgeFeed::stop() {
  if (snapshot_ == nullptr) return;
  purge_log().remove_waker(this);
  tick_.cancel();
  if (call_.waiting()) purge_log().miss(asked_);
  call_.cancel();
  snapshot_ = nullptr;
}

void PurgeFeed::on_tick() {
  const net::RedisConfig* const config = worker_.redis().config();
  const bool known = config != nullptr && purge_log().knows(*config->state);
  tick_.arm_ms(known ? kTickMs : kFirstTickMs);
  ask();
}

void PurgeFeed::ask() {
  net::Redis& redis = worker_.redis();
  if (snapshot_ == nullptr || !redis.up() || call_.waiting()) return;
  if (!purge_log().begin(*redis.config()->state, worker_.net().now_ms(), asked_)) return;
  const auto arguments = static_cast<uint32_t>(4 + asked_.entries.size());
  if (!redis.call(call_, kPurgeScript, 1, arguments)) purge_log().miss(asked_);
}

void PurgeFeed::write_words(net::RedisCommand& command) {
  command.add(worker_.redis().config()->key_prefix + "purges");
  command.add(static_cast<int64_t>(asked_.number));
  command.add(asked_.name);
  command.add(asked_.instance + ".0-" + std::to_string(asked_.token));
  command.add(int64_t{asked_.renews ? 1 : 0});
  for (const auto& [name, order] : asked_.entries) command.add(name + " " + order);
}

bool PurgeFeed::on_redis_reply(const net::RedisReply& reply) {
  PurgeLog::News news;
  if (!purge_log().take(asked_, reply, news)) return false;
  const bool more = news.more;
  obey(std::move(news));
  if (more) ask();
  return true;
}

void PurgeFeed::on_redis_miss(net::RedisReason) { purge_log().miss(asked_); }

// Much may match: that is no work for a loop.
void PurgeFeed::obey(PurgeLog::News news) {
  AnswerStore& answers = *snapshot_->answers;
  if (news.lost && !answers.unused()) {
    log_warn("cache: purges of other instances may have been missed: what is kept is validated");
    answers.outdate_all();
  }
  if (news.orders.empty()) return;
  const bool taken = net::helpers().submit([orders = std::move(news.orders), of = snapshot_] {
    for (const PurgeOrder& order : orders) of->answers->purge(order, *of);
  });
  if (!taken) answers.outdate_all();
}

}  // namespace weir::proxy
