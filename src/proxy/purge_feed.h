// Carries purges between this instance and the others through Redis: one worker of the process at a
// time asks (purge_log.h), as with the heartbeat (net/redis_beat.h).
#pragma once

#include <memory>

#include "net/redis.h"
#include "net/timer_wheel.h"
#include "proxy/purge_log.h"

namespace weir::proxy {

class ProxyWorker;

// Owner: the ProxyWorker, whose Redis outlives it. Thread: the worker's.
class PurgeFeed final : private net::RedisCaller {
 public:
  explicit PurgeFeed(ProxyWorker& worker);
  ~PurgeFeed();

  // Idempotent; after each Redis::configure(). What it hears is for the answers of `snapshot`.
  void start(std::shared_ptr<const Snapshot> snapshot);
  void stop();

 private:
  void write_words(net::RedisCommand& command) override;
  bool on_redis_reply(const net::RedisReply& reply) override;
  void on_redis_miss(net::RedisReason why) override;
  void on_tick();
  void ask();
  void obey(PurgeLog::News news);

  ProxyWorker& worker_;
  net::RedisCall call_;
  net::Timer tick_;
  std::shared_ptr<const Snapshot> snapshot_;  // null: stopped
  PurgeLog::Question asked_;
};

}  // namespace weir::proxy
