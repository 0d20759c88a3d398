// A stored answer as it stands in Redis, under a key of its own (tier.h):
//
//   weir1 ASKED NUMBER NAME<LF>     when its server was asked, and after which purge: for the
//   scripts sizes, status, times, texts, body, checksum
//
// Times are of Redis's clock, so that instances need not agree on theirs. Whoever can write to
// Redis can write anything: each length is checked, and what comes out may be sent to clients.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/freshness.h"
#include "http/headers.h"

namespace weir::filters::cache {

// Where the list of purges ended when a server was about to be asked, by which its answer can be
// told from what was purged later.
struct TierMark {
  uint64_t asked_ms = 0;
  uint64_t number = 0;    // of the last purge (proxy/purge_log.h), and
  std::string_view name;  // what it was called
};

// Views of the value, or of what is to become one.
struct TierValue {
  TierMark mark;
  std::string_view key;   // primary, whole: a hash alone would be a promise
  std::string_view vary;  // as Answer has both
  std::string_view secondary;
  std::string_view tags;    // between blanks
  std::string_view fields;  // fields_text()
  std::string_view body;    // of read_tier_value()
  http::Lifetime lifetime;
  uint16_t status = 0;
  bool etag_made = false;
};

// Streamed, 8 bytes at a time: no change within one such word stays unseen, others hardly ever.
class TierChecksum {
 public:
  void put(std::string_view bytes);
  uint64_t end();

 private:
  void mix(uint64_t word);
  uint64_t state_ = 0;
  uint64_t size_ = 0;
  uint64_t partial_ = 0;  // bytes of the word that has begun
  unsigned partial_bytes_ = 0;
};

// What stands before the body, and the bytes of the checksum behind it.
std::string write_tier_value(const TierValue& value, uint64_t body_bytes);
inline constexpr size_t kTierChecksumBytes = sizeof(uint64_t);
std::string tier_checksum_text(uint64_t checksum);

// Nothing: it is none, of another version, or broken.
std::optional<TierValue> read_tier_value(std::string_view text);

// "name:value<LF>" of each.
std::string tier_fields_text(const http::HeaderList& fields);
// Views of `text`. False: there is something that must not reach a client.
bool read_tier_fields(std::string_view text, http::HeaderList& out);

}  // namespace weir::filters::cache
