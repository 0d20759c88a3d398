// URLs of which the second tier may have nothing any more: they were written to, or their server
// gives out now what nobody may keep.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filters/cache/store.h"
#include "net/redis.h"
#include "proxy/background.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::cache {

// Owner: the worker's list, until Redis has answered. Thread: the worker's.
class TierWritten final : public proxy::Background, private net::RedisCaller {
 public:
  // What is there of these URLs, without queries, is void from now on, and once Redis has heard of
  // it for all instances.
  static void tell(proxy::ProxyWorker& worker, std::span<const std::string> urls);
  // Once more, what Redis may not have heard of.
  static void tell_again(proxy::ProxyWorker& worker);
  TierWritten(proxy::ProxyWorker& worker, std::vector<std::string> marks)
      : worker_(worker), marks_(std::move(marks)), call_(worker.net(), *this) {}

  void end() override { end(false); }

 private:
  static void start(proxy::ProxyWorker& worker, std::vector<std::string> marks);
  void ask();
  void end(bool told);
  void write_words(net::RedisCommand& command) override;
  bool on_redis_reply(const net::RedisReply& reply) override;
  void on_redis_miss(net::RedisReason) override { end(false); }

  proxy::ProxyWorker& worker_;
  const std::vector<std::string> marks_;
  net::RedisCall call_;
  bool over_ = false;
};

// What `stored` reads is void: in the store, and as a value of its URL in the second tier.
void drop_everywhere(proxy::ProxyWorker& worker, Store& store, const Reader& stored,
                     std::string_view key);

}  // namespace weir::filters::cache
