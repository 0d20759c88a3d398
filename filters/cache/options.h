// What a route's `cache` says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "http/freshness.h"
#include "http/message.h"

namespace weir::filters::cache {

// What of a request makes the key of its answer, apart from scheme, host and path.
struct KeyOptions {
  enum class Query : uint8_t { kSorted, kAsSent, kIgnored };
  enum class User : uint8_t { kNone, kSubject, kClaim };
  Query query = Query::kSorted;
  std::vector<std::string> ignored_parameters = {};  // exact names
  std::vector<std::string> ignored_prefixes = {};    // of "utm_*"
  std::vector<std::string> headers = {};             // names
  std::vector<std::string> cookies = {};             // names
  User user = User::kNone;
  std::string claim = {};  // of kClaim

  bool ignores_some() const { return !ignored_parameters.empty() || !ignored_prefixes.empty(); }
  bool ignores(std::string_view parameter) const;
};

// Immutable, part of a snapshot.
struct Options {
  http::CachePolicy policy;
  KeyOptions key;
  http::MethodSet methods = http::bit(http::Method::kGet) | http::bit(http::Method::kHead);
  uint64_t lock_ms = 5'000;  // 0: nobody waits for another one's fetch
  bool invalidates_on_write = true;
  std::string tags;  // field of answers with names to purge by; empty: none
  bool makes_etag = false;
  std::string status_header;  // "X-Cache"; empty: none
};
using OptionsPtr = std::shared_ptr<const Options>;

}  // namespace weir::filters::cache
