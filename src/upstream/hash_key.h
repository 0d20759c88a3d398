// Which part of a request keeps it with one server (`hash_key`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::http {
struct Address;
struct RequestHead;
}  // namespace weir::http

namespace weir::upstream {

struct HashKey {
  enum class Source : uint8_t { kNone, kClientIp, kPath, kUri, kHeader, kCookie, kQuery };
  Source source = Source::kNone;
  std::string name;  // kHeader, kCookie, kQuery
};

// "client_ip", "path", "uri", "header:N", "cookie:N", "query:N". False: none of them.
bool parse_hash_key(std::string_view text, HashKey& out);

// The bytes that hash_of_request() hashes; a view of the request or of `client`.
std::string_view key_of_request(const HashKey& key, const http::RequestHead& request,
                                const http::Address& client, std::string_view path);

// `client`: behind trusted proxies. `path`: as routes match it. An IPv6 client counts by its /64,
// which is one site's; IPv4 whole. Empty when the request has no such part, or an empty one. Of
// several fields, cookies or parameters of one name the first counts, as it was written.
std::optional<uint64_t> hash_of_request(const HashKey& key, const http::RequestHead& request,
                                        const http::Address& client, std::string_view path);

}  // namespace weir::upstream
