#include "filters/compression/weak_tags.h"

#include <string>

#include "http/cache_fields.h"
#include "http/entity_tag.h"

namespace weir::filters::compression {

namespace {

using http::HeaderId;

// One line with its known tags made strong; false: it has none, or is not a list of tags.
bool restore_line(const WeakTags& tags, const Place& place, std::string_view line,
                  std::string& out) {
  bool changed = false;
  http::EntityTag tag;
  while (http::take_entity_tag(line, tag)) {
    if (!tag) return false;
    const bool known = tag.weak && tags.knows(place, tag.opaque);
    changed = changed || known;
    if (!out.empty()) out += ", ";
    if (tag.weak && !known) out += "W/";
    out += tag.opaque;
  }
  return changed;
}

// A second line of the field is rare, and goes on as it is.
void restore_field(const WeakTags& tags, const Place& place, http::HeaderList& headers,
                   HeaderId field, std::string_view name) {
  const std::string_view line = http::CacheFields(headers).single(field);
  std::string strong;
  if (line.find("W/") == std::string_view::npos) return;
  if (restore_line(tags, place, line, strong)) headers.set(name, headers.arena().copy(strong));
}

http::EntityTag strong_tag_of(const http::HeaderList& headers) {
  const http::EntityTag tag =
      http::read_entity_tag(http::CacheFields(headers).single(HeaderId::kEtag));
  return tag.weak ? http::EntityTag() : tag;
}

void set_weak(http::HeaderList& headers, const http::EntityTag& tag) {
  headers.set("ETag", headers.arena().concat({"W/", tag.opaque}));
}

}  // namespace

uint64_t WeakTags::mark(const Place& place, std::string_view opaque) const {
  const SipKey of_host(key_.hash(place.host));
  const uint64_t hash = SipKey(of_host.hash(place.target)).hash(opaque).low;
  return hash == 0 ? 1 : hash;
}

void WeakTags::remember(const Place& place, std::string_view opaque) {
  const uint64_t hash = mark(place, opaque);
  std::atomic<uint64_t>& at = places_[hash % kPlaces];
  // Most often it is there already: then the line stays shared by all workers' caches.
  if (at.load(std::memory_order_relaxed) != hash) at.store(hash, std::memory_order_relaxed);
}

bool WeakTags::knows(const Place& place, std::string_view opaque) const {
  const uint64_t hash = mark(place, opaque);
  return places_[hash % kPlaces].load(std::memory_order_relaxed) == hash;
}

WeakTags& weak_tags() {
  static WeakTags tags;
  return tags;
}

void restore_tags(const WeakTags& tags, const Place& place, http::HeaderList& headers) {
  restore_field(tags, place, headers, HeaderId::kIfNoneMatch, "If-None-Match");
  restore_field(tags, place, headers, HeaderId::kIfMatch, "If-Match");
}

void weaken_tag(WeakTags& tags, const Place& place, http::HeaderList& headers) {
  const http::EntityTag tag = strong_tag_of(headers);
  if (!tag) return;
  tags.remember(place, tag.opaque);
  set_weak(headers, tag);
}

bool weaken_known_tag(std::string_view if_none_match, http::HeaderList& headers) {
  const http::EntityTag tag = strong_tag_of(headers);
  if (!tag) return false;
  http::EntityTag listed;
  while (http::take_entity_tag(if_none_match, listed)) {
    if (!listed.weak || listed.opaque != tag.opaque) continue;
    set_weak(headers, tag);
    return true;
  }
  return false;
}

}  // namespace weir::filters::compression
