// What a limit counts by: the parts of a request that tell its clients apart (`key`).
//
// A request that lacks a part (no such header, cookie, parameter or claim, or an empty one) is
// counted by its client's address in its place: leaving a key out buys nobody a bucket of his own,
// and those who do share no bucket with each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "base/siphash.h"

namespace weir::http {
struct Address;
struct RequestHead;
}  // namespace weir::http
namespace weir::proxy {
class Claims;
}

namespace weir::filters::rate_limit {

struct KeyPart {
  enum class Source : uint8_t {
    kClientIp,
    kHost,
    kPath,
    kRoute,
    kHeader,
    kCookie,
    kQuery,
    kJwt,  // a claim of the token that auth.jwt let pass
  };
  Source source = Source::kClientIp;
  std::string name;  // kHeader, kCookie, kQuery, kJwt
};

// "client_ip", "host", "path", "route", "header:N", "cookie:N", "query:N", "jwt:N". Nothing: none
// of them.
std::optional<KeyPart> parse_key_part(std::string_view text);
std::string key_part_text(const KeyPart& part);  // the same, backwards

struct Key {
  std::vector<KeyPart> parts;  // one at least
  uint32_t ipv6_prefix = 64;   // bits of an IPv6 client that count; of IPv4 all do

  bool asks_for_claims() const;  // which are known behind auth alone
};

// Of a request, what keys are made of. Views that outlive the call.
struct Asked {
  const http::RequestHead& head;
  std::string_view path;        // normalised, as routes match it
  std::string_view route;       // its name
  const http::Address* client;  // behind trusted proxies; null for key_text() only: not known
  const proxy::Claims* claims = nullptr;  // null: no token
};

// A number for the key's bucket, which nobody can choose who does not know `secret`. Allocates
// nothing but, of a query, what it decodes.
uint64_t hash_key(const Key& key, const SipKey& secret, const Asked& asked, Arena& arena);

// The same key as text, "header:X-Api-Key=abc&client_ip=192.0.2.1": equal texts, equal buckets.
// For people (`weir explain`): an unknown client is "$client_ip", and so is a claim "$claim".
std::string key_text(const Key& key, const Asked& asked, Arena& arena);

// The bucket of requests with that key_text(); or what it looks like.
weir::Result<uint64_t> hash_text(const Key& key, const SipKey& secret, std::string_view text);

}  // namespace weir::filters::rate_limit
