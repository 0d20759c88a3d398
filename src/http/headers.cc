#include "http/headers.h"

#include <cstring>
#include <memory>

#include "base/strings.h"

namespace weir::http {
namespace {

// Letters and "-" of a lower-case name are matched by setting bit 5 of what came. Other bytes that
// collide under that are control bytes, which no accepted head holds.
template <typename Word>
bool word_matches(const char* text, const char* lower) {
  Word a;
  Word b;
  std::memcpy(&a, text, sizeof a);
  std::memcpy(&b, lower, sizeof b);
  return (a | static_cast<Word>(0x2020202020202020u)) == b;
}

// REQUIRES text.size() == lower.size(). Two overlapping words (three above 16 bytes).
template <size_t SizeWithNul>
bool matches(std::string_view text, const char (&lower)[SizeWithNul]) {
  constexpr size_t kSize = SizeWithNul - 1;
  const char* at = text.data();
  if constexpr (kSize >= 8) {
    if constexpr (kSize > 16) {
      if (!word_matches<uint64_t>(at + 8, lower + 8)) return false;
    }
    return word_matches<uint64_t>(at + kSize - 8, lower + kSize - 8) &&
           word_matches<uint64_t>(at, lower);
  } else if constexpr (kSize >= 4) {
    return word_matches<uint32_t>(at, lower) &&
           word_matches<uint32_t>(at + kSize - 4, lower + kSize - 4);
  } else {
    return word_matches<uint16_t>(at, lower) &&
           word_matches<uint16_t>(at + kSize - 2, lower + kSize - 2);
  }
}

HeaderId classify_short(std::string_view name, char first) {
  switch (name.size()) {
    case 2:
      if (matches(name, "te")) return HeaderId::kTe;
      break;
    case 3:
      if (matches(name, "via")) return HeaderId::kVia;
      if (matches(name, "age")) return HeaderId::kAge;
      break;
    case 4:
      if (first == 'h' && matches(name, "host")) return HeaderId::kHost;
      if (first == 'd' && matches(name, "date")) return HeaderId::kDate;
      if (first == 'e' && matches(name, "etag")) return HeaderId::kEtag;
      if (first == 'v' && matches(name, "vary")) return HeaderId::kVary;
      break;
    case 5:
      if (first == 'p' && matches(name, "proxy")) return HeaderId::kProxy;
      if (first == 'r' && matches(name, "range")) return HeaderId::kRange;
      break;
    case 6:
      if (first == 'a' && matches(name, "accept")) return HeaderId::kAccept;
      if (first == 'c' && matches(name, "cookie")) return HeaderId::kCookie;
      if (first == 'e' && matches(name, "expect")) return HeaderId::kExpect;
      if (first == 's' && matches(name, "server")) return HeaderId::kServer;
      if (first == 'o' && matches(name, "origin")) return HeaderId::kOrigin;
      if (first == 'p' && matches(name, "pragma")) return HeaderId::kPragma;
      break;
    case 7:
      if (first == 'r' && matches(name, "referer")) return HeaderId::kReferer;
      if (first == 't' && matches(name, "trailer")) return HeaderId::kTrailer;
      if (first == 'u' && matches(name, "upgrade")) return HeaderId::kUpgrade;
      if (first == 'e' && matches(name, "expires")) return HeaderId::kExpires;
      break;
    default: break;
  }
  return HeaderId::kOther;
}

HeaderId classify_long(std::string_view name, char first) {
  switch (name.size()) {
    case 14:
      if (first == 'c' && matches(name, "content-length")) return HeaderId::kContentLength;
      if (first == 'h' && matches(name, "http2-settings")) return HeaderId::kHttp2Settings;
      break;
    case 15:
      if (first == 'a' && matches(name, "accept-encoding")) return HeaderId::kAcceptEncoding;
      if (first == 'x' && matches(name, "x-forwarded-for")) return HeaderId::kXForwardedFor;
      break;
    case 16:
      if (first == 'c' && matches(name, "content-encoding")) return HeaderId::kContentEncoding;
      if (first == 'c' && matches(name, "content-location")) return HeaderId::kContentLocation;
      if (first == 'p' && matches(name, "proxy-connection")) return HeaderId::kProxyConnection;
      if (first == 'x' && matches(name, "x-forwarded-host")) return HeaderId::kXForwardedHost;
      if (first == 'x' && matches(name, "x-forwarded-port")) return HeaderId::kXForwardedPort;
      break;
    case 17:
      if (first == 't' && matches(name, "transfer-encoding")) return HeaderId::kTransferEncoding;
      if (first == 'x' && matches(name, "x-forwarded-proto")) return HeaderId::kXForwardedProto;
      if (first == 'i' && matches(name, "if-modified-since")) return HeaderId::kIfModifiedSince;
      if (first == 'c' && matches(name, "cdn-cache-control")) return HeaderId::kCdnCacheControl;
      break;
    case 18:
      if (matches(name, "proxy-authenticate")) return HeaderId::kProxyAuthenticate;
      break;
    case 19:
      if (first == 'p' && matches(name, "proxy-authorization")) {
        return HeaderId::kProxyAuthorization;
      }
      if (first == 'i' && matches(name, "if-unmodified-since")) {
        return HeaderId::kIfUnmodifiedSince;
      }
      break;
    default: break;
  }
  return HeaderId::kOther;
}

bool is_lower_hex(std::string_view text) {
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

}  // namespace

std::string_view trace_id_of(std::string_view traceparent) {
  constexpr size_t kVersion0Chars = 55;  // 00-<32 hex>-<16 hex>-<2 hex>
  if (traceparent.size() < kVersion0Chars || traceparent[2] != '-' || traceparent[35] != '-' ||
      traceparent[52] != '-') {
    return {};
  }
  const std::string_view version = traceparent.substr(0, 2);
  const std::string_view trace = traceparent.substr(3, 32);
  const bool good = is_lower_hex(version) && version != "ff" && is_lower_hex(trace) &&
                    trace.find_first_not_of('0') != std::string_view::npos &&
                    (version != "00" || traceparent.size() == kVersion0Chars);
  return good ? trace : std::string_view();
}

HeaderId classify(std::string_view name) {
  if (name.size() < 2 || name.size() > 19) return HeaderId::kOther;
  const char first = static_cast<char>(name[0] | 0x20);
  switch (name.size()) {
    case 8:
      if (first == 'l' && matches(name, "location")) return HeaderId::kLocation;
      if (first == 'i' && matches(name, "if-match")) return HeaderId::kIfMatch;
      if (first == 'i' && matches(name, "if-range")) return HeaderId::kIfRange;
      break;
    case 9:
      if (first == 'x' && matches(name, "x-real-ip")) return HeaderId::kXRealIp;
      if (first == 'f' && matches(name, "forwarded")) return HeaderId::kForwarded;
      break;
    case 10:
      if (first == 'c' && matches(name, "connection")) return HeaderId::kConnection;
      if (first == 'u' && matches(name, "user-agent")) return HeaderId::kUserAgent;
      if (first == 'k' && matches(name, "keep-alive")) return HeaderId::kKeepAlive;
      if (first == 's' && matches(name, "set-cookie")) return HeaderId::kSetCookie;
      break;
    case 11:
      if (matches(name, "traceparent")) return HeaderId::kTraceparent;
      break;
    case 12:
      if (first == 'c' && matches(name, "content-type")) return HeaderId::kContentType;
      if (first == 'm' && matches(name, "max-forwards")) return HeaderId::kMaxForwards;
      break;
    case 13:
      if (first == 'a' && matches(name, "authorization")) return HeaderId::kAuthorization;
      if (first == 'c' && matches(name, "cache-control")) return HeaderId::kCacheControl;
      if (first == 'c' && matches(name, "content-range")) return HeaderId::kContentRange;
      if (first == 'i' && matches(name, "if-none-match")) return HeaderId::kIfNoneMatch;
      if (first == 'l' && matches(name, "last-modified")) return HeaderId::kLastModified;
      break;
    default: return name.size() < 8 ? classify_short(name, first) : classify_long(name, first);
  }
  return HeaderId::kOther;
}

void HeaderList::grow() {
  // A browser's request fits the first table; the arena keeps an outgrown one until it is reset.
  const uint32_t capacity = capacity_ == 0 ? 24 : capacity_ * 2;
  auto* entries =
      static_cast<Header*>(arena_->allocate(capacity * sizeof(Header), alignof(Header)));
  std::uninitialized_copy_n(entries_, size_, entries);
  entries_ = entries;
  capacity_ = capacity;
}

const Header* HeaderList::find(HeaderId id) const {
  for (const Header& header : *this) {
    if (header.id == id) return &header;
  }
  return nullptr;
}

const Header* HeaderList::find(std::string_view name) const {
  for (const Header& header : *this) {
    if (iequals(header.name, name)) return &header;
  }
  return nullptr;
}

void HeaderList::set(std::string_view name, std::string_view value) {
  const HeaderId id = classify(name);
  Header* const end = entries_ + size_;
  const auto is_it = [name, id](const Header& header) { return header.is(id, name); };
  Header* const first = std::find_if(entries_, end, is_it);
  if (first == end) return add(name, value, id);
  *first = {name, value, id};
  size_ = static_cast<uint32_t>(std::remove_if(first + 1, end, is_it) - entries_);
}

void HeaderList::remove(std::string_view name) {
  const HeaderId id = classify(name);
  remove_if([name, id](const Header& header) { return header.is(id, name); });
}

void HeaderList::remove(HeaderId id) {
  remove_if([id](const Header& header) { return header.id == id; });
}

void HeaderList::follow(const char* from, const char* to) {
  for (Header& header : std::span(entries_, size_)) {
    header.name = moved(header.name, from, to);
    header.value = moved(header.value, from, to);
  }
}

void HeaderList::copy_from(const HeaderList& other) {
  clear();
  add(std::span(other.begin(), other.size()));
}

}  // namespace weir::http
