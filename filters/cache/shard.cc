#include "filters/cache/shard.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "filters/cache/store.h"

namespace weir::filters::cache {

namespace {

uint64_t last_stored_at_ms(const Entry& entry) { return entry.first->object->meta.stored_at_ms; }

bool varies(const Entry& entry) { return entry.vary_bytes > 0; }

// Of two that fit (RFC 9111 4.1).
bool is_better(const Variant& one, const Variant& other) {
  if (varies(*one.entry) != varies(*other.entry)) return varies(*one.entry);
  return one.object->meta.stored_at_ms > other.object->meta.stored_at_ms;
}

}  // namespace

Shard::Shard(Slabs& slabs, const SipKey& secret, Eviction eviction, QueueAges& ages,
             QueueCells& cells)
    : slabs_(slabs),
      secret_(secret),
      entries_(slabs),
      tags_(slabs),
      policy_(slabs, eviction, ages, cells) {}

void Shard::enter(const Moment& now) {
  if (now.hard != now_.hard) {
    counters.purged += std::exchange(counters.objects, 0);
    stored_order_.forget();
  }
  now_ = now;
  policy_.set_now(now.insertions);
}

Shard::Entries Shard::find(const Key& key) const {
  Entries found = {};
  size_t count = 0;
  entries_.find(key.hash.low, [&](Entry& entry) {
    if (entry.check == key.hash.high && entry.key() == key.text) found[count++] = &entry;
    return count == found.size();
  });
  return found;
}

Entry* Shard::find(const Key& key, std::string_view vary) const {
  for (Entry* const entry : find(key)) {
    if (entry != nullptr && entry->vary() == vary) return entry;
  }
  return nullptr;
}

Variant* Shard::choose(const Key& key, SecondaryKey& secondary, bool& known, Garbage& garbage) {
  Variant* chosen = nullptr;
  for (Entry* const entry : find(key)) {
    if (entry == nullptr) break;
    Variant* const variant =
        find(*entry, varies(*entry) ? secondary.by(entry->vary()) : std::string_view());
    if (variant != nullptr && is_old(*variant)) {
      known = known || entry->variants > 1;
      remove(*variant, garbage);
      continue;
    }
    known = true;
    if (variant == nullptr) continue;
    if (chosen == nullptr || is_better(*variant, *chosen)) chosen = variant;
  }
  return chosen;
}

uint64_t Shard::hash_of(const Hash128& key, std::string_view secondary) const {
  return secondary.empty() ? key.low : key.low ^ secret_.hash(secondary).low;
}

Variant* Shard::find(Entry& entry, std::string_view secondary) const {
  const uint64_t hash = hash_of({entry.hash, 0}, secondary);
  for (Variant* variant = entry.first; variant != nullptr; variant = variant->next) {
    if (variant->hash == hash && variant->secondary() == secondary) return variant;
  }
  return nullptr;
}

Variant* Shard::find_content(const Object& like) const {
  Variant* found = nullptr;
  entries_.find(like.key_hash, [&](Entry& entry) {
    found = entry.first;
    while (found != nullptr && found->object->content != like.content) found = found->next;
    return found != nullptr;
  });
  return found == nullptr || is_old(*found) ? nullptr : found;
}

void Shard::use(Variant& variant) {
  ++variant.hits;
  ++counters.hits;
  policy_.use(variant);
  Entry& entry = *variant.entry;
  if (entry.first == &variant) return;
  variant.previous->next = variant.next;
  (variant.next != nullptr ? variant.next->previous : entry.last) = variant.previous;
  variant.previous = nullptr;
  variant.next = entry.first;
  entry.first->previous = &variant;
  entry.first = &variant;
}

// An answer without Vary has forgotten it where a later one has it (RFC 9111 4.1).
Entry& Shard::entry_for(Growing& grown, Garbage& garbage) {
  Entry* oldest = nullptr;
  size_t others = 0;
  Entry* same = nullptr;
  for (Entry* const entry : find({grown.key, grown.hash})) {
    if (entry == nullptr) break;
    if (entry->vary() == grown.vary) {
      same = entry;
    } else if (!varies(*entry)) {
      remove_all(*entry, garbage);
    } else {
      ++others;
      if (oldest == nullptr || last_stored_at_ms(*entry) < last_stored_at_ms(*oldest)) {
        oldest = entry;
      }
    }
  }
  if (same != nullptr) return *same;
  if (others == Store::kVaryListsMax) remove_all(*oldest, garbage);
  Entry& entry = *std::exchange(grown.entry, nullptr);
  entries_.insert(entry);
  tree_.insert(entry);
  return entry;
}

bool Shard::insert(Growing& grown, Garbage& garbage) {
  if (grown.purged || grown.began.hard != now_.hard) return false;
  Variant& variant = *std::exchange(grown.variant, nullptr);
  Entry* const entry = &entry_for(grown, garbage);
  Variant* const before = find(*entry, variant.secondary());
  variant.entry = entry;
  variant.object = std::exchange(grown.object, nullptr);
  variant.all_cells = variant.cells + variant.object->all_cells();
  variant.generation = now_.hard;
  variant.soft_generation = now_.soft;
  variant.stale = grown.softly || grown.began.soft != now_.soft;
  variant.previous = nullptr;
  variant.next = entry->first;
  (entry->first != nullptr ? entry->first->previous : entry->last) = &variant;
  entry->first = &variant;
  ++entry->variants;
  link_tags(variant);
  stored_order_.push(variant);
  if (before != nullptr) {
    variant.hits = before->hits;
    policy_.replace(*before, variant);
    remove(*before, garbage);
  } else {
    policy_.add(variant);
  }
  ++counters.objects;
  ++counters.insertions;
  if (entry->variants > Store::kVariantsMax) {
    remove(*entry->last, garbage);
    ++counters.evictions;
  }
  return true;
}

void Shard::exchange(Variant& variant, Object& object, Garbage& garbage) {
  Object& before = *std::exchange(variant.object, &object);
  policy_.resize(variant, variant.cells + object.all_cells());
  garbage.add(before);
}

void Shard::refresh(Variant& variant, Object& object, Garbage& garbage) {
  exchange(variant, object, garbage);
  stored_order_.remove(variant);
  stored_order_.push(variant);
}

void Shard::remove(Variant& variant, Garbage& garbage) {
  if (variant.queue != Queue::kNone) policy_.remove(variant);
  unlink_tags(variant);
  stored_order_.remove(variant);
  Entry& entry = *variant.entry;
  (variant.previous != nullptr ? variant.previous->next : entry.first) = variant.next;
  (variant.next != nullptr ? variant.next->previous : entry.last) = variant.previous;
  --entry.variants;
  garbage.add(*variant.object);
  counters.objects -= !is_old(variant);
  slabs_.give_back(&variant, variant.cells);
  if (entry.variants > 0) return;
  entries_.remove(entry);
  tree_.remove(entry);
  slabs_.give_back(&entry, entry.cells);
}

void Shard::remove_all(Entry& entry, Garbage& garbage) {
  for (uint32_t left = entry.variants; left > 0; --left) remove(*entry.first, garbage);
}

bool Shard::evict(Queue queue, Garbage& garbage) {
  Variant* const variant = policy_.choose(queue, now_.hard);
  if (variant == nullptr) return false;
  counters.evictions += !is_old(*variant);
  // Who has waited in vain in the small queue is known for a while.
  const bool in_vain = variant->queue == Queue::kSmall && !is_old(*variant);
  const uint64_t hash = variant->hash;
  remove(*variant, garbage);
  if (in_vain) policy_.remember(hash);
  return true;
}

// What came before a purge of all has not been used since: it is at the end of its queue.
size_t Shard::drop_old(size_t most, Garbage& garbage) {
  size_t dropped = 0;
  for (const Queue queue : {Queue::kSmall, Queue::kMain}) {
    while (dropped < most) {
      Variant* const variant = policy_.oldest(queue);
      if (variant == nullptr || !is_old(*variant)) break;
      remove(*variant, garbage);
      ++dropped;
    }
  }
  return dropped;
}

bool Shard::some_entries(size_t& below, std::vector<Entry*>& out) const {
  constexpr size_t kBuckets = 64;
  out.clear();
  below = std::min(below, entries_.buckets());
  for (size_t left = std::min(below, kBuckets); left > 0; --left) {
    entries_.for_each_in(--below, [&](Entry& entry) { out.push_back(&entry); });
  }
  return below > 0;
}

size_t Shard::drop_expired(Entry& entry, uint64_t now_ms, Garbage& garbage) {
  size_t dropped = 0;
  Variant* next = entry.first;
  while (next != nullptr) {
    Variant& variant = *std::exchange(next, next->next);
    const uint64_t until_ms = variant.object->meta.keep_until_ms;
    if (!is_old(variant) && (until_ms == 0 || until_ms > now_ms)) continue;
    counters.expirations += !is_old(variant);
    remove(variant, garbage);
    ++dropped;
  }
  return dropped;
}

void Shard::drop_retired(Entry& entry, Garbage& garbage) {
  Variant* next = entry.first;
  while (next != nullptr) {
    Variant& variant = *std::exchange(next, next->next);
    if (!is_retired(variant)) continue;
    ++counters.evictions;
    remove(variant, garbage);
  }
}

bool Shard::leave_retired() {
  policy_.forget_ghosts();
  return entries_.leave_retired() && tags_.leave_retired();
}

bool Shard::is_retired(Variant& variant) const {
  if (slabs_.retired(&variant) || slabs_.retired(variant.entry)) return true;
  for (const TagLink& link : variant.links()) {
    if (slabs_.retired(link.tag)) return true;
  }
  return cache::is_retired(slabs_, *variant.object);
}

}  // namespace weir::filters::cache
