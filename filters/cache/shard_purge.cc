// Tags, and what purges do to a shard.
#include <utility>

#include "base/check.h"
#include "filters/cache/shard.h"

namespace weir::filters::cache {

Tag* Shard::find_tag(std::string_view name) const {
  return tags_.find(secret_.hash(name).low, [&](Tag& tag) { return tag.name() == name; });
}

// A tag that is known already takes the place of the one that the writer has made.
void Shard::link_tags(Variant& variant) {
  for (TagLink& link : variant.links()) {
    Tag* known = find_tag(link.tag->name());
    if (known == nullptr) {
      tags_.insert(*link.tag);
    } else {
      slabs_.give_back(link.tag, link.tag->cells);
      link.tag = known;
    }
    Tag& tag = *link.tag;
    link.previous = tag.last;
    link.next = nullptr;
    (tag.last != nullptr ? tag.last->next : tag.first) = &link;
    tag.last = &link;
    ++tag.links;
  }
}

void Shard::unlink_tags(Variant& variant) {
  for (TagLink& link : variant.links()) {
    Tag& tag = *link.tag;
    (link.previous != nullptr ? link.previous->next : tag.first) = link.next;
    (link.next != nullptr ? link.next->previous : tag.last) = link.previous;
    if (--tag.links > 0) continue;
    tags_.remove(tag);
    slabs_.give_back(&tag, tag.cells);
  }
}

void Shard::hit(Variant& variant, Purge how, Garbage& garbage) {
  if (is_old(variant)) {
    remove(variant, garbage);
    return;
  }
  ++counters.purged;
  if (how == Purge::kSoft) {
    variant.stale = true;
  } else {
    remove(variant, garbage);
  }
}

size_t Shard::purge(const Key& key, Purge how, Garbage& garbage) {
  const size_t growing_hit = purge_growing(
      how, [&](const Growing& one) { return one.hash == key.hash && one.key == key.text; });
  const uint64_t before = counters.purged;
  hit_all(key, how, garbage);
  return growing_hit + counters.purged - before;
}

// Returns how many answers there were.
size_t Shard::hit_all(const Key& key, Purge how, Garbage& garbage) {
  size_t count = 0;
  for (Entry* const entry : find(key)) {
    if (entry == nullptr) break;
    count += entry->variants;
    Variant* next = entry->first;
    while (next != nullptr) hit(*std::exchange(next, next->next), how, garbage);
  }
  return count;
}

bool Shard::purge_prefix(std::string_view prefix, Purge how, size_t budget, std::string& from,
                         size_t& hits, Garbage& garbage) {
  const uint64_t before = counters.purged;
  bool done = true;
  size_t looked_at = 0;
  while (Entry* const entry = tree_.at_or_behind(from)) {
    if (!entry->key().starts_with(prefix)) break;
    if (looked_at >= budget) {
      done = false;
      break;
    }
    from = entry->key();
    looked_at += hit_all({from, {entry->hash, entry->check}}, how, garbage);
    from.push_back('\0');  // the next key that there can be
  }
  hits += counters.purged - before;
  return done;
}

size_t Shard::tagged(std::string_view tag) const {
  const Tag* const found = find_tag(tag);
  return found == nullptr ? 0 : found->links;
}

size_t Shard::purge_tag(std::string_view name, Purge how, size_t budget, Garbage& garbage) {
  const uint64_t before = counters.purged;
  for (size_t i = 0; i < budget; ++i) {
    Tag* const tag = find_tag(name);  // it goes with the last one that has it
    if (tag == nullptr) break;
    TagLink& link = *tag->first;
    Variant& variant = *link.variant;
    if (how == Purge::kSoft && link.next != nullptr) {
      tag->first = link.next;
      link.next->previous = nullptr;
      link.previous = tag->last;
      tag->last->next = &link;
      link.next = nullptr;
      tag->last = &link;
    }
    hit(variant, how, garbage);
  }
  return counters.purged - before;
}

void discard(Slabs& slabs, Growing& growing) {
  if (Entry* const entry = std::exchange(growing.entry, nullptr)) {
    slabs.give_back(entry, entry->cells);
  }
  Variant* const variant = std::exchange(growing.variant, nullptr);
  if (variant == nullptr) return;
  for (const TagLink& link : variant->links()) {
    if (link.tag != nullptr) slabs.give_back(link.tag, link.tag->cells);
  }
  slabs.give_back(variant, variant->cells);
}

}  // namespace weir::filters::cache
