// One entry of `rate_limits` as requests meet it, and what of it outlives a snapshot.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/siphash.h"
#include "filters/rate_limit/key.h"
#include "filters/rate_limit/rule.h"

namespace weir::filters::rate_limit {

class Store;

// What decides where a shared limit's store cannot be asked.
enum class OnStoreFailure : uint8_t {
  kLocal,   // this instance's share of the limit
  kOpen,    // nothing: the request passes
  kClosed,  // 503
};

// Requests that are let through, but later: the n-th of a key's quota waits (n - after) times `by`,
// or just `by` when it is fixed, and never longer than `max`.
struct Delay {
  uint64_t after = 0;
  uint64_t by_ms = 0;  // 0: nobody waits
  uint64_t max_ms = 0;
  bool growing = true;
  uint32_t per_key = 10;  // that may wait at once; the next ones are refused

  uint64_t of(uint64_t used) const;  // in ms
};

// A limit through reloads: what counts for it is found by its secret. Immutable; any thread.
struct LimitState {
  uint32_t label = 0;  // of its name, for metrics (proxy::limit_names())
  SipKey secret = SipKey::random();
  // Of a shared limit, whose secret all instances know: of its keys in tables of this process.
  SipKey own_secret = SipKey::random();
};

// Immutable once bound; shared by the snapshot's routes.
struct Limit {
  std::string name;
  Key key;
  Rule rule;
  Delay delay;
  bool failures_only = false;   // an answer below 400 gives its place back
  bool shared = false;          // one bucket for all instances, in Redis
  bool legacy_headers = false;  // X-RateLimit-* as well
  OnStoreFailure on_store_failure = OnStoreFailure::kLocal;
  int status = 429;               // of a refusal
  std::vector<std::string> skip;  // normalised paths that are not counted; sorted
  // What it is to a client, as RateLimit-Policy has it: `"api";q=21;w=3`.
  std::string policy;
  std::string quoted_name;            // `"api"`
  std::shared_ptr<LimitState> state;  // null until bind()
  Store* store = nullptr;             // that counts; the process's
  bool used = false;                  // some route, site or defaults name it; while it is built

  bool skips(std::string_view path) const;
  // What must be the same for counts to go on after a reload.
  std::string identity() const;
};

// The limits of one file, by name. Built once, then read.
using Limits = std::map<std::string, std::shared_ptr<Limit>, std::less<>>;

// Gives every limit its state: that of the same name and meaning which another snapshot has, or a
// fresh one. Config thread.
void bind(const Limits& limits);

}  // namespace weir::filters::rate_limit
