// An answer that may go into the second tier, once it is stored here.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "filters/cache/meta.h"
#include "filters/cache/reader.h"
#include "filters/cache/tier.h"
#include "filters/cache/tier_value.h"
#include "net/redis.h"
#include "proxy/proxy_worker.h"

namespace weir::filters::cache {

// A member of whoever asks the server. Thread: the worker's.
class TierDraft final : private net::RedisWords {
 public:
  // Before the server is asked. Null: nothing is to be written, or Redis has said nothing yet.
  static std::unique_ptr<TierDraft> begin(proxy::ProxyWorker& worker, std::string_view key);
  TierDraft(proxy::ProxyWorker& worker, std::string_view key, std::shared_ptr<const TierView> view)
      : worker_(worker), key_(key), view_(std::move(view)) {}

  // What its variant is told apart by, and purged by. Copied.
  void describe(std::string_view vary, std::string_view secondary,
                std::span<const std::string_view> tags);
  // REQUIRES describe(). Writes what `stored` has under that head, if it is worth it and Redis has
  // room; nobody hears what becomes of it.
  void write(const Reader& stored, const Meta& meta, std::string_view packed);

 private:
  void write_words(net::RedisCommand& command) override;
  bool is_worth_it(const Meta& meta);
  int64_t now_ms() const;

  proxy::ProxyWorker& worker_;
  const std::string key_;
  const std::shared_ptr<const TierView> view_;
  std::string vary_;
  std::string secondary_;
  std::string tags_;
  // Of the call.
  std::string text_;  // of the value, before its body
  Reader body_;
  int64_t life_ms_ = 0;
};

}  // namespace weir::filters::cache
