#include "filters/rate_limit/reset.h"

#include <utility>

#include "filters/rate_limit/local_store.h"
#include "filters/rate_limit/shared_script.h"
#include "filters/rate_limit/shared_store.h"
#include "net/redis.h"
#include "proxy/background.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::rate_limit {

namespace {

using proxy::LimitBook;

struct Order {
  std::shared_ptr<const Limit> limit;
  uint64_t bucket = 0;
  LimitBook::ResetState state;
};

// Redis first: what it says before that must not come to be known here after it was forgotten.
class SharedReset final : public proxy::Background, private net::RedisCaller {
 public:
  SharedReset(proxy::ProxyWorker& worker, Order order)
      : worker_(worker), order_(std::move(order)), call_(worker.net(), *this) {}

  // Once it is the worker's; may end it.
  void begin() {
    if (!worker_.redis().call(call_, kSharedScript, 1, 1)) end();
  }
  void end() override {
    call_.cancel();
    finish(LimitBook::Reset::kMissed);
  }

 private:
  void write_words(net::RedisCommand& command) override {
    const std::string& prefix = worker_.redis().config()->key_prefix;
    add_key(command, prefix, order_.limit->name, order_.bucket);
    command.add("reset");
  }
  bool on_redis_reply(const net::RedisReply& reply) override {
    if (reply.kind != net::RedisReply::Kind::kInteger) return false;
    finish(LimitBook::Reset::kDone);
    return true;
  }
  void on_redis_miss(net::RedisReason) override { finish(LimitBook::Reset::kMissed); }

  void finish(LimitBook::Reset how) {
    shared_store().forget(*order_.limit, order_.bucket);
    order_.state->store(how);
    worker_.forget(*this);
  }

  proxy::ProxyWorker& worker_;
  const Order order_;
  net::RedisCall call_;
};

class Book final : public LimitBook {
 public:
  explicit Book(Limits limits) : limits_(std::move(limits)) {}

  bool has(std::string_view limit) const override { return limits_.contains(limit); }

  weir::Result<ResetState> reset(std::string_view name, std::string_view key,
                                 const Post& post) const override {
    const std::shared_ptr<const Limit> limit = limits_.find(name)->second;
    weir::Result<uint64_t> bucket = hash_text(limit->key, limit->state->secret, key);
    if (!bucket.ok()) return weir::Result<ResetState>::failure(bucket.error());
    auto state = std::make_shared<std::atomic<Reset>>(Reset::kUnderWay);
    if (!limit->shared) {
      local_store().forget(bucket.value());
      state->store(Reset::kDone);
      return state;
    }
    const Order order = {limit, bucket.value(), state};
    const bool posted = post([order](proxy::ProxyWorker& worker) {
      auto reset = std::make_unique<SharedReset>(worker, order);
      SharedReset& begun = *reset;
      worker.adopt_background(std::move(reset));
      begun.begin();
    });
    if (!posted) state->store(Reset::kMissed);
    return state;
  }

 private:
  const Limits limits_;
};

}  // namespace

std::shared_ptr<const LimitBook> make_book(const Limits& limits) {
  return limits.empty() ? nullptr : std::make_shared<Book>(limits);
}

}  // namespace weir::filters::rate_limit
