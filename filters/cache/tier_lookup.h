// One question to the second tier: the answer of a key, for a request of certain fields. Two calls
// where the answers of the key have a Vary, with one deadline.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "filters/cache/options.h"
#include "filters/cache/tier_scripts.h"
#include "filters/cache/tier_value.h"
#include "http/cache_fields.h"
#include "http/freshness.h"
#include "net/redis.h"
#include "proxy/proxy_worker.h"
#include "proxy/purge_order.h"

namespace weir::filters::cache {

// Whether one of `orders` hits what has this primary key and these tags.
bool is_purged(std::span<const proxy::PurgeOrder> orders, std::string_view key,
               std::string_view tags, const proxy::Snapshot& snapshot);

// Whether answers to such requests may be in the second tier. What is somebody's is not.
bool shares_tier(const Options& options, const http::Asked& asked);

// In the arena of whoever asks, who cancels it before that goes. Thread: the worker's.
class TierLookup final : private net::RedisCaller {
 public:
  class User {
   public:
    // Its times are of this instance's clock; good during the call. Null: there is none. False: he
    // has no use for it.
    virtual bool on_tier(const TierValue* value) = 0;

   protected:
    ~User() = default;
  };

  // `key` and what `fields` is of outlive it.
  TierLookup(proxy::ProxyWorker& worker, std::string_view key, const http::CacheFields& fields,
             User& user);

  // False: Redis cannot be asked, and nobody is told.
  bool start();
  void cancel() { call_.cancel(); }

 private:
  void write_words(net::RedisCommand& command) override;
  bool on_redis_reply(const net::RedisReply& reply) override;
  void on_redis_miss(net::RedisReason) override { miss(); }
  void miss();
  bool ask(std::string key, uint64_t timeout_ms);
  bool use(const net::RedisReply& reply);
  bool ask_variant(std::string_view vary);
  bool is_void(const net::RedisReply& reply, const TierValue& value) const;
  int64_t now_ms() const;

  proxy::ProxyWorker& worker_;
  const std::string_view key_;
  const http::CacheFields& fields_;
  User& user_;
  net::RedisCall call_;
  std::string value_key_;
  std::string mark_key_;
  int64_t asked_at_ms_ = 0;  // the last time
  uint64_t until_ms_ = 0;    // of the loop's clock
  bool varies_ = false;      // the second call
};

}  // namespace weir::filters::cache
