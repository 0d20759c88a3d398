#include "filters/cache/tier_value.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/strings.h"
#include "http/cache_fields.h"
#include "http/rules.h"

namespace weir::filters::cache {

namespace {

constexpr std::string_view kMagic = "weir1 ";
constexpr size_t kLineBytesMax = 256;
constexpr size_t kNameBytesMax = 128;
constexpr size_t kFieldsMax = 1024;
constexpr int64_t kMsMax = int64_t{1} << 52;  // some hundred thousand years
// An instance with another order of bytes finds no sense in it.
constexpr uint32_t kByteOrder = 0x01020304;

enum Flag : uint8_t { kAlways = 1, kNever = 2, kAuthorized = 4, kImmutable = 8, kMadeTag = 16 };
constexpr uint8_t kFlagsMax = 31;

// Behind the line; then the texts in this order.
struct Fixed {
  uint32_t byte_order;
  uint16_t status;
  uint8_t by;
  uint8_t flags;
  int64_t received_ms;
  int64_t initial_age_ms;
  int64_t fresh_ms;
  int64_t stale_while_revalidate_ms;
  int64_t stale_if_error_ms;
  uint32_t key_bytes;
  uint32_t vary_bytes;
  uint32_t secondary_bytes;
  uint32_t tags_bytes;
  uint32_t fields_bytes;
  uint32_t body_bytes;
};
static_assert(sizeof(Fixed) == 72);

uint8_t flags_of(const TierValue& value) {
  const http::Lifetime& life = value.lifetime;
  return static_cast<uint8_t>((life.always_validate ? kAlways : 0) |
                              (life.never_stale ? kNever : 0) |
                              (life.for_authorized ? kAuthorized : 0) |
                              (life.immutable ? kImmutable : 0) | (value.etag_made ? kMadeTag : 0));
}

bool read_mark(std::string_view line, TierMark& out) {
  line.remove_prefix(kMagic.size());
  const size_t first = line.find(' ');
  if (first == std::string_view::npos) return false;
  const size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos) return false;
  out.name = line.substr(second + 1);
  return parse_u64(line.substr(0, first), out.asked_ms) &&
         parse_u64(line.substr(first + 1, second - first - 1), out.number) && !out.name.empty() &&
         out.name.size() <= kNameBytesMax && out.asked_ms <= uint64_t{kMsMax};
}

bool read_lifetime(const Fixed& fixed, http::Lifetime& out) {
  for (const int64_t time_ms : {fixed.received_ms, fixed.initial_age_ms, fixed.fresh_ms,
                                fixed.stale_while_revalidate_ms, fixed.stale_if_error_ms}) {
    if (time_ms < 0 || time_ms > kMsMax) return false;
  }
  if (fixed.by > static_cast<uint8_t>(http::LifetimeBy::kHeuristic)) return false;
  if (fixed.flags > kFlagsMax) return false;
  out.received_ms = fixed.received_ms;
  out.initial_age_ms = fixed.initial_age_ms;
  out.fresh_ms = fixed.fresh_ms;
  out.stale_while_revalidate_ms = fixed.stale_while_revalidate_ms;
  out.stale_if_error_ms = fixed.stale_if_error_ms;
  out.by = static_cast<http::LifetimeBy>(fixed.by);
  out.always_validate = (fixed.flags & kAlways) != 0;
  out.never_stale = (fixed.flags & kNever) != 0;
  out.for_authorized = (fixed.flags & kAuthorized) != 0;
  out.immutable = (fixed.flags & kImmutable) != 0;
  return true;
}

// Statuses of answers that can stand for themselves.
bool is_storable(int status) {
  return status >= 200 && status < 600 && status != 206 && status != 304;
}

}  // namespace

// ---- checksum ----

void TierChecksum::mix(uint64_t word) {
  constexpr uint64_t kOdd = 0x9e37'79b9'7f4a'7c15;  // each step can be undone: nothing is lost
  state_ = (state_ ^ word) * kOdd;
  state_ ^= state_ >> 32;
}

void TierChecksum::put(std::string_view bytes) {
  size_ += bytes.size();
  while (partial_bytes_ != 0 && !bytes.empty()) {
    partial_ |= uint64_t{static_cast<uint8_t>(bytes.front())} << (8 * partial_bytes_);
    bytes.remove_prefix(1);
    if (++partial_bytes_ < sizeof(uint64_t)) continue;
    mix(partial_);
    partial_ = 0;
    partial_bytes_ = 0;
  }
  static_assert(std::endian::native == std::endian::little);  // as the bytes of partial_ stand
  for (; bytes.size() >= sizeof(uint64_t); bytes.remove_prefix(sizeof(uint64_t))) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof(word));
    mix(word);
  }
  for (const char c : bytes) {
    partial_ |= uint64_t{static_cast<uint8_t>(c)} << (8 * partial_bytes_++);
  }
}

uint64_t TierChecksum::end() {
  mix(partial_);
  mix(size_);
  return state_;
}

std::string tier_checksum_text(uint64_t checksum) {
  std::string text(kTierChecksumBytes, '\0');
  std::memcpy(text.data(), &checksum, sizeof(checksum));
  return text;
}

// ---- values ----

std::string write_tier_value(const TierValue& value, uint64_t body_bytes) {
  const http::Lifetime& life = value.lifetime;
  std::string out(kMagic);
  out += std::to_string(value.mark.asked_ms) + " " + std::to_string(value.mark.number) + " ";
  out += value.mark.name;
  out += '\n';
  const Fixed fixed = {.byte_order = kByteOrder,
                       .status = value.status,
                       .by = static_cast<uint8_t>(life.by),
                       .flags = flags_of(value),
                       .received_ms = life.received_ms,
                       .initial_age_ms = life.initial_age_ms,
                       .fresh_ms = life.fresh_ms,
                       .stale_while_revalidate_ms = life.stale_while_revalidate_ms,
                       .stale_if_error_ms = life.stale_if_error_ms,
                       .key_bytes = static_cast<uint32_t>(value.key.size()),
                       .vary_bytes = static_cast<uint32_t>(value.vary.size()),
                       .secondary_bytes = static_cast<uint32_t>(value.secondary.size()),
                       .tags_bytes = static_cast<uint32_t>(value.tags.size()),
                       .fields_bytes = static_cast<uint32_t>(value.fields.size()),
                       .body_bytes = static_cast<uint32_t>(body_bytes)};
  const size_t at = out.size();
  out.resize(at + sizeof(fixed));
  std::memcpy(out.data() + at, &fixed, sizeof(fixed));
  for (const std::string_view text :
       {value.key, value.vary, value.secondary, value.tags, value.fields}) {
    out += text;
  }
  return out;
}

std::optional<TierValue> read_tier_value(std::string_view text) {
  if (!text.starts_with(kMagic)) return std::nullopt;
  const size_t end = text.substr(0, kLineBytesMax).find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  TierValue value;
  if (!read_mark(text.substr(0, end), value.mark)) return std::nullopt;
  std::string_view rest = text.substr(end + 1);
  Fixed fixed;
  if (rest.size() < sizeof(fixed) + kTierChecksumBytes) return std::nullopt;
  std::memcpy(&fixed, rest.data(), sizeof(fixed));
  rest.remove_prefix(sizeof(fixed));
  if (fixed.byte_order != kByteOrder || !is_storable(fixed.status)) return std::nullopt;
  if (!read_lifetime(fixed, value.lifetime)) return std::nullopt;
  const uint64_t sum = uint64_t{fixed.key_bytes} + fixed.vary_bytes + fixed.secondary_bytes +
                       fixed.tags_bytes + fixed.fields_bytes + fixed.body_bytes;
  if (rest.size() != sum + kTierChecksumBytes) return std::nullopt;
  if (fixed.status == 204 && fixed.body_bytes > 0) return std::nullopt;
  TierChecksum checksum;
  checksum.put(text.substr(0, text.size() - kTierChecksumBytes));
  if (text.substr(text.size() - kTierChecksumBytes) != tier_checksum_text(checksum.end())) {
    return std::nullopt;
  }
  const auto take = [&rest](uint32_t bytes) {
    const std::string_view taken = rest.substr(0, bytes);
    rest.remove_prefix(bytes);
    return taken;
  };
  value.key = take(fixed.key_bytes);
  value.vary = take(fixed.vary_bytes);
  value.secondary = take(fixed.secondary_bytes);
  value.tags = take(fixed.tags_bytes);
  value.fields = take(fixed.fields_bytes);
  value.body = take(fixed.body_bytes);
  value.status = fixed.status;
  value.etag_made = (fixed.flags & kMadeTag) != 0;
  return value;
}

// ---- fields ----

std::string tier_fields_text(const http::HeaderList& fields) {
  std::string out;
  for (const http::Header& field : fields) {
    out += field.name;
    out += ':';
    out += field.value;
    out += '\n';
  }
  return out;
}

// Fields of one hop are refused as well, and who has set a cookie does not stand in Redis.
bool read_tier_fields(std::string_view text, http::HeaderList& out) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const size_t colon = text.substr(0, end).find(':');
    if (end == std::string_view::npos || colon == std::string_view::npos) return false;
    const std::string_view name = text.substr(0, colon);
    const std::string_view value = text.substr(colon + 1, end - colon - 1);
    if (!http::is_token(name) || !http::is_field_value(value)) return false;
    if (out.size() == kFieldsMax) return false;
    const http::Header field = {name, value, http::classify(name)};
    if (http::is_hop_by_hop(field) || field.id == http::HeaderId::kAge ||
        field.id == http::HeaderId::kSetCookie) {
      return false;
    }
    out.add(field);
    text.remove_prefix(end + 1);
  }
  return true;
}

}  // namespace weir::filters::cache
