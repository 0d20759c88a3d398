#include "upstream/hash_key.h"

#include <utility>

#include "http/forwarded.h"
#include "http/message.h"
#include "http/params.h"
#include "upstream/hash_table.h"

namespace weir::upstream {

namespace {

using Source = HashKey::Source;

// The first that has a value.
std::string_view cookie_of(const http::HeaderList& headers, std::string_view wanted) {
  std::string_view found;
  http::for_each_cookie(headers, [&](std::string_view name, std::string_view value) {
    if (found.empty() && name == wanted) found = value;
  });
  return found;
}

std::string_view parameter_of(std::string_view query, std::string_view wanted) {
  std::string_view found;
  http::for_each_parameter(query, [&](std::string_view name, std::string_view value) {
    if (found.empty() && http::equals_decoded(name, wanted)) found = value;
  });
  return found;
}

std::string_view client_of(const http::Address& client) {
  constexpr size_t kSiteBytes = 8;
  return {reinterpret_cast<const char*>(client.bytes),
          client.v4 ? sizeof(client.bytes) : kSiteBytes};
}

}  // namespace

std::string_view key_of_request(const HashKey& key, const http::RequestHead& request,
                                const http::Address& client, std::string_view path) {
  switch (key.source) {
    case Source::kNone: break;
    case Source::kClientIp: return client_of(client);
    case Source::kPath: return path;
    case Source::kUri: return request.target;
    case Source::kHeader: {
      const http::Header* header = request.headers.find(key.name);
      return header == nullptr ? std::string_view() : header->value;
    }
    case Source::kCookie: return cookie_of(request.headers, key.name);
    case Source::kQuery: return parameter_of(request.query, key.name);
  }
  return {};
}

bool parse_hash_key(std::string_view text, HashKey& out) {
  constexpr std::pair<std::string_view, Source> kWhole[] = {
      {"client_ip", Source::kClientIp}, {"path", Source::kPath}, {"uri", Source::kUri}};
  constexpr std::pair<std::string_view, Source> kNamed[] = {
      {"header:", Source::kHeader}, {"cookie:", Source::kCookie}, {"query:", Source::kQuery}};
  for (const auto& [word, source] : kWhole) {
    if (text != word) continue;
    out = {source, {}};
    return true;
  }
  for (const auto& [prefix, source] : kNamed) {
    if (!text.starts_with(prefix) || text.size() == prefix.size()) continue;
    out = {source, std::string(text.substr(prefix.size()))};
    return true;
  }
  return false;
}

std::optional<uint64_t> hash_of_request(const HashKey& key, const http::RequestHead& request,
                                        const http::Address& client, std::string_view path) {
  const std::string_view part = key_of_request(key, request, client, path);
  if (part.empty()) return std::nullopt;
  return hash_bytes(part);
}

}  // namespace weir::upstream
