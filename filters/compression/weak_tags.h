// Strong entity tags that weir has told clients as weak ones, because it had changed the bytes, and
// what they were when a client comes back with one: servers that compare texts, and If-Match, which
// takes no weak tags, would not know them any more (RFC 9110 8.8.3, 13.1).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/siphash.h"
#include "http/headers.h"

namespace weir::filters::compression {

// The resource of a request. Views of its head.
struct Place {
  std::string_view host;
  std::string_view target;
};

// Any thread. Remembers about kPlaces of them, the latest in each place, and only that it was so:
// a tag that is forgotten stays weak, which costs a full answer where a server compares texts, and
// a 412 with If-Match.
class WeakTags {
 public:
  WeakTags() : key_(SipKey::random()) {}

  static constexpr size_t kPlaces = size_t{1} << 15;  // 256 KiB

  // `opaque`: the tag in its quotes; `place`: whose it is.
  void remember(const Place& place, std::string_view opaque);
  bool knows(const Place& place, std::string_view opaque) const;

 private:
  uint64_t mark(const Place& place, std::string_view opaque) const;  // not 0

  const SipKey key_;
  std::array<std::atomic<uint64_t>, kPlaces> places_{};
};

// The process's own.
WeakTags& weak_tags();

// Gives the tags of If-None-Match and If-Match that `tags` knows back their strength. Never those
// of If-Range: parts of the server's bytes do not fit to what the client has.
void restore_tags(const WeakTags& tags, const Place& place, http::HeaderList& headers);
// Makes the tag of an answer a weak one, and remembers it.
void weaken_tag(WeakTags& tags, const Place& place, http::HeaderList& headers);
// The same on a 304, of a client that has shown that it knows the tag as a weak one. False: it has
// not.
bool weaken_known_tag(std::string_view if_none_match, http::HeaderList& headers);

}  // namespace weir::filters::compression
