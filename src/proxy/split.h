// Traffic split: which of several upstreams answers a request (canary, A/B). A pure function of the
// request and the configuration: every worker, and every instance of weir, says the same.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/headers.h"
#include "upstream/cluster.h"
#include "upstream/hash_key.h"
#include "upstream/rollback.h"

namespace weir::http {
struct Address;
struct RequestHead;
}  // namespace weir::http

namespace weir::proxy {

// Users are put into so many buckets: a weight is a percentage with two decimals.
inline constexpr uint32_t kSplitBuckets = 10'000;
inline constexpr size_t kSplitTargetsMax = 16;

// `salt` makes two splits independent of each other: who is in the first tenth of one may be
// anywhere in the other. Never changes: users would change sides.
uint32_t split_bucket(std::string_view key, uint64_t salt);

// Whose each bucket is: an index of `weights`, which total kSplitBuckets. The first target, the
// base, has what the others leave. Each of these grows from a place of its own, the first from the
// bottom and the second from the top: as long as they do not meet, a weight that changes moves
// users between that target and the base, and no others.
std::vector<uint8_t> split_layout(const std::vector<uint32_t>& weights);

struct SplitTarget {
  std::shared_ptr<const upstream::Cluster> cluster;
  uint32_t buckets = 0;  // its weight
};

// Immutable, part of a snapshot, once finish() was called.
struct Split {
  std::string name;        // what the salt is made of
  std::string key_text;    // as configured
  upstream::HashKey key;   // kNone: only the cookie tells users apart
  bool remembers = false;  // who has no key gets a random side and a cookie that remembers it
  std::string cookie = "weir_split";
  uint64_t ttl_ms = 30 * uint64_t{86'400'000};  // of the cookie
  std::string override_header;                  // for testers, who name an upstream; empty: none
  std::string override_cookie;
  bool vary = true;  // shared caches are told what the choice depends on
  std::vector<SplitTarget> to;
  std::optional<upstream::RollbackConfig> rollback_rule;
  std::shared_ptr<upstream::Rollback> rollback;  // where there is a rule: what all workers know

  // What a rollback holds for: it is over when any of this changes.
  std::string identity() const;
  std::vector<std::string> upstreams() const;

  // Made of the above.
  void finish();
  uint64_t salt = 0;
  std::vector<uint8_t> owners;           // of the buckets
  std::vector<std::string> vary_fields;  // what of a request decides, apart from its URI
  uint8_t control = 0;  // whose requests without a key are: the first with a weight
};

struct SplitChoice {
  enum class Why : uint8_t { kHeader, kCookie, kKey, kRemembered, kNoKey, kDrawn };
  Why why = Why::kNoKey;
  uint8_t target = 0;  // of Split::to
  uint32_t bucket = 0;
};

// `client` and `path` as in upstream::key_of_request(). Nothing: the request has no key yet, and
// one is to be drawn.
std::optional<SplitChoice> choose_side(const Split& split, const http::RequestHead& request,
                                       const http::Address& client, std::string_view path);
// By a key that was drawn.
SplitChoice side_of(const Split& split, std::string_view drawn);

// Adds to Vary what is not in it yet.
void add_vary(const std::vector<std::string>& fields, http::HeaderList& headers);

// A configuration is about to be in force: splits with a rule that `before` did not have, or had
// otherwise, begin anew, and nobody is rolled back there.
struct Snapshot;
void begin_new_splits(const Snapshot& before, const Snapshot& now);

// What an exchange keeps of its choice, in its arena.
struct Side {
  const Split* split = nullptr;  // the pinned snapshot's
  uint8_t target = 0;
  bool counts = false;  // for the rollback rule: testers do not
  uint64_t since_us = 0;
  std::string_view drawn;  // what the cookie is to remember; empty: nothing new
};

}  // namespace weir::proxy
