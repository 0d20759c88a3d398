// The cache as those see it who may not know it: the admin pages, and what carries purges from one
// instance to the others. The cache is filters/cache; a snapshot that uses it says where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proxy/purge_order.h"

namespace weir::proxy {

struct Snapshot;

// All but the first since the process began.
struct AnswerStats {
  uint64_t memory_bytes = 0;   // the bound
  uint64_t bytes = 0;          // of all that is kept
  uint64_t mapped_bytes = 0;   // what the kernel may see as resident
  uint64_t growing_bytes = 0;  // of `bytes`, answers that are not whole yet
  uint64_t objects = 0;        // answers
  uint64_t keys = 0;           // that have one or more
  uint64_t oldest_age_ms = 0;  // since the oldest answer was stored or validated; 0: there is none
  uint64_t hits = 0;           // look-ups that found something, fresh or not
  uint64_t misses = 0;
  uint64_t insertions = 0;
  uint64_t evictions = 0;    // for want of room
  uint64_t expirations = 0;  // of no use to anybody any more
  uint64_t purged = 0;
  // Of the second tier.
  uint64_t tier_hits = 0;     // look-ups that found something to be used
  uint64_t tier_misses = 0;   // those that did not, whatever the reason
  uint64_t tier_bad = 0;      // values that are none
  uint64_t tier_writes = 0;   // answers sent there
  uint64_t tier_skipped = 0;  // fresh ones that were not: too large, or Redis could not be asked
};

struct AnswerLine {
  std::string key;
  std::string secondary;  // by the fields of Vary; empty: there are none
  uint64_t hits = 0;
  uint64_t bytes = 0;
  uint64_t age_ms = 0;  // since it was stored or validated
  int status = 0;
};

struct TopAnswers {
  std::vector<AnswerLine> by_hits;   // most first
  std::vector<AnswerLine> by_bytes;  // most first
};

// One per process, there until its end. Any thread, all methods.
class AnswerStore {
 public:
  virtual AnswerStats stats() = 0;
  // The `n` most of each. Looks at everything: for the admin thread.
  virtual TopAnswers top(size_t n) = 0;
  // In this process; how many answers were hit. `snapshot` says how its routes make keys of URLs.
  // A prefix, a tag and kAll may take a while: not for a worker's loop.
  virtual uint64_t purge(const PurgeOrder& order, const Snapshot& snapshot) = 0;
  // All, softly: at once.
  virtual void outdate_all() = 0;
  // Drops what is of no use any more, a thousand or so at a time: for a worker's timer.
  virtual void sweep() = 0;
  // Nothing has ever been stored.
  virtual bool unused() = 0;

 protected:
  ~AnswerStore() = default;
};

}  // namespace weir::proxy
