#include "net/redis_beat.h"

#include "base/limits.h"
#include "net/worker.h"

namespace weir::net {

// KEYS[1]: instances by the time of their last beat. ARGV: this one, and after how many ms one is
// gone. A time ahead is of a clock that was set back.
const RedisScript kRedisBeatScript = {R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local gone = tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - gone)
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + gone, '+inf')
redis.call('PEXPIRE', KEYS[1], gone)
return redis.call('ZCARD', KEYS[1])
)"};

namespace {

// Often enough that a beat which another worker has failed to send is late by little.
constexpr uint64_t kTickMs = limits::kRedisBeatMs / 4;

}  // namespace

RedisBeat::RedisBeat(Worker& worker, Redis& redis)
    : worker_(worker),
      redis_(redis),
      call_(worker, *this),
      tick_(worker.timers(), this, &Timer::call<RedisBeat, &RedisBeat::on_tick>) {}

void RedisBeat::start() {
  if (!tick_.armed()) tick_.arm_ms(1);
}

void RedisBeat::stop() {
  tick_.cancel();
  call_.cancel();
}

void RedisBeat::on_tick() {
  tick_.arm_ms(kTickMs);
  if (!redis_.up() || call_.waiting()) return;
  if (!redis_.config()->state->take_beat(worker_.now_ms())) return;
  redis_.call(call_, kRedisBeatScript, 1, 2);
}

void RedisBeat::write_words(RedisCommand& command) {
  const RedisConfig& config = *redis_.config();
  command.add(config.key_prefix + "instances");
  command.add(config.state->instance());
  command.add(int64_t{limits::kRedisBeatGoneMs});
}

bool RedisBeat::on_redis_reply(const RedisReply& reply) {
  if (reply.kind != RedisReply::Kind::kInteger) return false;
  if (reply.integer >= 1 && reply.integer <= int64_t{limits::kRedisInstancesMax}) {
    redis_.config()->state->set_instances(static_cast<uint32_t>(reply.integer));
  }
  return true;
}

}  // namespace weir::net
