#include "filters/cache/tier_written.h"

#include <memory>

#include "filters/cache/tier.h"
#include "filters/cache/tier_scripts.h"
#include "proxy/purge_log.h"

namespace weir::filters::cache {

void TierWritten::tell(proxy::ProxyWorker& worker, std::span<const std::string> urls) {
  const net::RedisConfig* const config = worker.tier_redis().config();
  if (config == nullptr) return;
  std::vector<std::string> marks;
  for (const std::string& url : urls) marks.push_back(tier_mark_key(config->key_prefix, url));
  tier().begin_writes(marks);
  start(worker, std::move(marks));
}

void TierWritten::tell_again(proxy::ProxyWorker& worker) {
  constexpr size_t kAtOnce = 64;
  start(worker, tier().take_untold(kAtOnce));
}

void TierWritten::start(proxy::ProxyWorker& worker, std::vector<std::string> marks) {
  if (marks.empty()) return;
  auto written = std::make_unique<TierWritten>(worker, std::move(marks));
  TierWritten& begun = *written;
  worker.adopt_background(std::move(written));
  begun.ask();
}

void TierWritten::ask() {
  const auto keys = static_cast<uint32_t>(marks_.size());
  if (!worker_.tier_redis().call(call_, kTierWrittenScript, keys, 0)) end(false);
}

void TierWritten::write_words(net::RedisCommand& command) {
  for (const std::string& mark : marks_) command.add(mark);
}

bool TierWritten::on_redis_reply(const net::RedisReply& reply) {
  if (reply.kind != net::RedisReply::Kind::kInteger) return false;
  end(true);
  tell_again(worker_);  // Redis is well: what it has missed before, too
  return true;
}

void TierWritten::end(bool told) {
  if (std::exchange(over_, true)) return;
  call_.cancel();
  // A purge of all is heard by every instance.
  if (!tier().end_writes(marks_, told)) {
    proxy::purge_log().tell({proxy::PurgeOrder::What::kAll, "", true});
  }
  worker_.forget(*this);
}

void drop_everywhere(proxy::ProxyWorker& worker, Store& store, const Reader& stored,
                     std::string_view key) {
  const std::string url(tier_url_of(key));
  TierWritten::tell(worker, {&url, 1});
  store.remove(stored);
}

}  // namespace weir::filters::cache
