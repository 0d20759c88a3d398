#include "upstream/sticky.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "http/params.h"
#include "upstream/cluster.h"

namespace weir::upstream {

namespace {

constexpr size_t kIdBytes = 8;
constexpr size_t kTimeBytes = 4;
constexpr size_t kSignedBytes = kIdBytes + kTimeBytes;
constexpr size_t kBytes = kSignedBytes + std::tuple_size_v<net::MacKey::Tag>;
static_assert(Sticky::kValueBytes == 2 * kBytes);

// Clocks of a fleet differ a little.
constexpr uint64_t kSkewS = 60;

void put(uint8_t* out, uint64_t value, size_t bytes) {
  for (size_t i = bytes; i-- > 0; value >>= 8) out[i] = static_cast<uint8_t>(value);
}

uint64_t get(const uint8_t* from, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value = value << 8 | from[i];
  return value;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Lower case only: a value has one way to be written.
bool from_hex(std::string_view text, uint8_t (&out)[kBytes]) {
  for (size_t i = 0; i < kBytes; ++i) {
    const int high = digit_of(text[2 * i]);
    const int low = digit_of(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

std::string_view signed_part(const uint8_t* bytes) {
  return {reinterpret_cast<const char*>(bytes), kSignedBytes};
}

}  // namespace

Sticky::Sticky(std::string cookie, uint64_t ttl_s, std::string_view secret,
               std::string_view upstream, const std::vector<Server>& servers)
    : cookie_(std::move(cookie)),
      ttl_s_(ttl_s),
      key_(secret.empty() ? net::process_secret() : secret,
           "weir sticky cookie of " + std::string(upstream)),
      id_key_(secret.empty() ? net::process_secret() : secret,
              "weir sticky server of " + std::string(upstream)) {
  for (uint32_t i = 0; i < servers.size(); ++i) servers_.emplace_back(id_of(servers[i].address), i);
  std::sort(servers_.begin(), servers_.end());
}

uint64_t Sticky::id_of(std::string_view address) const {
  return get(id_key_.tag(address).data(), kIdBytes);
}

Bond Sticky::read(const http::HeaderList& request, uint64_t now_s) const {
  Bond bond;
  uint32_t looked_at = 0;
  http::for_each_cookie(request, [&](std::string_view name, std::string_view value) {
    if (name != cookie_ || value.size() != kValueBytes) return;
    if (bond.server != Bond::kNobody || ++looked_at > limits::kStickyCookies) return;
    bond = read_value(value, now_s);
  });
  return bond;
}

Bond Sticky::read_value(std::string_view value, uint64_t now_s) const {
  uint8_t bytes[kBytes];
  if (!from_hex(value, bytes)) return {};
  net::MacKey::Tag tag;
  std::memcpy(tag.data(), bytes + kSignedBytes, tag.size());
  if (!net::MacKey::equal(tag, key_.tag(signed_part(bytes)))) return {};
  const uint64_t made_s = get(bytes + kIdBytes, kTimeBytes);
  if (made_s > now_s + kSkewS || now_s > made_s + ttl_s_) return {};
  const std::pair<uint64_t, uint32_t> wanted = {get(bytes, kIdBytes), 0};
  const auto found = std::lower_bound(servers_.begin(), servers_.end(), wanted);
  if (found == servers_.end() || found->first != wanted.first) return {};
  return {found->second, now_s > made_s + ttl_s_ / 2};
}

std::string_view Sticky::write(const Server& server, uint64_t now_s,
                               char (&out)[kValueBytes]) const {
  uint8_t bytes[kBytes];
  put(bytes, id_of(server.address), kIdBytes);
  put(bytes + kIdBytes, now_s, kTimeBytes);
  const net::MacKey::Tag tag = key_.tag(signed_part(bytes));
  std::memcpy(bytes + kSignedBytes, tag.data(), tag.size());
  static constexpr char kHex[] = "0123456789abcdef";
  for (size_t i = 0; i < kBytes; ++i) {
    out[2 * i] = kHex[bytes[i] >> 4];
    out[2 * i + 1] = kHex[bytes[i] & 15];
  }
  return {out, kValueBytes};
}

}  // namespace weir::upstream
