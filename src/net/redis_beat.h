// The heartbeat by which instances of weir that share a Redis count each other. One per process and
// limits::kRedisBeatMs, by whichever worker is first; who was silent for limits::kRedisBeatGoneMs
// is not counted. Without Redis the last number holds.
#pragma once

#include "net/redis.h"
#include "net/timer_wheel.h"

namespace weir::net {

// A RedisConfig names it among its scripts.
extern const RedisScript kRedisBeatScript;

// Owner: the ProxyWorker, beside its Redis, which outlives it. Thread: the worker's.
class RedisBeat final : private RedisCaller {
 public:
  RedisBeat(Worker& worker, Redis& redis);

  void start();  // idempotent; after each Redis::configure()
  void stop();

 private:
  void write_words(RedisCommand& command) override;
  bool on_redis_reply(const RedisReply& reply) override;
  void on_redis_miss(RedisReason) override {}
  void on_tick();

  Worker& worker_;
  Redis& redis_;
  RedisCall call_;
  Timer tick_;
};

}  // namespace weir::net
