#include "filters/cache/tier_draft.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/arena.h"
#include "filters/cache/stored_head.h"
#include "filters/cache/tier_scripts.h"
#include "http/cache_fields.h"
#include "proxy/snapshot.h"

namespace weir::filters::cache {

namespace {

// What is fresh for less is gone before anybody else asks.
constexpr int64_t kLifeMinMs = 1'000;
// For as long as the list of purges is sure to reach back (proxy/purge_log.h).
constexpr int64_t kLifeMaxMs = 86'400'000;
// Of a value without its body: what a reply has room for besides the body.
constexpr size_t kTextBytesMax = 160 * 1024;

}  // namespace

std::unique_ptr<TierDraft> TierDraft::begin(proxy::ProxyWorker& worker, std::string_view key) {
  if (worker.tier_redis().config() == nullptr) return nullptr;
  std::shared_ptr<const TierView> view = tier().view();
  if (view == nullptr) return nullptr;
  return std::make_unique<TierDraft>(worker, key, std::move(view));
}

void TierDraft::describe(std::string_view vary, std::string_view secondary,
                         std::span<const std::string_view> tags) {
  vary_ = vary;
  secondary_ = secondary;
  for (const std::string_view tag : tags) {
    if (!tags_.empty()) tags_ += ' ';
    tags_ += tag;
  }
}

int64_t TierDraft::now_ms() const { return static_cast<int64_t>(worker_.wall_us() / 1000); }

bool TierDraft::is_worth_it(const Meta& meta) {
  const http::Lifetime& life = meta.lifetime;
  life_ms_ = std::min(life.fresh_ms - life.age_ms(now_ms()), kLifeMaxMs);
  return life_ms_ >= kLifeMinMs && !life.always_validate;
}

void TierDraft::write(const Reader& stored, const Meta& meta, std::string_view packed) {
  if (!is_worth_it(meta)) return;
  BlockPool blocks;
  Arena arena(blocks);
  http::HeaderList fields(arena);
  unpack_head(packed, fields);
  if (fields.find("Set-Cookie") != nullptr) return;
  const std::string fields_text = tier_fields_text(fields);
  TierValue value;
  value.mark = {static_cast<uint64_t>(view_->redis_ms), view_->number, view_->name};
  value.key = key_;
  value.vary = vary_;
  value.secondary = secondary_;
  value.tags = tags_;
  value.fields = fields_text;
  value.lifetime = meta.lifetime;
  value.lifetime.received_ms += view_->redis_ms - view_->local_ms;
  value.status = meta.status;
  value.etag_made = meta.etag_made;
  body_ = stored;
  body_.open(Encoding::kIdentity);  // as it came
  text_ = write_tier_value(value, body_.published());
  const bool written = body_.published() <= worker_.snapshot().tier_object_bytes &&
                       text_.size() <= kTextBytesMax &&
                       worker_.tier_redis().tell(*this, kTierSetScript, 3, 4);
  TierStats& stats = tier().stats;
  (written ? stats.writes : stats.skipped).fetch_add(1, std::memory_order_relaxed);
  body_ = Reader();
}

void TierDraft::write_words(net::RedisCommand& command) {
  const std::string& prefix = worker_.tier_redis().config()->key_prefix;
  command.add(tier_key(prefix, key_, vary_, secondary_));
  command.add(tier_mark_key(prefix, tier_url_of(key_)));
  command.add(tier_key(prefix, key_));
  TierChecksum checksum;
  command.begin_word(text_.size() + body_.published() + kTierChecksumBytes);
  const auto put = [&](std::string_view piece) {
    checksum.put(piece);
    command.put(piece);
  };
  put(text_);
  std::array<std::string_view, 16> spans;
  while (const size_t count = body_.spans(spans, UINT64_MAX)) {
    for (size_t i = 0; i < count; ++i) {
      put(spans[i]);
      body_.consume(spans[i].size());
    }
  }
  command.put(tier_checksum_text(checksum.end()));
  command.add(view_->redis_ms);
  command.add(life_ms_);
  command.add(vary_);
}

}  // namespace weir::filters::cache
