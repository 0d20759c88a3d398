// The cache's memory: stored answers by key, bounded in bytes, shared by all workers and kept over
// reloads. It knows nothing of HTTP: what may be stored, for whom, and how long it is fresh is the
// filter's business.
//
// A primary key (text that the filter makes) leads to an entry, or to some: one for each Vary list
// that its answers have. An entry has variants, told apart by a secondary key that the filter makes
// of the entry's Vary list; a variant holds one answer:
// meta, a head, and its body in up to four codings (reader.h). Answers are immutable; a refresh or
// one more coding makes a new one that shares the bodies.
//
// All of it lies in slabs of one mapping (slab.h), the index, keys, tags and the policy's memory
// too; the bound is on those slabs. Shards by keyed hash have a lock each, which is held for a
// look-up or an insert; the slabs have one that is held for taking or giving back a run. Locks
// nest: shard, then slabs; waiters (reader.h) have theirs, which nest in none.
//
// How it is used: find(); a miss begin()s a Writer, asks the origin, start()s with its head,
// append()s its body and finish()es; who asks meanwhile gets a Reader of the Writer. A 304 is a
// refresh(). A compressed body is a Writer of begin_encoding().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/siphash.h"
#include "filters/cache/meta.h"
#include "filters/cache/policy.h"
#include "filters/cache/purged_tags.h"
#include "filters/cache/reader.h"
#include "filters/cache/slab.h"
#include "filters/cache/store_options.h"
#include "filters/cache/writer.h"

namespace weir::filters::cache {

class Garbage;
class Shard;
struct Growing;
struct Key;
struct Object;

struct Moment {
  uint32_t hard = 0;  // how often all has been purged, either way
  uint32_t soft = 0;
  uint64_t tags = 0;        // how many have been purged
  uint64_t insertions = 0;  // the clock by which shards compare how old what they have is
};

// Makes the secondary key of the request at hand, for each list that the key has. Called with a
// lock held: quick, and never back into the store. The view lives until the next call, or until
// find() returns.
class SecondaryKey {
 public:
  virtual std::string_view by(std::string_view vary) = 0;

 protected:
  ~SecondaryKey() = default;
};

struct Found {
  Reader reader;       // of nothing: there is none
  bool stale = false;  // a soft purge hit it: whatever its age, it is not fresh
  bool known = false;  // the key has an entry, if not this variant
  uint64_t hits = 0;   // of this answer, this one included
};

enum class Purge : uint8_t { kRemove, kSoft };

struct StoreStats {
  uint64_t objects = 0;        // variants
  uint64_t entries = 0;        // primary keys, by Vary list
  uint64_t bytes = 0;          // of all that is kept; never over the bound but after it was lowered
  uint64_t mapped_bytes = 0;   // of the slabs in use: what the kernel may see as resident
  uint64_t growing_bytes = 0;  // of `bytes`, bodies that are not whole yet
  // Of what was stored, or validated, before all others. 0: nothing is stored.
  uint64_t oldest_stored_at_ms = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t insertions = 0;
  uint64_t evictions = 0;    // for want of room
  uint64_t expirations = 0;  // by sweep()
  uint64_t purged = 0;
};

// One line of the admin's list.
struct SurveyLine {
  std::string key;
  std::string secondary;
  uint64_t hits = 0;
  uint64_t bytes = 0;  // memory, of all representations
  uint64_t stored_at_ms = 0;
  uint16_t status = 0;
};
struct Survey {
  std::vector<SurveyLine> by_hits;   // most first
  std::vector<SurveyLine> by_bytes;  // most first
};

// Any thread, all methods. One per process (store()); tests make their own. Must outlive its
// readers and writers.
class Store {
 public:
  static constexpr uint64_t kMemoryMin = 8 << 20;
  static constexpr uint64_t kMemoryMax = uint64_t{128} << 30;
  // Of one primary key and Vary list. Reached: the variant goes that was not asked for for the
  // longest time.
  static constexpr uint32_t kVariantsMax = 64;
  // Of one primary key. Reached: the list goes whose last answer is the oldest.
  static constexpr size_t kVaryListsMax = 4;
  // Of one answer; of all its names; of one name. Over: not stored, because a purge would miss it.
  static constexpr size_t kTagsMax = 64;
  static constexpr size_t kTagBytesMax = 4096;
  static constexpr size_t kTagNameBytesMax = 1024;
  // Of a primary key with its Vary list, of a secondary key; of a head, of a suffix. Over: not
  // stored.
  static constexpr size_t kKeyBytesMax = 16384;
  static constexpr size_t kHeadBytesMax = 98304;
  // Of the bound, what bodies may have that are not whole yet. Reached: append() has no memory.
  static constexpr uint64_t kGrowingShare = 2;  // a half

  explicit Store(const StoreOptions& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // At a reload. A lower bound evicts, in short steps, until the memory has been given back to the
  // kernel, but for what is being read: takes its time, for the config thread.
  void configure(const StoreOptions& options);
  // The bound: less than configured where the system does not have that much.
  uint64_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }
  // What a new body may have.
  uint64_t max_object_bytes() const { return max_object_bytes_.load(std::memory_order_relaxed); }

  // Of several that fit one that has a Vary list, and then the latest (RFC 9111 4.1). Counts as a
  // use. `secondary` is asked for lists that are not empty.
  Found find(std::string_view primary, SecondaryKey& secondary);

  // Begins an answer for a key. Of nothing where the key is too long. Where there is no room, its
  // predecessor goes first: from start() on, unless somebody reads it or its lifetime has a
  // stale_if_error, because a fetch that breaks off is when that is needed.
  Writer begin(std::string_view primary);
  // Begins one more coding of an answer (or better bytes for one that it has): it is added to
  // whatever answer then has the same body, so a refresh in between does no harm. `expected_bytes`
  // as in Answer. Of nothing where there is no memory, or `of` is not stored any more.
  Writer begin_encoding(const Reader& of, Encoding encoding, std::string_view suffix,
                        uint64_t expected_bytes);
  // The same bodies under another head. Who reads the old one keeps it. False: there is no memory,
  // or the answer is not in the store any more.
  // After a 304, `asked` was begun before the origin was asked: the answer is stale no more, but
  // for purges since then. Else of nothing, and a soft purge holds on.
  bool refresh(const Reader& of, const Meta& meta, std::string_view head, const Writer& asked = {});
  // Removes the answer that `of` reads, if it is stored still, under whatever head by now.
  bool remove(const Reader& of);

  // Answers hit: stored ones, and those that still grow. O(matched) + O(shards), about 1 us each,
  // with locks held for some tens at a time: a prefix or a tag that may match very many is work
  // for a helper or the admin thread, not for a worker.
  uint64_t purge(std::string_view primary, Purge how);
  uint64_t purge_prefix(std::string_view prefix, Purge how);
  // The answers of some URLs, with any query, whatever else their keys have (is_key_of()): one
  // walk for all of them. False: about `budget` answers went, and there are more.
  bool purge_resources(std::span<const std::string> urls, size_t budget);
  // Into `growing` the keys of those that still grow and have the tag. One whose head has not come
  // is not stored if it turns out to have it: Writer::start() says so.
  uint64_t purge_tag(std::string_view tag, Purge how, std::vector<std::string>* growing = nullptr);
  // At once; memory is freed later, in small steps, by inserts and sweep().
  void purge_all(Purge how);

  // Looks at about `budget` answers, going round, and drops those past their keep_until_ms, or hit
  // by a purge of all; locks are held for some tens of them. Returns how many went.
  size_t sweep(uint64_t now_ms, size_t budget);

  StoreStats stats() const;  // O(shards)
  // The `n` most of each. Looks at everything, with locks held shortly: for the admin thread.
  Survey survey(size_t n) const;

 private:
  friend class Writer;
  // Evictions for one run, at most; and how many are worth it that a body has few pieces.
  static constexpr int kEvictionsMax = 1024;
  static constexpr int kEvictionsForLength = 8;

  Key key_of(std::string_view primary) const;
  Shard& shard_of(uint64_t key_hash) const;
  Moment now() const;
  // A run of slabs, for which others have to go where there is none. `by`: its predecessor goes
  // first. No lock is held.
  Slabs::Run take(uint32_t wanted, uint32_t least, const Growing* by);
  Slabs::Run take(uint32_t cells, const Growing* by) { return take(cells, cells, by); }
  bool evict_one();
  bool evict_predecessor(const Growing& growing);
  bool purge_resources(Shard& shard, const std::string& common, std::span<const std::string> urls,
                       std::span<const std::string> prefixes, size_t& budget);
  // The parts of Writer that need more than the body at hand.
  Room start(Growing& growing, const Answer& answer);
  bool make_candidates(Growing& growing, const Answer& answer);
  bool start_body(Growing& growing, const Meta& meta, std::string_view head, Encoding encoding,
                  std::string_view suffix);
  Room append(Growing& growing, std::string_view bytes);
  bool add_block(Growing& growing, uint64_t pending_bytes);
  bool finish(Growing& growing);
  bool insert(Growing& growing);
  bool add_encoding(Growing& growing);
  bool put_encoding(Growing& growing, Slabs::Run& run, uint32_t& cells);
  void abort(Growing& growing);
  bool may_grow(Growing& growing, uint32_t cells);
  void stop_growing(Growing& growing);
  void leave_retired();

  Slabs slabs_;
  const SipKey secret_;
  std::atomic<Eviction> eviction_;
  std::vector<QueueAges> ages_;                 // per shard
  QueueCells cells_;                            // of all
  std::vector<std::unique_ptr<Shard>> shards_;  // constant
  std::atomic<uint64_t> memory_bytes_;
  std::atomic<uint64_t> max_object_bytes_;
  std::atomic<uint64_t> growing_cells_{0};
  std::atomic<uint64_t> contents_{0};  // Object::content
  std::atomic<uint32_t> hard_{0};      // Moment
  std::atomic<uint32_t> soft_{0};
  PurgedTags purged_tags_;
  std::atomic<uint64_t> insertions_{0};
  std::atomic<uint64_t> sweep_at_{0};  // shard and bucket
};

// Whether `key` is the URL, with any query, and whatever stands behind it (key.h).
bool is_key_of(std::string_view key, std::string_view url);

// The process's store: made by the first call, reconfigured by the next ones. Config thread, when a
// configuration comes into force.
Store& configure_store(const StoreOptions& options);
// Null until then. Any thread.
Store* store();

}  // namespace weir::filters::cache
