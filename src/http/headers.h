// Header fields of one message: names and values are views into the message's arena, in the order
// in which they came. Thread-confined; dies with the arena.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "base/check.h"
#include "base/strings.h"

namespace weir::http {

// Fields that weir itself reads or writes. Everything else is kOther and told apart by name.
enum class HeaderId : uint8_t {
  kOther,
  // Hop-by-hop (RFC 9110 7.6.1): never forwarded as they came.
  kConnection,
  kKeepAlive,
  kProxyConnection,
  kTe,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kHttp2Settings,
  kProxyAuthenticate,
  kProxyAuthorization,
  kProxy,
  // Framing and routing.
  kContentLength,
  kHost,
  kExpect,
  kMaxForwards,
  // What weir adds.
  kVia,
  kServer,
  kForwarded,
  kXForwardedFor,
  kXForwardedProto,
  kXForwardedHost,
  kXForwardedPort,
  kXRealIp,
  // What weir reads.
  kUserAgent,
  kReferer,
  kAccept,
  kOrigin,
  kCookie,
  kLocation,
  kContentType,
  kTraceparent,
  // What caching, conditionals, ranges and content coding are about, in requests
  kAcceptEncoding,
  kAuthorization,
  kIfMatch,
  kIfModifiedSince,
  kIfNoneMatch,
  kIfRange,
  kIfUnmodifiedSince,
  kPragma,
  kRange,
  // and in answers; Cache-Control in both.
  kAge,
  kCacheControl,
  kCdnCacheControl,
  kContentEncoding,
  kContentLocation,
  kContentRange,
  kDate,
  kEtag,
  kExpires,
  kLastModified,
  kSetCookie,
  kVary,
};

// One bit per id, for sets of them.
constexpr uint64_t bit(HeaderId id) { return uint64_t{1} << static_cast<unsigned>(id); }

// From kAcceptEncoding to kVary: cache_fields.h.
inline constexpr HeaderId kCachingFirst = HeaderId::kAcceptEncoding;
inline constexpr uint64_t kCachingMask = (bit(HeaderId::kVary) << 1) - bit(kCachingFirst);
inline constexpr size_t kCachingFields = std::popcount(kCachingMask);

// By Connection, as all of kOther can. Of the others weir itself answers for what they say.
constexpr bool can_be_named_away(HeaderId id) {
  constexpr uint64_t kAnsweredFor = bit(HeaderId::kAuthorization) | bit(HeaderId::kDate);
  return id == HeaderId::kOther || (bit(id) & kCachingMask & ~kAnsweredFor) != 0;
}

// Fields that always end at this hop (RFC 9110 7.6.1, and "Proxy": httpoxy).
inline constexpr uint64_t kHopByHopMask =
    bit(HeaderId::kConnection) | bit(HeaderId::kKeepAlive) | bit(HeaderId::kProxyConnection) |
    bit(HeaderId::kTe) | bit(HeaderId::kTrailer) | bit(HeaderId::kTransferEncoding) |
    bit(HeaderId::kUpgrade) | bit(HeaderId::kHttp2Settings) | bit(HeaderId::kProxyAuthenticate) |
    bit(HeaderId::kProxyAuthorization) | bit(HeaderId::kProxy);

// What servers are told of the client by weir's own rules (HD-17 to HD-20).
inline constexpr uint64_t kForwardingMask =
    bit(HeaderId::kForwarded) | bit(HeaderId::kXForwardedFor) | bit(HeaderId::kXForwardedProto) |
    bit(HeaderId::kXForwardedHost) | bit(HeaderId::kXForwardedPort) | bit(HeaderId::kXRealIp);

// By length and first byte, then compared without regard to case. Never allocates.
HeaderId classify(std::string_view name);

// The trace id of a valid W3C traceparent value, or empty.
std::string_view trace_id_of(std::string_view traceparent);

struct Header {
  std::string_view name;
  std::string_view value;  // without surrounding whitespace
  HeaderId id = HeaderId::kOther;
  // "name: value" and CRLF stand in a row, where they were read and found sound.
  bool in_line = false;
  // A secret of the peer's, which no compression may keep for others to guess at (RFC 7541 7.1.3).
  bool never_indexed = false;

  // Of that name, which is classified as `id_of`.
  bool is(HeaderId id_of, std::string_view its_name) const {
    return id == id_of && (id != HeaderId::kOther || iequals(name, its_name));
  }
  size_t line_bytes() const { return name.size() + value.size() + 4; }
  // All of that; empty where it would have to be written first.
  std::string_view line() const {
    if (!in_line) return {};
    return {name.data(), line_bytes()};
  }
};

// An arena-backed vector. Copying is explicit (copy_from) and copies the table, not the text.
class HeaderList {
 public:
  explicit HeaderList(Arena& arena) : arena_(&arena) {}
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;

  Arena& arena() const { return *arena_; }
  size_t size() const { return size_; }
  const Header* begin() const { return entries_; }
  const Header* end() const { return entries_ + size_; }

  // The text must outlive the list: copy it to the arena first where it does not.
  void add(std::string_view name, std::string_view value) { add(name, value, classify(name)); }
  void add(const Header& header) {
    add(header.name, header.value, header.id, false, header.never_indexed);
  }
  void add(std::span<const Header> headers) {
    while (capacity_ - size_ < headers.size()) grow();
    std::copy(headers.begin(), headers.end(), entries_ + size_);
    size_ += static_cast<uint32_t>(headers.size());
  }
  void add(std::string_view name, std::string_view value, HeaderId id, bool in_line = false,
           bool never_indexed = false) {
    WEIR_ASSERT(id == classify(name));
    if (size_ == capacity_) grow();
    Header& entry = entries_[size_++];  // member by member: each fits a register
    entry.name = name;
    entry.value = value;
    entry.id = id;
    entry.in_line = in_line;
    entry.never_indexed = never_indexed;
  }
  // With its text.
  void add_copy(const Header& header) {
    const std::string_view line = header.line();
    if (line.empty()) {
      add(arena_->copy(header.name), arena_->copy(header.value), header.id, false,
          header.never_indexed);
      return;
    }
    const char* const text = arena_->copy(line).data();
    add({text, header.name.size()}, {text + header.name.size() + 2, header.value.size()}, header.id,
        true, header.never_indexed);
  }
  // Of all fields as lines.
  size_t line_bytes() const {
    size_t bytes = 0;
    for (const Header& header : *this) bytes += header.line_bytes();
    return bytes;
  }
  // The first field of that name; null when there is none.
  const Header* find(HeaderId id) const;
  const Header* find(std::string_view name) const;
  // One field of that name, in the place of the first that there was; the others go.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  void remove(HeaderId id);
  // Removes what `drop(header)` is true for and keeps the order of the rest.
  template <typename Drop>
  void remove_if(Drop drop) {
    const auto drops = [&drop](const Header& header) { return drop(header); };
    size_ = static_cast<uint32_t>(std::remove_if(entries_, entries_ + size_, drops) - entries_);
  }
  void clear() { size_ = 0; }
  // All text has been copied, as one, from there to here.
  void follow(const char* from, const char* to);
  void copy_from(const HeaderList& other);

 private:
  void grow();

  Arena* arena_;
  Header* entries_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
};

}  // namespace weir::http
